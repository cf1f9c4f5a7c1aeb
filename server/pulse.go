package server

import (
	"context"
	"sync/atomic"
	"time"
)

// pulse decides when an event loop passes over its viewers. A system call costs the
// same however little it carries, so the cost of a viewer is passes per second: the
// pulse is short while passes are short and stretches with them, up to a bound.
//
// The publisher's wake is two atomic operations when a pass is due already; the
// goroutine of run waits out the pulse and has the loop make one pass.
type pulse struct {
	due  atomic.Bool
	kick chan struct{}
}

func newPulse() *pulse { return &pulse{kick: make(chan struct{}, 1)} }

// wake makes a pass due. Any goroutine; never blocks.
func (p *pulse) wake() {
	if p.due.Load() || !p.due.CompareAndSwap(false, true) {
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// pass is one pass of a loop: how long it took, and after how long the loop wants
// another even if nothing is published (0: not).
type pass struct {
	took  time.Duration
	again time.Duration
}

// run makes passes until ctx is done. do makes one and returns false when the loop is
// gone; settings may change between passes.
func (p *pulse) run(ctx context.Context, settings func() *Settings, do func() (pass, bool)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last time.Time
	var smooth, again time.Duration
	for {
		if again > 0 {
			timer.Reset(again)
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		case <-timer.C:
			if again == 0 {
				continue
			}
		}
		if wait := interval(smooth, settings()) - time.Since(last); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		last = time.Now()
		p.due.Store(false)
		done, ok := do()
		if !ok {
			return
		}
		smooth += (done.took - smooth) / 4
		again = done.again
	}
}

// Shape of the pulse: a pass may take 1/passShare of it, beyond a pass of passFree,
// which a small audience stays under and which costs it no latency.
const (
	passShare = 100
	passFree  = time.Millisecond
)

// interval returns the time from one pass to the next, for passes that take took.
func interval(took time.Duration, set *Settings) time.Duration {
	return min(max((took-passFree)*passShare, set.PulseMin), set.PulseMax)
}
