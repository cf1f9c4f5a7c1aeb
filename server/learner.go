package server

import "time"

// How an uplink is learnt. It is full when, for a second, half of the viewers are behind
// although they read, or an eighth who were not behind before; when bytes arrive at some of
// these; and when no more arrives at all together than what they are sent. Then what arrives
// is what the uplink carries. (Half, or an eighth: a line that is a little too narrow starves
// some connections and leaves the others alone. At some: on one that is far too narrow most
// wait for their turn to repeat what was lost.)
const (
	learnTicks  = 4                // looks in a row that have to say so
	learnMost   = 1.02             // of what viewers are sent: where more arrives they are catching up
	learnSteady = 0.7              // of the better half of the looks that the worse half has at least: else something is broken
	learnFew    = 4                // viewers who fall behind; fewer have a reason of their own
	provenTime  = 30 * time.Second // who has watched for so long stays, whatever happens
	restTime    = 3 * time.Second  // for the queues of those who were sent away
	reliefShare = 0.8              // of it that may be used at least until nobody is behind any more: they have to catch up
	growTime    = time.Minute      // without anybody falling behind, then it may be a little more
	growBy      = 1.01
)

// look is one look at the uplink. Rates are in bit/s on the wire.
type look struct {
	at int64 // ns
	sounding
	arriving float64
	sent     float64 // what everybody who is there costs
}

// full tells whether the look shows an uplink that has no room.
func (k look) full() bool {
	many := k.behind >= learnFew && 2*k.behind >= k.asked || k.fallen >= learnFew && 8*k.fallen >= k.asked
	return many && 4*k.moving >= k.behind && k.arriving < learnMost*k.sent
}

// free tells whether it shows that nothing is wrong.
func (k look) free() bool { return 4*k.behind <= k.asked && 16*k.fallen <= k.asked }

// learner finds out what an uplink carries. It knows no clock and asks nobody; the zero
// value knows nothing.
type learner struct {
	capacity float64 // bit/s on the wire, 0 unknown
	run      []look  // the last ones, all of them full
	tight    bool    // it was full, and has not been free since
	share    float64 // of it that may be used until it is free
	smooth   float64 // bit/s, what has arrived over the last few looks
	good     int64   // ns, the last look that was free
	quiet    int64   // ns, until then looks are not believed
	grown    int64   // ns, when the capacity was last learnt or raised
}

// lesson is what follows from a look.
type lesson struct {
	learnt bool    // the capacity was, just now
	excess float64 // bit/s on the wire that viewers are to be relieved of, those first who came last
	since  int64   // ns; who asked earlier stays
}

// observe takes in one look.
func (n *learner) observe(k look) lesson {
	n.smooth += (k.arriving - n.smooth) / learnTicks
	if k.at < n.quiet {
		return lesson{}
	}
	if !k.full() {
		n.run = n.run[:0]
		n.relax(k)
		return lesson{}
	}
	if n.run = append(n.run, k); len(n.run) < learnTicks {
		return lesson{}
	}
	mean, steady := n.carried()
	n.run = append(n.run[:0], n.run[1:]...)
	if !steady {
		return lesson{}
	}
	n.capacity, n.grown, n.tight = mean, k.at, true
	n.share = min(max(2-k.sent/mean, reliefShare), uplinkShare) // as far below as it was above, within bounds
	out := lesson{learnt: true, since: n.good - int64(provenTime)}
	if out.excess = k.sent - n.share*mean; out.excess > 0 {
		n.quiet, n.run = k.at+int64(restTime), n.run[:0]
	}
	return out
}

// budget is what everybody may be expected to use, in bit/s on the wire; 0 is no bound.
func (n *learner) budget() int64 {
	if n.tight {
		return int64(n.capacity * n.share)
	}
	return uplinkBudget(int64(n.capacity))
}

// relax draws the conclusions from a look at an uplink that is not full.
func (n *learner) relax(k look) {
	if !k.free() {
		return
	}
	n.good, n.tight = k.at, false
	if n.capacity == 0 {
		return
	}
	n.capacity = max(n.capacity, n.smooth)
	if k.at-n.grown >= int64(growTime) {
		n.capacity, n.grown = n.capacity*growBy, k.at
	}
}

// carried returns what arrived on the average of the run, and whether that was steady.
func (n *learner) carried() (mean float64, steady bool) {
	var first, second float64
	for i, k := range n.run {
		if i < len(n.run)/2 {
			first += k.arriving
		} else {
			second += k.arriving
		}
	}
	return (first + second) / float64(len(n.run)), min(first, second) >= learnSteady*max(first, second)
}
