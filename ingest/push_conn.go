package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

const (
	maxHead      = 16 << 10 // bytes of a request head
	maxLinger    = 1 << 20  // bytes of a body that are read after an error
	maxAgent     = 120      // bytes of an agent's name that are logged
	writeTimeout = 10 * time.Second
)

// pushConn is one connection of an encoder.
type pushConn struct {
	push *Push
	ctx  context.Context
	conn net.Conn
	hop  netip.AddrPort       // the other end of conn
	peer netip.AddrPort       // who sent the request that is being served: hop, or who is behind it
	tls  *tls.ConnectionState // nil without TLS

	heard atomic.Int64         // ns, [stream.Monotonic]: last header, packet or change; 0 before the first
	lent  atomic.Pointer[loan] // of the body that is being read, nil for none

	mu     sync.Mutex // guards what follows
	reason string     // why reading was interrupted, "" when it was not
}

// interrupt makes the connection's goroutine stop reading, and stay stopped. Any goroutine.
func (c *pushConn) interrupt(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		c.reason = reason
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	}
	if l := c.lent.Load(); l != nil {
		l.Reclaim()
	}
}

// interrupted returns the reason given to interrupt.
func (c *pushConn) interrupted() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// allow gives the peer d for what it sends next, unless the connection was interrupted.
func (c *pushConn) allow(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		_ = c.conn.SetReadDeadline(time.Now().Add(d))
	}
}

// alive restarts the idle time. A deadline is set anew only when it has moved noticeably; otherwise this takes no lock.
func (c *pushConn) alive(force bool) {
	now := stream.Monotonic()
	idle := c.push.times.Load().idle
	if !force && now-c.heard.Load() < int64(idle)/64 {
		return
	}
	c.heard.Store(now)
	c.allow(idle)
}

// silent tells for how long nothing was heard.
func (c *pushConn) silent() time.Duration {
	heard := c.heard.Load()
	if heard == 0 {
		return math.MaxInt64
	}
	return time.Duration(stream.Monotonic() - heard)
}

func (c *pushConn) write(b []byte) bool {
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.conn.Write(b)
	return err == nil
}

// fail answers with an error and leaves the client time to read it: closing a connection with unread input at once
// would take the answer away from it.
func (c *pushConn) fail(br *bufio.Reader, e mmsh.ErrorParams) {
	e.Push = true
	if c.write(mmsh.AppendError(nil, e)) {
		c.linger(br)
	}
}

func (c *pushConn) linger(br *bufio.Reader) {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(c.push.opts.LingerTimeout))
	_, _ = io.CopyN(io.Discard, br, maxLinger)
}

// next reads the head of another request on the connection; nil when there is none.
func (c *pushConn) next(h *headReader) *http.Request {
	c.allow(c.push.times.Load().session)
	if _, err := h.br.Peek(1); err != nil {
		return nil
	}
	c.allow(c.push.times.Load().head)
	req, err := h.read()
	switch {
	case err == nil:
		c.peer = c.push.opts.Client(c.hop, req.Header)
		req.RemoteAddr, req.TLS = c.peer.String(), c.tls
		return req
	case errors.Is(h.err, os.ErrDeadlineExceeded):
		c.fail(h.br, mmsh.ErrorParams{Status: http.StatusRequestTimeout, Text: "the request head took too long"})
	case errors.Is(h.err, errHeadTooLarge):
		c.fail(h.br, mmsh.ErrorParams{Status: http.StatusRequestHeaderFieldsTooLarge, Text: "the request head is too large"})
	default:
		c.fail(h.br, mmsh.ErrorParams{Status: http.StatusBadRequest, Text: "the request cannot be parsed"})
	}
	return nil
}

var errHeadTooLarge = errors.New("request head too large")

// headReader reads request heads of a bounded size.
type headReader struct {
	br   *bufio.Reader // behind the bound
	from io.Reader
	left int   // bytes that may be read of the head, negative: any number
	err  error // of the last read: the request's parser may take what came before it for the whole
}

func newHeadReader(from *bufio.Reader) *headReader {
	h := &headReader{from: from, left: -1}
	h.br = bufio.NewReaderSize(h, 4096)
	return h
}

// Read implements io.Reader for br.
func (h *headReader) Read(p []byte) (n int, err error) {
	switch {
	case h.left < 0:
		n, err = h.from.Read(p)
	case h.left == 0:
		err = errHeadTooLarge
	default:
		n, err = h.from.Read(p[:min(len(p), h.left)])
		h.left -= n
	}
	h.err = err
	return n, err
}

func (h *headReader) read() (*http.Request, error) {
	h.left = maxHead - h.br.Buffered()
	defer func() { h.left = -1 }()
	return http.ReadRequest(h.br)
}

// peerOf returns the address of the client: the request's, which knows better than the
// connection who is behind a proxy. It is invalid when neither says one.
func peerOf(conn net.Conn, req *http.Request) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return addressOf(conn)
}

// addressOf returns the address of a connection's other end; invalid when it has none.
func addressOf(conn net.Conn) netip.AddrPort {
	if a := conn.RemoteAddr(); a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
	}
	return netip.AddrPort{}
}

// printable is what of a foreign text goes into a log: printable ASCII, of bounded length.
func printable(s string) string {
	s = s[:min(len(s), maxAgent)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, s)
}
