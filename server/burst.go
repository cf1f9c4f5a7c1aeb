package server

import (
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
)

// Nobody waits for ever. Who has waited for longer than was to be expected joins without a
// burst: with the next key frame that comes, and where that takes too long, with the next
// packet. The bounds hold for him too.
const (
	heldMost  = access.BurstWait
	shortSpan = 250 * time.Millisecond // of packets, which are no burst
)

// mayBurst tells whether a joining viewer may get packets now.
func (t *seat) mayBurst(now int64) bool { return t.ticket.MayBurst(now) }

// expectedBurst returns how many bytes a viewer who joins now is likely to get at once.
func expectedBurst(st *stream.Stream, back time.Duration) int64 {
	seq, h := livePlace(st, back)
	if h == nil {
		return 0
	}
	m, there := st.Ring().Peek(seq)
	if !there {
		return int64(len(h.Frame))
	}
	span := time.Duration(max(st.Ring().Newest()-m.Arrived, 0))
	return int64(len(h.Frame)) + int64(float64(st.Cost())/8*span.Seconds())
}

// slipsIn has a viewer who has waited for too long join without a burst, if it has not
// begun and this is the moment.
func (c *cursor) slipsIn(t *seat, now int64, set *Settings) bool {
	if t.slipped {
		return true
	}
	held := time.Duration(now - t.asked)
	if held <= heldMost || c.partial != nil || c.seq != t.start {
		return false
	}
	seq, h := livePlace(t.stream, 0)
	if h == nil || h.Epoch != c.epoch || seq < c.seq {
		return false
	}
	r := t.stream.Ring()
	m, there := r.Peek(seq)
	if there && r.Newest()-m.Arrived > int64(shortSpan) {
		if held <= 2*heldMost {
			return false
		}
		seq = r.Tail()
	}
	c.seq, t.start, t.slipped = seq, seq, true
	return true
}

// beginAnew moves a joining viewer that had to wait to where one that comes now would
// begin, unless it has begun: what it would have got is old by now, and would be a longer
// burst for everybody to wait for.
func (c *cursor) beginAnew(t *seat, set *Settings) {
	if c.partial != nil || c.seq != t.start {
		return
	}
	if seq, h := livePlace(t.stream, t.stream.BurstMax(set.BurstMax)); h != nil && h.Epoch == c.epoch && seq > c.seq {
		c.seq, t.start = seq, seq
	}
}

// mustWait tells whether a joining viewer has to wait with its first packets. Its header it
// gets at once: a player that waits without a byte looks broken. Runs on the loop.
func (v *viewer) mustWait(now int64, set *Settings) bool {
	if !v.seat.mayBurst(now) && !v.slipsIn(v.seat, now, set) {
		v.waited = true
		return true
	}
	if v.waited {
		v.waited = false
		v.beginAnew(v.seat, set)
	}
	return false
}

// mustWait is the same for a guest.
func (g *guest) mustWait(set *Settings) bool {
	now := stream.Monotonic()
	if !g.seat.mayBurst(now) && !g.slipsIn(g.seat, now, set) {
		g.waited = true
		return true
	}
	if g.waited {
		g.waited = false
		g.beginAnew(g.seat, set)
	}
	return false
}
