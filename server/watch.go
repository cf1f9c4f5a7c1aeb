package server

import (
	"math"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// watch makes the connection a viewer and gives it what there is at once.
func (c *conn) watch(a answer) {
	t := a.watch
	seq, h := startPlace(t, c.srv.settings.Load())
	if h == nil { // it ended since the request was looked at
		a.drop()
		c.give(c.srv.notLive(false))
		return
	}
	g := c.loop.groupOf(t.stream)
	v := &viewer{
		cursor: cursor{seq: seq, epoch: h.Epoch, old: t.old, relay: t.relay, fixed: t.fixed, pre: [2][]byte{a.head, h.Frame}},
		fd:     c.gc.Fd(), joining: true, asked: t.asked, conn: c.gc, group: g, seat: t, veil: c.veil,
	}
	t.start = seq
	_ = c.gc.SetWriteBuffer(sendBuffer(t.stream))
	c.viewer = v
	c.rest(watching)
	if t.ends != 0 {
		c.await(watching, time.Duration(t.ends-stream.Monotonic()))
	}
	c.srv.enter(t)
	g.add(v)
	c.loop.firstTurn(v)
}

// firstTurn serves a new viewer outside of a pass.
func (l *loop) firstTurn(v *viewer) {
	now := stream.Monotonic()
	g := v.group
	g.until = math.MaxUint64 // the next pass takes all that is there now
	g.settle(v, v.turn(l, now), now)
	g.report()
	l.seeOff()
	if g.retryAt == 0 {
		return
	}
	if !g.listed {
		g.listed = true
		l.owing = append(l.owing, g)
	}
	l.pulse.wake()
}

// expire ends a viewer whose time is over, or who has to go for the uplink's sake, in order:
// with the end of the stream behind the packet that it is being sent. One that does not take
// that within lingerTime is cut off.
func (c *conn) expire(why Reason) {
	v := c.viewer
	if v == nil {
		c.cut(why)
		return
	}
	if v.expired {
		c.cut(v.endsFor)
		return
	}
	v.expired, v.endsFor = true, why
	c.hurry = why == ReasonUplink
	c.await(watching, lingerTime)
	c.loop.firstTurn(v)
}

// unseat takes the viewer off the connection, if it is one.
func (c *conn) unseat(why Reason) {
	v := c.viewer
	if v == nil {
		return
	}
	c.viewer = nil
	d := v.describe()
	v.drop()
	g := v.group
	g.remove(v)
	if len(g.viewers) == 0 {
		c.loop.drop(g)
	}
	c.srv.leave(v.seat, d, why)
}

// Bounds of the kernel's share. Left alone, the send buffer of one stalled viewer grows
// to megabytes, which hides him for half a minute. The kernel doubles what it is told,
// for its own overhead.
const (
	sendBufferMin = 64 << 10
	sendBufferMax = 256 << 10
	sendSeconds   = 2
)

// sendBuffer is the size to ask for, for a viewer of the stream.
func sendBuffer(s *stream.Stream) int { return SendBuffer(s.Cost()) }

// SendBuffer returns the send buffer, in bytes, that the server asks the kernel for, for
// a viewer of a stream of so many bit/s: half of two seconds of it, within bounds. Linux
// grants twice that, if net.core.wmem_max is no less.
func SendBuffer(bitsPerSecond int64) int {
	bytes := int(bitsPerSecond/8) * sendSeconds
	return max(sendBufferMin, min(bytes/2, sendBufferMax), ringbuf.MaxSlab)
}
