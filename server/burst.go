package server

import (
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// heldMost is how long a joining viewer may be held for the bounds of bursts: then it gets
// its burst whatever they say. Nobody waits for ever.
const heldMost = 10 * time.Second

// mayBurst tells whether a joining viewer may get packets now.
func (t *seat) mayBurst(now int64) bool {
	return t.ticket.MayBurst(now) || now-t.asked > int64(heldMost)
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
	if !v.seat.mayBurst(now) {
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
	if !g.seat.mayBurst(stream.Monotonic()) {
		g.waited = true
		return true
	}
	if g.waited {
		g.waited = false
		g.beginAnew(g.seat, set)
	}
	return false
}
