package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/mmsh"
)

// Agents of the requests in these tests.
const (
	oldAgent = "NSPlayer/4.1.0.3856"
	vlcAgent = "NSPlayer/7.10.0.3059"
	newAgent = "NSPlayer/12.0.7601.17514"
	webAgent = "curl/8.5.0"
)

// client is a connection that sends bytes and looks at every byte of the answer.
type client struct {
	testing.TB
	conn net.Conn
	br   *bufio.Reader
}

// dial connects to the plain door.
func (w *world) dial() *client { w.Helper(); return w.dialBuffer(0) }

// dialBuffer connects with a receive buffer of so many bytes, 0 for the usual one.
func (w *world) dialBuffer(receive int) *client {
	w.Helper()
	c, err := dialBuffer(w.addr, receive)
	if err != nil {
		w.Fatal(err)
	}
	return newClient(w.TB, c)
}

func dialBuffer(addr string, receive int) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	if receive > 0 {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
			}); e != nil {
				return e
			}
			return err
		}
	}
	return d.Dial("tcp", addr)
}

// dialTLS connects to the door behind TLS.
func (w *world) dialTLS() *client { w.Helper(); return w.dialTLSBuffer(0) }

// dialTLSBuffer is dialBuffer for the door behind TLS.
func (w *world) dialTLSBuffer(receive int) *client {
	w.Helper()
	if w.tlsA == "" {
		w.serveTLS()
	}
	raw, err := dialBuffer(w.tlsA, receive)
	if err != nil {
		w.Fatal(err)
	}
	_ = raw.SetDeadline(time.Now().Add(patience))
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		w.Fatal(err)
	}
	_ = raw.SetDeadline(time.Time{})
	return newClient(w.TB, c)
}

// ways are the doors for viewers on event loops, each with a receive buffer of so many
// bytes, 0 for the usual one.
var ways = map[string]func(w *world, receive int) *client{"plain": (*world).dialBuffer, "TLS": (*world).dialTLSBuffer}

func tlsClient(w *world) (*client, error) {
	c, err := tls.Dial("tcp", w.tlsA, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	return bareClient(w.TB, c), nil
}

// bareClient is a client that the caller closes.
func bareClient(t testing.TB, c net.Conn) *client {
	return &client{TB: t, conn: c, br: bufio.NewReader(c)}
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Cleanup(func() { _ = c.Close() })
	return bareClient(t, c)
}

func (c *client) write(s string) {
	c.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.Fatalf("writing %.60q: %v", s, err)
	}
}

func (c *client) close() { _ = c.conn.Close() }

// reply is the head of an answer, and its body where it has a length.
type reply struct {
	proto, reason string
	status        int
	header        http.Header
	body          []byte
}

// reply reads one answer.
func (c *client) reply() reply {
	c.Helper()
	r, err := c.readReply()
	if err != nil {
		c.Fatalf("reading a reply: %v", err)
	}
	return r
}

var statusLine = regexp.MustCompile(`^(HTTP/1\.[01]) (\d\d\d) ([A-Za-z][A-Za-z ]*)$`)

func (c *client) readReply() (r reply, err error) {
	if r, err = c.readHead(); err != nil {
		return r, err
	}
	if n, err := strconv.Atoi(r.header.Get("Content-Length")); err == nil {
		r.body = make([]byte, n)
		if got, err := io.ReadFull(c.br, r.body); err != nil {
			return r, fmt.Errorf("body of %d bytes, got %d: %w", n, got, err)
		}
	}
	return r, nil
}

func (c *client) readHead() (r reply, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	tp := textproto.NewReader(c.br)
	line, err := tp.ReadLine()
	if err != nil {
		return r, err
	}
	m := statusLine.FindStringSubmatch(line)
	if m == nil {
		return r, fmt.Errorf("status line %q", line)
	}
	r.proto, r.reason = m[1], m[3]
	r.status, _ = strconv.Atoi(m[2])
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return r, err
	}
	r.header = http.Header(h)
	return r, nil
}

// ask sends a request and reads the answer.
func (c *client) ask(request string) reply {
	c.Helper()
	c.write(request)
	return c.reply()
}

// busy is how long a busy machine may take for the end of a connection, that comes at once on an idle one. It is still
// less than after which a connection that may stay is closed.
const busy = 30 * time.Second

// ended sees that the server closes its side, without another byte.
func (c *client) ended() {
	c.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(busy))
	if b, err := c.br.ReadByte(); err == nil {
		rest, _ := c.br.Peek(c.br.Buffered())
		c.Fatalf("%#x %.40q instead of the end of the connection", b, rest)
	} else if !errors.Is(err, io.EOF) {
		c.Fatalf("no clean end of the connection: %v", err)
	}
}

