package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// guest is a viewer on a goroutine of its own: one of plain ASF, or one behind TLS that no
// event loop can take. It follows the same ring with the same cursor; its bytes are copied once, into the
// buffer that is encrypted or padded.
type guest struct {
	cursor
	srv        *Server
	conn       net.Conn
	seat       *seat
	packetSize int
	wake       chan struct{}
	kicked     chan struct{}
	kickedFor  Reason // set before kicked is closed
	once       sync.Once
	bytes      atomic.Uint64
	place      atomic.Uint64 // copy of seq, for others to read
	jumped     atomic.Uint64 // copy of skipped
	fellAt     atomic.Int64  // copy of leapt
	joined     bool
	noisy      atomic.Bool // it said more than a viewer has to say
	waited     bool        // it could not join at once, because of the bounds of bursts
	expired    atomic.Bool // its session has lasted as long as one may, or it has to go
	hurried    atomic.Bool // that is for the uplink's sake
}

// Bounds of one turn of a guest.
const (
	guestPackets = 64
	guestBytes   = 64 << 10
)

// host serves a guest until it leaves; the caller closes the connection.
func (s *Server) host(ctx context.Context, conn net.Conn, a answer) {
	t := a.watch
	seq, h := startPlace(t, s.settings.Load())
	if h == nil {
		a.drop()
		_, _ = conn.Write(s.notLive(false).head)
		return
	}
	g := &guest{
		cursor: cursor{seq: seq, epoch: h.Epoch, old: t.old, relay: t.relay, pre: [2][]byte{a.head, h.Frame}},
		srv:    s, conn: conn, seat: t, packetSize: h.PacketSize,
		wake: make(chan struct{}, 1), kicked: make(chan struct{}),
	}
	if t.plain {
		g.pre[1] = h.Raw
	}
	t.start = seq
	boundKernel(conn, sendBuffer(t.stream))
	s.enter(t)
	c := s.crowds.join(t.stream, g)
	why := ReasonError // unless run returns
	defer func() {
		s.crowds.leave(c, g)
		s.leave(t, g.describe(), why)
	}()
	why = g.run(ctx)
}

// boundKernel bounds what the kernel buffers for a connection, under whatever wraps it.
func boundKernel(conn net.Conn, bytes int) {
	if c := tcpUnder(conn); c != nil {
		_ = c.SetWriteBuffer(bytes)
	}
}

// tcpUnder returns the connection under whatever wraps it, nil when it is not TCP.
func tcpUnder(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case *net.TCPConn:
			return c
		default:
			return nil
		}
	}
}

// run sends until the stream or the connection ends and returns which.
func (g *guest) run(ctx context.Context) Reason {
	gone := make(chan struct{})
	go func() { // notices that the guest has left; ends when the connection is closed
		defer close(gone)
		if n, _ := io.CopyN(io.Discard, g.conn, maxChatter); n == maxChatter {
			g.noisy.Store(true)
			_ = g.conn.Close()
		}
	}()
	defer func() {
		if c := tcpUnder(g.conn); c != nil && g.hurried.Load() {
			_ = c.SetLinger(0) // it has had its time: what waits in the kernel is in the others' way
		}
		_ = g.conn.Close()
		<-gone
	}()
	stop := context.AfterFunc(ctx, func() { _ = g.conn.Close() })
	defer stop()
	expired, stopTimer := g.timer()
	defer stopTimer()
	for {
		if g.over() && !g.midPacket() {
			g.sayEnd(lingerTime)
			g.farewell(gone)
			return g.overFor()
		}
		why, idle := g.turn()
		if why != "" {
			if why == ReasonEnded || why == ReasonDrained {
				g.farewell(gone)
			}
			return why
		}
		if !idle {
			continue
		}
		select {
		case <-g.wake:
		case <-expired:
		case <-gone:
			return g.left()
		case <-g.kicked:
			return g.left()
		case <-ctx.Done():
			return g.left()
		}
	}
}

// over tells whether the guest's time is over.
func (g *guest) over() bool {
	return g.expired.Load() || g.seat.ends != 0 && stream.Monotonic() >= g.seat.ends
}

// timer tells when the guest's time is over.
func (g *guest) timer() (over <-chan time.Time, stop func()) {
	if g.seat.ends == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(time.Duration(g.seat.ends - stream.Monotonic()))
	return t.C, func() { t.Stop() }
}

// patience is how long the guest may take no byte: not far beyond its time.
func (g *guest) patience(stall time.Duration) time.Duration {
	if g.seat.ends == 0 {
		return stall
	}
	left := time.Duration(g.seat.ends - stream.Monotonic())
	return min(stall, max(left, 0)+lingerTime)
}

// left is why a guest whose connection is closed is no longer there.
func (g *guest) left() Reason {
	switch {
	case isClosed(g.kicked):
		return g.kickedFor
	case g.srv.ctx.Err() != nil:
		return ReasonDrained
	case g.noisy.Load():
		return ReasonError
	}
	return ReasonLeft
}

// farewell shuts our side and gives the guest a moment to close.
func (g *guest) farewell(gone <-chan struct{}) {
	if c, ok := g.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
		select {
		case <-gone:
		case <-time.After(lingerTime):
		}
	}
}

