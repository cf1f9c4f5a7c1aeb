package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
)

// phase is what a connection on an event loop is doing.
type phase uint8

const (
	readingHead phase = iota // a request's head is awaited
	boarding                 // from a goroutine, about to be a viewer: what comes waits
	readingBody              // a request's body is passed over before the answer
	deciding                 // a goroutine looks whether the request may be answered
	watching                 // a viewer: what it sends is passed over
	draining                 // the answer is not wholly out; then lingering
	lingering                // our side is shut; waiting for the peer to close
	gone                     // closed, or handed to a goroutine
)

// Bounds of a connection.
const (
	readBuffer = 16 << 10 // bytes read at once
	maxBody    = 64 << 10 // bytes of a log or event
	lingerTime = 2 * time.Second
	closeTime  = time.Second // after an answer that closes the connection

	// maxChatter is how much a viewer may say, in bytes, as long as it watches: players say next to nothing, and
	// reading it is work.
	maxChatter = 256 << 10
)

// conn is a connection on an event loop, kept as its gnet context. It belongs to the
// loop.
type conn struct {
	srv      *Server
	loop     *loop
	gc       gnet.Conn
	remote   netip.AddrPort
	place    *access.Connection
	phase    phase
	heading  bool   // its place counts as that of an unfinished head
	greeted  bool   // the first bytes were looked at: no PROXY header comes any more
	deadline int64  // ns; 0 for none. A phase that lasts longer ends the connection
	skip     int    // bytes of body still to be passed over
	chatter  int    // bytes that the viewer has said
	answer   answer // given once the body is passed over
	viewer   *viewer
	hurry    bool               // what waits in the kernel is thrown away when the deadline of its end passes
	cancel   context.CancelFunc // of a decision, else nil
	veil     *veil              // TLS, nil without
}

// OnOpen implements gnet.EventHandler: the connection has reached its loop.
func (s *Server) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	if b, ok := gc.Context().(*bell); ok {
		b.opened(s, gc.EventLoop())
		return nil, gnet.None
	}
	c, ok := gc.Context().(*conn)
	if !ok {
		return nil, gnet.Close
	}
	c.gc, c.loop = gc, s.loopOf(gc.EventLoop())
	c.await(c.phase, s.settings.Load().HeadTimeout) // readingHead, or boarding
	return nil, gnet.None
}