// gone sees that the server closes the connection wholly: it takes no more bytes.
func (c *client) gone() {
	c.Helper()
	for end := time.Now().Add(busy); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.conn.Write([]byte("x")); err != nil {
			return
		}
	}
	c.Fatalf("the connection still takes bytes after %v", busy)
}

// pragma returns the tokens of a reply.
func (r reply) pragma(name string) (string, bool) { return mmsh.ParseTokens(r.header).Get(name) }

func (r reply) clientID(t testing.TB) uint32 {
	t.Helper()
	id, ok := mmsh.ParseTokens(r.header).Uint32("client-id")
	if !ok || id == 0 {
		t.Fatalf("no client-id in %q", r.header["Pragma"])
	}
	return id
}

// get is a GET of the stream x with header lines.
func get(lines ...string) string { return ask("GET /streams/x HTTP/1.0", lines...) }

// post is a POST to the stream x with header lines.
func post(body string, lines ...string) string {
	return ask("POST /streams/x HTTP/1.0", append(lines, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

func ask(first string, lines ...string) string {
	return first + "\r\n" + strings.Join(append(lines, "Host: pump.example:8086"), "\r\n") + "\r\n\r\n"
}

func agent(a string) string { return "User-Agent: " + a }

func pragma(tokens string) string { return "Pragma: " + tokens }

func describe(a string, lines ...string) string { return get(append(lines, agent(a))...) }

func play(a string, lines ...string) string {
	return get(append(lines, agent(a), pragma("xPlayStrm=1"))...)
}

// frame is one packet of the framing.
type frame struct {
	typ      byte
	reason   uint32 // of $C and $E
	location uint32
	flags    uint8
	payload  []byte
	raw      []byte
}

// frame reads one packet and checks its framing to the letter.
func (c *client) frame() frame {
	c.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	f, err := readFrame(c.br)
	if err != nil {
		c.Fatalf("reading a frame: %v", err)
	}
	return f
}

func readFrame(r io.Reader) (f frame, err error) {
	head := make([]byte, mmsh.FrameHeadSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return f, err
	}
	fh, err := mmsh.ParseFrameHead(head)
	if err != nil {
		return f, err
	}
	if fh.B {
		return f, errors.New("bit B is set")
	}
	rest := make([]byte, fh.Length)
	if n, err := io.ReadFull(r, rest); err != nil {
		return f, fmt.Errorf("$%c torn after %d of %d bytes: %w", fh.Type, n, fh.Length, errors.Join(err, io.ErrUnexpectedEOF))
	}
	f.typ, f.raw = fh.Type, append(head, rest...)
	switch fh.Type {
	case mmsh.TypeHeader, mmsh.TypeData:
		p, err := mmsh.ParsePreHeader(rest, fh.Length)
		if err != nil {
			return f, err
		}
		f.location, f.flags, f.payload = p.LocationID, p.AFFlags, rest[mmsh.PreHeaderSize:]
	case mmsh.TypeChange, mmsh.TypeEnd:
		if fh.Length != 4 {
			return f, fmt.Errorf("$%c of %d bytes", fh.Type, fh.Length)
		}
		f.reason = uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16 | uint32(rest[3])<<24
	default:
		return f, fmt.Errorf("packet of type %q", fh.Type)
	}
	return f, nil
}

// header reads a $H and sees that it is the encoder's.
func (c *client) header(e *encoder) frame {
	c.Helper()
	f := c.frame()
	if f.typ != mmsh.TypeHeader || f.location != 0 || f.flags != mmsh.AFOnly || !bytes.Equal(f.payload, e.raw) {
		c.Fatalf("$%c location %d flags %#x, %d bytes instead of the header", f.typ, f.location, f.flags, len(f.payload))
	}
	return f
}

// data reads a $D and returns its stamp.
func (c *client) data() (frame, stamp) {
	c.Helper()
	f := c.frame()
	s, ok := readStamp(f.payload)
	if f.typ != mmsh.TypeData || !ok {
		c.Fatalf("$%c %x… instead of a whole data packet", f.typ, f.raw[:min(len(f.raw), 24)])
	}
	return f, s
}

// end reads the end of the stream, and of the connection.
func (c *client) end() {
	c.Helper()
	if f := c.frame(); string(f.raw) != "$E\x04\x00\x00\x00\x00\x00" {
		c.Fatalf("%x instead of the end of the stream", f.raw)
	}
	c.ended()
}

// watch plays and returns once the header is there.
func (w *world) watch(e *encoder, request string) *client {
	w.Helper()
	return w.dial().watch(e, request)
}

func (c *client) watch(e *encoder, request string) *client {
	c.Helper()
	if r := c.ask(request); r.status != 200 {
		c.Fatalf("%d %s", r.status, r.reason)
	}
	c.header(e)
	return c
}

func text(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func tcpAddr(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
