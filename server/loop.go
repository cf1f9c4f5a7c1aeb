package server

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/stream-pump/stream-pump/stream"
)

// loop is what the server keeps for one event loop. Apart from dirty, pulse and the
// figures at the end, all of it belongs to the loop's goroutine.
type loop struct {
	srv     *Server
	engine  *gnet.Client // of this loop alone
	el      gnet.EventLoop
	groups  map[*stream.Stream]*group
	order   []*group           // the same, in the order in which they came
	owing   []*group           // groups with viewers that want another turn
	conns   map[*conn]struct{} // connections with a deadline: a head, a body or a close is awaited
	leaving []departure        // viewers that finished during the pass
	common  window             // packets that are new to everybody
	own     window             // packets of one viewer's turn
	batch   batch              // writes of the common window
	seal    sealing            // memory for viewers behind TLS
	depth   sounder            // of an uplink that is learnt

	dirty atomic.Pointer[group] // groups with new packets, a stack pushed by publishers
	pulse *pulse
	fill  fill
	bell  *bell

	load  atomic.Int32 // connections
	timed atomic.Int32 // connections with a deadline: none, and nobody needs to wake the loop for them
	worst atomic.Int64 // ns, the longest pass since it was asked for
	busy  atomic.Int64 // ns spent in passes, and on what connections have sent
	calls atomic.Int64 // system calls that wrote to viewers
}

func newLoop(s *Server, el gnet.EventLoop, b *bell) *loop {
	l := &loop{srv: s, el: el, bell: b, groups: map[*stream.Stream]*group{}, conns: map[*conn]struct{}{}}
	l.pulse = newPulse(s.settings.Load, b.ring, false)
	l.batch.reap = l.batch.done
	return l
}

// watchOver and forget keep the connections that have a deadline.
func (l *loop) watchOver(c *conn) {
	l.conns[c] = struct{}{}
	l.timed.Store(int32(len(l.conns)))
}

func (l *loop) forget(c *conn) {
	delete(l.conns, c)
	l.timed.Store(int32(len(l.conns)))
}

// departure is a viewer that a pass has done with.
type departure struct {
	v   *viewer
	out outcome
}

// groupOf returns the group of a stream, made when there is none. Runs on the loop.
func (l *loop) groupOf(s *stream.Stream) *group {
	g := l.groups[s]
	if g == nil {
		g = &group{loop: l, stream: s, ring: s.Ring(), seq: s.Ring().Tail()}
		l.groups[s] = g
		l.order = append(l.order, g)
		g.cancel = s.Subscribe(g)
	}
	return g
}

// drop forgets a group without viewers.
func (l *loop) drop(g *group) {
	g.cancel()
	delete(l.groups, g.stream)
	i := slices.Index(l.order, g)
	l.order = slices.Delete(l.order, i, i+1)
}

// flush passes over every group that has new packets or owes bytes. A source that is lent
// is drawn from right before its viewers are written to, as late as can be, and while its
// packets are in the processor's cache. Runs on the loop.
func (l *loop) flush() {
	start := l.pulse.begin()
	now := start
	lent := l.listLent()
	var longest int64
	for _, g := range l.takeDirty() {
		g.listed = false
		g.draw()
		if g.idle() {
			continue
		}
		g.flush(now)
		end := stream.Monotonic()
		g.stream.Metrics().Flush.ObserveDuration(time.Duration(end - now))
		longest = max(longest, end-now)
		now = end
	}
	l.seeOff()
	took := int64(l.pulse.end(start, l.nextTurn(now)))
	l.fill.passed(time.Duration(longest), l.pulse.smooth, interval(l.pulse.smooth, l.srv.settings.Load()))
	if lent {
		l.pulse.wake() // nobody else would: what comes until then is published by that pass
	}
	l.busy.Add(took)
	if took > l.worst.Load() {
		l.worst.Store(took)
	}
}

// listLent adds to owing the groups whose sources are lent, and tells whether there are any.
func (l *loop) listLent() (lent bool) {
	for _, g := range l.order {
		if !g.stream.Lent() {
			continue
		}
		lent = true
		if !g.listed {
			g.listed = true
			l.owing = append(l.owing, g)
		}
	}
	return lent
}

// takeDirty returns the groups of this pass: those in owing, with the newly dirty added.
func (l *loop) takeDirty() []*group {
	due := l.owing
	for g := l.dirty.Swap(nil); g != nil; {
		next := g.next
		g.next = nil
		g.dirty.Store(false) // before the ring is read: what is published later is dirty again
		if !g.listed {
			g.listed = true
			due = append(due, g)
		}
		g = next
	}
	l.owing = due
	return due
}

// nextTurn keeps in owing the groups that want another turn and returns when the first
// of them does; 0 when there are none.
func (l *loop) nextTurn(now int64) time.Duration {
	keep := l.owing[:0]
	var at int64
	for _, g := range l.owing {
		if g.retryAt == 0 || len(g.viewers) == 0 {
			continue
		}
		g.listed = true
		keep = append(keep, g)
		if at == 0 || g.retryAt < at {
			at = g.retryAt
		}
	}
	clear(l.owing[len(keep):])
	l.owing = keep
	if at == 0 {
		return 0
	}
	return time.Duration(max(at-now, int64(time.Millisecond)))
}

// seeOff closes the viewers that the pass has done with.
func (l *loop) seeOff() {
	for _, d := range l.leaving {
		c, ok := d.v.conn.Context().(*conn)
		if !ok || c.viewer != d.v {
			continue // gone meanwhile
		}
		switch d.out {
		case finished:
			why := l.srv.endReason()
			if d.v.changed {
				why = ReasonChanged
			}
			if d.v.expired {
				why = d.v.endsFor
			}
			c.finish(why)
		case stalled:
			c.cut(ReasonStalled)
		default:
			c.cut(ReasonError)
		}
	}
	clear(l.leaving)
	l.leaving = l.leaving[:0]
}

// task is a piece of work for an event loop.
type task func()

// Run implements gnet.Runnable.
func (t task) Run(context.Context) error {
	t()
	return nil
}

// call runs f on the loop and waits until it has run; false when the loop is gone or
// ctx is done first.
func (l *loop) call(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	err := l.el.Execute(ctx, task(func() {
		f()
		close(done)
	}))
	if err != nil {
		return false
	}
	select {
	case <-done:
		return true
	case <-l.srv.stopped:
		return false
	case <-ctx.Done():
		return false
	}
}
