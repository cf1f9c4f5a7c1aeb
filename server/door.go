package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
)

// door serves a connection on a goroutine: one behind TLS, or adopted, from its first byte
// until it is a viewer, or one that an event loop has handed over. Requests are routed as on the loops.
type door struct {
	srv    *Server
	conn   net.Conn
	owned  net.Conn           // what the server closes at the end, under conn; nil where no event loop can take it
	place  *access.Connection // its place; nil where an event loop has handed it over, with a whole head
	br     *bufio.Reader      // as large as a head may be, so that a head can be peeked at whole; nil while nobody needs it
	remote netip.AddrPort
	tls    bool
	ctx    context.Context // ends when the server is closed
}

func (s *Server) newDoor(ctx context.Context, conn net.Conn, remote netip.AddrPort, tls bool) *door {
	return &door{srv: s, conn: conn, remote: remote, tls: tls, ctx: ctx}
}

// awaken waits for the first byte of a request. Meanwhile there is no buffer: who is
// connected and asks nothing is not to cost one.
func (d *door) awaken() error {
	if d.br != nil && d.br.Buffered() > 0 {
		return nil
	}
	d.br = nil
	first := make([]byte, 1)
	if _, err := io.ReadFull(d.conn, first); err != nil {
		return err
	}
	d.br = bufio.NewReaderSize(&prefixConn{Conn: d.conn, prefix: first}, d.srv.settings.Load().HeadSize)
	return nil
}

// serve answers the connection's requests until it closes or somebody takes it over.
func (d *door) serve() {
	for wait := d.srv.settings.Load().HeadTimeout; ; wait = d.srv.settings.Load().SessionTimeout {
		a := d.next(wait)
		if a.head == nil && a.handOver == nil {
			return
		}
		if !d.give(a) {
			return
		}
	}
}

// next reads a request's head and decides the answer; an answer without anything means
// that the connection is to be closed.
func (d *door) next(wait time.Duration) answer {
	_ = d.conn.SetReadDeadline(time.Now().Add(wait))
	if d.awaken() != nil {
		return answer{}
	}
	head, err := d.peekHead()
	d.place.Headed()
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return d.refuseHead(largeHead(d.br.Size()))
	case errors.Is(err, errLine):
		return d.refuseHead(wrongHead(err))
	case err != nil:
		return answer{}
	}
	req, err := parseHead(head)
	if err != nil {
		return d.refuseHead(wrongHead(err))
	}
	req.TLS = tlsState(d.conn)
	a := d.srv.route(&request{Request: req, remote: d.remote, tls: d.tls, ctx: d.ctx, patient: true})
	if a.handOver != nil {
		return a
	}
	_, _ = d.br.Discard(len(head))
	if len(req.TransferEncoding) > 0 || req.ContentLength > maxBody {
		a.drop()
		return d.srv.refuse(http.StatusRequestEntityTooLarge, "the request's body is too large or of unknown length", false)
	}
	if req.ContentLength > 0 && expectsContinue(req) && d.br.Buffered() == 0 {
		_, _ = io.WriteString(d.conn, invitation)
	}
	if _, err := io.CopyN(io.Discard, d.br, max(req.ContentLength, 0)); err != nil {
		a.drop()
		return answer{}
	}
	return a
}

// peekHead waits until a whole head is in the reader and returns it without consuming
// it.
func (d *door) peekHead() ([]byte, error) {
	for n := 1; ; n = d.br.Buffered() + 1 {
		b, err := d.br.Peek(min(n, d.br.Size()))
		if end := headEnd(b); end > 0 {
			return b[:end], nil
		}
		if err != nil {
			return nil, err
		}
		if !plausible(b[0]) {
			return nil, errLine
		}
		if b, _ = d.br.Peek(d.br.Buffered()); headEnd(b) > 0 {
			return b[:headEnd(b)], nil
		}
		if wrongLine(b) {
			return nil, errLine
		}
		if d.br.Buffered() >= d.br.Size() {
			return nil, bufio.ErrBufferFull
		}
	}
}

func (d *door) refuseHead(status int, text string) answer {
	return d.srv.refuseHead(d.remote, status, text)
}

// give does what the answer says and tells whether another request may follow.
func (d *door) give(a answer) bool {
	d.srv.count(a.status)
	switch {
	case a.handOver != nil:
		a.handOver(d)
		return false
	case a.watch != nil:
		_ = d.conn.SetReadDeadline(time.Time{})
		d.br = nil // for as long as somebody watches
		if !d.board(a) {
			d.srv.host(d.ctx, d.conn, a)
		}
		return false
	}
	_ = d.conn.SetWriteDeadline(time.Now().Add(d.srv.settings.Load().StallTimeout))
	_, err := d.conn.Write(a.head)
	if !a.keep || err != nil || d.place.Heading() != nil {
		d.hangUp()
		return false
	}
	return true
}

// hangUp shuts our side and gives the peer some time to close, so that the answer is
// not lost to a reset.
func (d *door) hangUp() {
	c, ok := d.conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(closeTime))
	_, _ = io.CopyN(io.Discard, d.conn, maxBody)
}

// push hands the connection to the push handler, with the request read again from its
// first byte so that the body follows.
func (d *door) push() {
	_ = d.conn.SetReadDeadline(time.Now().Add(d.srv.settings.Load().HeadTimeout))
	if d.br == nil { // an event loop has looked at the request
		d.br = bufio.NewReaderSize(d.conn, d.srv.settings.Load().HeadSize)
	}
	req, err := http.ReadRequest(d.br)
	if err != nil {
		_, _ = d.conn.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusBadRequest, Text: "not an HTTP request", Push: true}))
		d.hangUp()
		return
	}
	req.RemoteAddr = d.srv.settings.Load().Proxies.Client(d.remote, req.Header).String()
	req.TLS = tlsState(d.conn)
	_ = d.conn.SetReadDeadline(time.Time{})
	d.srv.pushing.Add(1)
	defer d.srv.pushing.Add(-1)
	d.srv.opts.Push.ServeConn(d.ctx, d.conn, d.br, req)
	d.hangUp()
}

// tlsState returns what is known of a connection's TLS, its client's certificate among
// it; nil for one without.
func tlsState(c net.Conn) *tls.ConnectionState {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// handOver takes the connection off its loop and carries the answer out on a goroutine.
func (c *conn) handOver(a answer) {
	nc, prefix, err := c.detach()
	if err != nil {
		a.drop()
		c.srv.log.Warn("connection lost", "address", c.remote.String(), "error", err)
		c.phase = gone
		c.place.Release()
		return
	}
	if !c.srv.spawn(nc, c.place, func(ctx context.Context) {
		c.srv.newDoor(ctx, &prefixConn{Conn: nc, prefix: prefix, remote: net.TCPAddrFromAddrPort(c.remote)}, c.remote, false).give(a)
	}) {
		a.drop()
		_ = nc.Close()
		c.place.Release()
	}
}