// turn sends the next packets; idle tells that there are none now.
func (g *guest) turn() (why Reason, idle bool) {
	set := g.srv.settings.Load()
	st := g.seat.stream
	epoch := g.epoch
	if !g.midPacket() && !g.catchUp(st, set) {
		return g.sayEnd(set.StallTimeout), false
	}
	if g.seat.plain && g.epoch != epoch {
		return ReasonChanged, false
	}
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	for i, b := range g.pre {
		buf.B = append(buf.B, b...)
		g.pre[i] = nil
	}
	if g.joined || !g.mustWait(set) {
		why = g.fill(buf)
	}
	media := g.seq != g.seat.start
	g.place.Store(g.seq)
	g.jumped.Store(g.skipped)
	g.fellAt.Store(g.leapt)
	if len(buf.B) == 0 {
		return why, why == ""
	}
	_ = g.conn.SetWriteDeadline(time.Now().Add(g.patience(set.StallTimeout)))
	if g.hurried.Load() { // since patience looked
		_ = g.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	}
	n, err := g.conn.Write(buf.B)
	g.account(n, media)
	switch {
	case err == nil:
		return why, false
	case errors.Is(err, os.ErrDeadlineExceeded) && g.over():
		return g.overFor(), false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonStalled, false
	}
	return g.left(), false
}

// sayEnd tells a guest whose way to the end of the stream has left the ring.
func (g *guest) sayEnd(limit time.Duration) Reason {
	if !g.seat.plain {
		_ = g.conn.SetWriteDeadline(time.Now().Add(limit))
		n, _ := g.conn.Write(g.seat.stream.EndFrame())
		g.account(n, false)
	}
	return g.srv.endReason()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// fill appends packets from the ring to buf; the reason is set when the guest ends
// behind them.
func (g *guest) fill(buf *bytebufferpool.ByteBuffer) Reason {
	var slabs [guestPackets]*ringbuf.Slab
	n, _ := g.seat.stream.Ring().Take(g.seq, slabs[:])
	defer release(slabs[:n])
	for _, s := range slabs[:n] {
		if why := g.put(buf, s); why != "" {
			return why
		}
		g.seq++
		if len(buf.B) >= guestBytes {
			break
		}
	}
	return ""
}

// put appends one packet as this kind of guest gets it.
func (g *guest) put(buf *bytebufferpool.ByteBuffer, s *ringbuf.Slab) Reason {
	if g.seat.plain {
		return g.putPlain(buf, s)
	}
	switch s.Kind {
	case ringbuf.Change:
		if s.Epoch != g.epoch {
			g.epoch = s.Epoch
			buf.B = append(buf.B, classBytes(s, g.old)...)
		}
		return ""
	case ringbuf.End:
		buf.B = append(buf.B, s.Bytes()...)
		return g.srv.endReason()
	}
	buf.B = append(buf.B, s.Bytes()...)
	return ""
}

// putPlain appends the bare packet, padded to the size that an ASF file has. Plain ASF
// cannot change its header.
func (g *guest) putPlain(buf *bytebufferpool.ByteBuffer, s *ringbuf.Slab) Reason {
	switch {
	case s.Kind == ringbuf.End:
		return g.srv.endReason()
	case s.Kind == ringbuf.Change && s.Epoch == g.epoch:
		return ""
	case s.Kind == ringbuf.Change:
		return ReasonChanged
	}
	packet := s.Bytes()[s.Payload:]
	if g.srv.opts.PadPacket == nil || len(packet) == g.packetSize {
		buf.B = append(buf.B, packet...)
		return ""
	}
	padded, err := g.srv.opts.PadPacket(buf.B, packet, g.packetSize)
	if err != nil { // leave this one out: the player conceals one packet, not a torn one
		g.skipped++
		return ""
	}
	buf.B = padded
	return ""
}

// account adds a write to the figures; media tells that there were packets in it.
func (g *guest) account(n int, media bool) {
	g.bytes.Add(uint64(n))
	g.srv.copied.Add(uint64(n))
	m := g.seat.stream.Metrics()
	m.BytesOut.Add(uint64(n))
	m.WriteCalls.Inc()
	if g.joined {
		return
	}
	g.seat.ticket.Burst(n)
	if media && n > 0 {
		g.joined = true
		g.seat.ticket.Joined()
		m.Join.ObserveDuration(time.Duration(stream.Monotonic() - g.seat.asked))
	}
}

// kick ends the guest. Any goroutine.
func (g *guest) kick(why Reason) {
	g.once.Do(func() {
		g.kickedFor = why
		close(g.kicked)
		if c := tcpUnder(g.conn); c != nil && why == ReasonUplink {
			_ = c.SetLinger(0)
		}
		_ = g.conn.Close()
	})
}

// describe returns what is known of the guest. Any goroutine.
func (g *guest) describe() Viewer {
	d := g.seat.describe()
	at := cursor{seq: g.place.Load()}
	d.BytesOut, d.Skipped, d.Lag = g.bytes.Load(), g.jumped.Load(), at.lag(g.seat.stream.Ring())
	return d
}
