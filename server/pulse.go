package server

import (
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// pulse decides when passes over viewers are made, for one event loop or for all guests.
// A system call costs the same however little it carries, so the cost of a viewer is
// passes per second: the pulse is short while passes are short and stretches with them,
// up to a bound.
//
// A publisher's wake is one atomic load when a pass is due already. Else it calls for
// the pass at once if the last one is long enough ago, or sets a timer that will. Wakes
// that come during a pass count for the next one.
type pulse struct {
	due      atomic.Bool
	next     atomic.Int64 // ns, monotonic: no pass before
	timer    *time.Timer  // calls for a pass that is due
	later    *time.Timer  // wakes, for those who want another turn though nothing is published
	call     func()       // has a pass made, by begin and end on some other goroutine; must not block
	settings func() *Settings
	smooth   time.Duration // mean length of a pass; of whoever makes the passes
}

// newPulse returns a pulse that has passes made by call. When call is not fit for the
// publisher's goroutine, timed has it always called by the timer.
func newPulse(settings func() *Settings, call func(), timed bool) *pulse {
	p := &pulse{call: call, settings: settings}
	p.next.Store(stream.Monotonic())
	p.timer = time.AfterFunc(time.Hour, call)
	p.timer.Stop()
	p.later = time.AfterFunc(time.Hour, p.wake)
	p.later.Stop()
	if timed {
		p.call = func() { p.timer.Reset(0) }
	}
	return p
}

// wake makes a pass due. Any goroutine; never blocks.
func (p *pulse) wake() {
	if p.due.Load() || !p.due.CompareAndSwap(false, true) {
		return
	}
	if wait := p.next.Load() - stream.Monotonic(); wait > 0 {
		p.timer.Reset(time.Duration(wait))
		return
	}
	p.call()
}

// begin is called when a pass begins, before it looks for what there is to send, and
// returns the time.
func (p *pulse) begin() (now int64) {
	now = stream.Monotonic()
	p.next.Store(now + int64(interval(p.smooth, p.settings())))
	p.due.Store(false)
	return now
}

// end is called when the pass that began at start is over. again is after how long
// another is wanted even if nothing is published, 0 for not.
func (p *pulse) end(start int64, again time.Duration) (took time.Duration) {
	took = time.Duration(stream.Monotonic() - start)
	p.smooth += (took - p.smooth) / 4
	pulse := interval(p.smooth, p.settings())
	p.next.Store(start + int64(pulse))
	if again > 0 {
		p.later.Reset(again)
	}
	return took
}

// stop ends the timers; wakes after it may still call for a pass.
func (p *pulse) stop() {
	p.timer.Stop()
	p.later.Stop()
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
