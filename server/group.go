package server

import (
	"math"
	"sync/atomic"
	"syscall"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// group is the viewers of one stream on one event loop. The loop owns it; the publisher
// touches only dirty and next, through Wake.
type group struct {
	loop    *loop
	stream  *stream.Stream
	ring    *ringbuf.Ring
	viewers []*viewer
	seq     uint64 // where viewers that are up to date stand
	until   uint64 // where they stand behind the pass that is being made
	cancel  func() // ends the subscription

	// Of this pass, added to the stream's and the loop's figures at its end: bytes and
	// writes to viewers, and the system calls that made them.
	bytes, writes, calls uint64
	copied               uint64 // bytes of packets that were sealed, and so copied

	retryAt int64 // ns; when a viewer that is behind wants another turn, 0 for none
	listed  bool  // in loop.owing
	dirty   atomic.Bool
	next    *group // in loop.dirty
}

// Wake marks the group dirty and makes sure that a pass is due. Called by the publisher
// for every packet: one atomic load when a pass is due already.
func (g *group) Wake() {
	if g.dirty.Load() || !g.dirty.CompareAndSwap(false, true) {
		return
	}
	for {
		head := g.loop.dirty.Load()
		g.next = head
		if g.loop.dirty.CompareAndSwap(head, g) {
			break
		}
	}
	g.loop.pulse.wake()
}

// Due implements stream.Waker.
func (g *group) Due() int64 { return g.loop.pulse.next.Load() }

// Draws implements stream.Drawer.
func (g *group) Draws() {}

// drawTries bounds how often a source is looked at that another loop draws from, to some
// hundred µs; a draw takes some ten.
const drawTries = 10_000

// draw has the source publish what has come, if it is lent. What another loop is about to
// publish at this moment is waited for: with the next pass it would be two pulses old.
func (g *group) draw() {
	for range drawTries {
		if g.stream.Draw() {
			return
		}
	}
}

// idle tells that a pass would find nothing to do.
func (g *group) idle() bool { return g.retryAt == 0 && g.ring.Tail() == g.seq }

// flush is one pass over the viewers of the group: the hot path of the program.
//
// Stage 1 takes the packets published since the last pass once, retained, and builds
// the vectors once. Stage 2 gives every viewer that is up to date these vectors, with
// one writev each or in batches of io_uring; for those behind TLS they are sealed first.
// Stage 3 gives each of the others a turn of its own, up to the same packet, so that it
// shares the vectors of the next pass: one that got what was published meanwhile would be
// ahead of them for ever. Stage 4 drops the references; who has finished is closed by the
// loop behind the pass. Nothing is copied but what is sealed, nothing is allocated, and no
// lock is taken. Runs on the group's loop.
func (g *group) flush(now int64) {
	l := g.loop
	w := &l.common
	g.retryAt = 0
	plain := g.takeCommon(w)
	if g.until = g.seq + uint64(plain); w.end {
		g.until = math.MaxUint64 // each goes as far as it can
	}
	l.batch.begin(g, w, now)
	for _, v := range g.viewers {
		switch {
		case plain > 0 && v.seq == g.seq && v.fresh() && !v.joining && v.shares(w):
			l.batch.write(v)
		case v.seq == g.seq+uint64(plain) && v.fresh() && !w.end: // up to date, nothing new
		default:
			g.settle(v, v.turn(l, now), now)
		}
	}
	l.batch.flush()
	if w.end && plain > 0 { // what follows the common packets is different for each
		for _, v := range g.viewers {
			if v.seq == g.seq+uint64(plain) && v.fresh() {
				g.settle(v, v.turn(l, now), now)
			}
		}
	}
	g.seq += uint64(plain)
	w.release()
	g.report()
}

// takeCommon fills the common window with the packets from g.seq on, up to the first
// one that is not media, and returns how many there are. w.end tells that there is more
// in the ring that needs turns.
func (g *group) takeCommon(w *window) (plain int) {
	w.n, w.iovs, w.bytes, w.end = 0, 0, 0, false
	taken, lapped := g.ring.Take(g.seq, w.slabs[:])
	w.n = taken
	for _, s := range w.slabs[:taken] {
		if s.Kind != ringbuf.Data {
			w.end = true
			break
		}
		w.add(s.Bytes())
		plain++
	}
	if taken == len(w.slabs) || lapped {
		g.retryAt = 1 // there is more than this window has: another pass at once
	}
	if lapped && taken == 0 { // the loop itself was too slow: every viewer finds its own place
		w.end = true
		g.seq = g.ring.Tail()
	}
	return plain
}

// shared accounts for a write of the common window to a viewer that was up to date.
func (g *group) shared(v *viewer, w *window, n int, errno syscall.Errno, now int64) {
	g.writes++
	if errno == 0 && n == w.bytes {
		v.bytes += uint64(n)
		g.bytes += uint64(n)
		v.seq += uint64(w.iovs)
		v.waiting = false
		return
	}
	g.settle(v, v.short(g, w, n, errno, now), now)
}

// settle acts on the outcome of a viewer's turn.
func (g *group) settle(v *viewer, out outcome, now int64) {
	switch out {
	case current:
	case behind:
		at := now
		if v.waiting {
			at = v.retryAt
		}
		if g.retryAt == 0 || at < g.retryAt {
			g.retryAt = at
		}
	default:
		g.loop.leaving = append(g.loop.leaving, departure{v, out})
	}
}

// report adds the pass to the stream's figures.
func (g *group) report() {
	m := g.stream.Metrics()
	m.BytesOut.Add(g.bytes)
	m.WriteCalls.Add(g.writes)
	g.loop.calls.Add(int64(g.calls))
	if g.copied > 0 {
		g.loop.srv.copied.Add(g.copied)
	}
	g.bytes, g.writes, g.calls, g.copied = 0, 0, 0, 0
}

// add seats a viewer.
func (g *group) add(v *viewer) {
	v.index = len(g.viewers)
	g.viewers = append(g.viewers, v)
}

// remove takes a viewer out; the last one takes its place.
func (g *group) remove(v *viewer) {
	last := len(g.viewers) - 1
	g.viewers[v.index] = g.viewers[last]
	g.viewers[v.index].index = v.index
	g.viewers[last] = nil
	g.viewers = g.viewers[:last]
}
