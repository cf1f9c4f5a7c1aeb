package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// veil is the TLS of a viewer on an event loop.
//
// The handshake and the request are done on a goroutine, as crypto/tls wants it; then the
// connection is enrolled on a loop, and from there on TLS works on memory alone: what gnet
// has received lies ready before tls.Conn reads, and what tls.Conn writes, sealed records,
// goes to memory that the loop hands to the kernel. So a viewer costs no goroutine, and a
// pass gathers the packets of a pulse once for all, seals them for each viewer into as few
// records as they fit, and writes with one call (veil_turn.go).
//
// Once something is sealed it has to be sent, in order: its number within TLS is used up.
// The cursor therefore moves when packets are sealed, and what the socket does not take is
// kept in owed, at most the records of one write. Owned by the loop.
type veil struct {
	conn *tls.Conn
	wire *wire
	owed []byte // sealed and not out; the cursor is held while there is any
	end  bool   // nothing follows what is owed
}

// Bounds of a veil, in bytes.
const (
	veilBytes   = 64 << 10  // of packets in one write; one packet more, if it is larger
	veilOwed    = 512 << 10 // owed because the viewer asks for new keys again and again; then it is cut off
	recordBytes = 16 << 10  // in one TLS record, by the protocol
	recordExtra = 128       // more than any cipher adds to a record
)

// sealedBytes is the most that n bytes become.
func sealedBytes(n int) int { return n + (n/recordBytes+1)*recordExtra }

// seal appends b to dst as TLS records. On an error the connection is broken.
func (v *veil) seal(dst, b []byte) ([]byte, error) {
	v.wire.out = dst
	_, err := v.conn.Write(b)
	dst, v.wire.out = v.wire.out, nil
	return dst, err
}

// open works on what the viewer has sent: what it says is passed over, but TLS has to hear
// it. It returns an error when the viewer has said goodbye, or nonsense. What TLS has to
// answer is owed.
func (v *veil) open(received, scratch []byte) error {
	v.wire.in, v.wire.out = received, v.owed
	defer func() { v.owed, v.wire.in, v.wire.out = v.wire.out, nil, nil }()
	for {
		_, err := v.conn.Read(scratch)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // received is used up
			if len(v.wire.out) > veilOwed {
				return errKeys
			}
			return nil
		case err != nil:
			return err
		}
	}
}

var errKeys = errors.New("too many changes of keys")

// goodbye writes the record that ends a TLS connection, if the socket takes it: behind the
// last packet, a client can do without. Not through gnet, which closes what it cannot write.
func (v *veil) goodbye(fd int) {
	v.wire.out = nil
	_ = v.conn.CloseWrite()
	if len(v.wire.out) > 0 {
		var iov [1]syscall.Iovec
		vector(&iov[0], v.wire.out)
		_, _ = writev(fd, iov[:])
	}
	v.wire.out = nil
}

// wire is what lies under a tls.Conn: a connection at first, memory once it is on a loop.
type wire struct {
	net.Conn
	onLoop bool
	in     []byte // received and not read
	out    []byte // written
}

// NetConn returns the connection underneath, as that of TLS does.
func (w *wire) NetConn() net.Conn { return w.Conn }

// Read implements net.Conn. On a loop there may be nothing for now, which is no failure
// that tls.Conn would remember.
func (w *wire) Read(b []byte) (int, error) {
	if !w.onLoop {
		return w.Conn.Read(b)
	}
	if len(w.in) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	if !w.onLoop {
		return w.Conn.Write(b)
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// SetWriteDeadline implements net.Conn. On a loop nothing waits.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.onLoop {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}

// CloseWrite shuts the sending side.
func (w *wire) CloseWrite() error {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return io.ErrClosedPipe
}

// socketUnder returns the socket of a connection that an event loop can take: a TCP connection
// whose first bytes, read ahead, are used up. gnet recycles the memory of a zone's name,
// which is not its own, so one with a zone stays on its goroutine.
func socketUnder(c net.Conn) *net.TCPConn {
	for {
		p, ok := c.(*prefixConn)
		if !ok {
			break
		}
		if len(p.prefix) > 0 {
			return nil
		}
		c = p.Conn
	}
	t, ok := c.(*net.TCPConn)
	if !ok || addrPort(t.RemoteAddr()).Addr().Zone() != "" {
		return nil
	}
	return t
}

// board puts a viewer on an event loop and tells whether it has; then the door is done with
// the connection.
func (d *door) board(a answer) bool {
	if d.owned == nil || a.watch.plain {
		return false
	}
	c := &conn{srv: d.srv, remote: d.remote, place: d.place, greeted: true, answer: a, phase: boarding}
	under := d.conn
	tc, veiled := d.conn.(*tls.Conn)
	if veiled {
		w, ok := tc.NetConn().(*wire)
		if !ok {
			return false
		}
		under, c.veil = w.Conn, &veil{conn: tc, wire: w}
	}
	t := socketUnder(under)
	if t == nil {
		return false
	}
	if veiled {
		c.veil.wire.onLoop, c.veil.wire.Conn = true, nil
	}
	s, l := d.srv, d.srv.pickLoop()
	l.load.Add(1)
	s.moved(d.owned)
	if _, err := l.engine.EnrollContext(t, c); err != nil {
		l.load.Add(-1)
		a.drop()
		d.place.Release()
		s.log.Warn("connection lost", "address", d.remote.String(), "error", err)
		return true
	}
	l.call(s.ctx, c.aboard)
	return true
}

// aboard makes the connection the viewer that it was enrolled to be. Runs on the loop.
func (c *conn) aboard() {
	if c.phase != boarding {
		return // gone meanwhile
	}
	a := c.answer
	c.answer = answer{}
	c.watch(a)
	if c.phase == watching && c.gc.InboundBuffered() > 0 {
		c.listen()
	}
}

// listen hears what a viewer has sent; without TLS that is nothing. Runs on the loop.
func (c *conn) listen() {
	if c.veil == nil {
		_, _ = c.gc.Discard(-1)
		return
	}
	b, _ := c.gc.Peek(-1)
	err := c.veil.open(b, c.loop.scratch())
	_, _ = c.gc.Discard(-1)
	v := c.viewer
	switch {
	case v == nil:
	case err != nil:
		why := ReasonError
		if errors.Is(err, io.EOF) {
			why = ReasonLeft
		}
		c.cut(why)
	case len(c.veil.owed) > 0 && !v.held:
		v.held = true
		c.loop.firstTurn(v)
	}
}

// sendVeiled is send behind TLS; it is for answers, which fit the socket in all but odd
// cases. What does not is buffered by gnet, bounded by the answer's size.
func (c *conn) sendVeiled(b []byte) bool {
	sealed, err := c.veil.seal(nil, b)
	if err == nil {
		_, err = c.gc.Write(sealed)
	}
	return err == nil && c.phase != gone
}

// keep takes over what a socket did not take of sealed records, of which n bytes are out.
func (v *viewer) keep(sealed []byte, n int, errno syscall.Errno, now int64, timeout time.Duration) outcome {
	if errno != 0 && errno != syscall.EAGAIN {
		return broken
	}
	if errno == syscall.EAGAIN {
		n = 0
	}
	if n == len(sealed) {
		v.waiting = false
		return current
	}
	v.veil.owed = append(v.veil.owed[:0], sealed[n:]...) // it may be the same memory
	v.held = true
	return v.full(n > 0, now, timeout)
}