// OnClose implements gnet.EventHandler.
func (s *Server) OnClose(gc gnet.Conn, err error) (act gnet.Action) {
	defer s.contain(gc, &act)
	c, ok := gc.Context().(*conn)
	if !ok || c.loop == nil {
		return gnet.None
	}
	c.loop.forget(c)
	c.loop.load.Add(-1)
	if c.phase != gone {
		c.place.Release()
	}
	c.phase = gone
	c.callOff()
	c.answer.drop() // one that waited for a body
	if s.ctx.Err() != nil {
		c.unseat(ReasonDrained)
	}
	if errors.Is(err, unix.ETIMEDOUT) {
		c.unseat(ReasonStalled) // its side has been silent: a cable was pulled, a machine lost its power
	}
	c.unseat(ReasonLeft)
	return gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (s *Server) OnTraffic(gc gnet.Conn) gnet.Action {
	if b, ok := gc.Context().(*bell); ok {
		b.heard(gc)
		return gnet.None
	}
	start := stream.Monotonic()
	act := s.heard(gc)
	if c, ok := gc.Context().(*conn); ok && c.loop != nil {
		c.loop.busy.Add(stream.Monotonic() - start)
	}
	return act
}

// heard works on what a connection has sent. Runs on the loop.
func (s *Server) heard(gc gnet.Conn) (act gnet.Action) {
	defer s.contain(gc, &act)
	c, ok := gc.Context().(*conn)
	if !ok {
		return gnet.Close
	}
	for {
		switch c.phase {
		case readingHead:
			if more := c.readHead(); !more {
				return c.action()
			}
		case readingBody:
			if c.skip -= discard(gc, c.skip); c.skip > 0 {
				return gnet.None
			}
			c.give(c.answer)
		case deciding:
			if gc.InboundBuffered() > c.srv.settings.Load().HeadSize+maxBody {
				return gnet.Close // it does not wait for the answer
			}
			return gnet.None
		case boarding:
			return gnet.None
		default:
			n := gc.InboundBuffered()
			c.listen()
			return c.overheard(n)
		}
		if c.phase == gone {
			return gnet.Close
		}
	}
}

// overheard counts what a viewer says.
func (c *conn) overheard(n int) gnet.Action {
	if c.phase != watching {
		return c.action()
	}
	if c.chatter += n; c.chatter > maxChatter {
		c.unseat(ReasonError)
		return gnet.Close
	}
	return gnet.None
}

// action is what gnet shall do after a phase's work.
func (c *conn) action() gnet.Action {
	if c.phase == gone {
		return gnet.Close
	}
	return gnet.None
}

// discard passes over at most n buffered bytes and returns how many.
func discard(gc gnet.Conn, n int) int {
	if n = min(n, gc.InboundBuffered()); n == 0 {
		return 0
	}
	n, _ = gc.Discard(n)
	return n
}

// await enters a phase that may last so long.
func (c *conn) await(p phase, limit time.Duration) {
	if p != readingHead {
		c.headed()
	}
	c.phase = p
	c.deadline = stream.Monotonic() + int64(limit)
	c.loop.watchOver(c)
}

// rest enters a phase without a deadline.
func (c *conn) rest(p phase) {
	c.headed()
	c.phase, c.deadline = p, 0
	c.loop.forget(c)
}

// headed notes that a head is whole, or not waited for any more.
func (c *conn) headed() {
	if c.heading {
		c.heading = false
		c.place.Headed()
	}
}

// send writes an answer that fits the socket in all but odd cases; what does not is
// buffered by gnet, bounded by the answer's size.
func (c *conn) send(b []byte) bool {
	if c.veil != nil {
		return c.sendVeiled(b)
	}
	_, err := c.gc.Write(b)
	return err == nil && c.phase != gone
}

// give sends an answer and goes on as it says.
func (c *conn) give(a answer) {
	c.answer = answer{}
	c.srv.count(a.status)
	if a.watch != nil {
		c.watch(a)
		return
	}
	if !c.send(a.head) {
		return
	}
	// Who asks and does not read gets no more answers, and who may not wait has to come anew.
	if a.keep && c.gc.OutboundBuffered() == 0 && c.place.Heading() == nil {
		c.heading = true
		c.await(readingHead, c.srv.settings.Load().SessionTimeout)
		return
	}
	c.hangUp(closeTime)
}

// hangUp shuts our side and gives the peer some time to close.
func (c *conn) hangUp(limit time.Duration) {
	if c.gc.OutboundBuffered() > 0 {
		c.await(draining, c.srv.settings.Load().StallTimeout)
		return
	}
	_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR)
	c.await(lingering, limit)
}

// finish lets a viewer go that has everything: FIN behind its last byte.
func (c *conn) finish(why Reason) {
	c.unseat(why)
	if c.veil != nil {
		c.veil.goodbye(c.gc.Fd())
	}
	c.hangUp(lingerTime)
}

// cut closes the connection at once. Runs on the loop, outside OnTraffic. For the uplink's
// sake what waits in the kernel is thrown away: it would be in the others' way for seconds.
func (c *conn) cut(why Reason) {
	c.unseat(why)
	if why == ReasonUplink {
		_ = c.gc.SetLinger(0)
	}
	_ = c.loop.el.Close(c.gc)
}

// tick is called every tickEvery for a connection with a deadline.
func (c *conn) tick(now int64) {
	if c.phase == draining && c.gc.OutboundBuffered() == 0 {
		c.hangUp(closeTime)
		return
	}
	if now < c.deadline {
		return
	}
	switch {
	case c.phase == watching:
		c.expire(ReasonExpired)
		return
	case c.hurry:
		_ = c.gc.SetLinger(0)
	case c.phase != readingHead || c.gc.InboundBuffered() == 0:
	case c.introducing():
		c.srv.blameProxy(c.remote, errProxyLate)
	default:
		c.give(c.srv.refuse(408, "the request's head took too long", false))
		return
	}
	_ = c.loop.el.Close(c.gc)
}

// detach takes the connection off the loop: it returns a blocking-style net.Conn for
// the same socket and the bytes received so far. The gnet connection must be closed
// right after, which the phase gone makes OnTraffic do.
func (c *conn) detach() (net.Conn, []byte, error) {
	buffered, _ := c.gc.Peek(-1)
	prefix := append([]byte(nil), buffered...)
	nc, err := dupConn(c.gc)
	if err != nil {
		return nil, nil, err
	}
	_, _ = c.gc.Discard(-1)
	c.loop.forget(c)
	c.phase = gone
	return nc, prefix, nil
}
