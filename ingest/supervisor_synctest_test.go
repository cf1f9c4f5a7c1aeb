package ingest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// actor is a source that a test switches on and off. While it is on it sends a packet every 40 ms of a clock that
// all actors of a test share, a key frame in every fifth.
type actor struct {
	name   string
	header []byte
	clock  time.Time

	mu    sync.Mutex
	on    bool
	off   chan struct{} // closed when it is switched off
	asked int
}

func newActor(name string, width uint32, on bool) *actor {
	a := &actor{name: name, header: testHeader(width), clock: time.Now(), off: make(chan struct{})}
	a.on = on
	return a
}

func (a *actor) Name() string { return a.name }

func (a *actor) turn(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on && !on {
		close(a.off)
		a.off = make(chan struct{})
	}
	a.on = on
}

func (a *actor) attempts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

var errOff = errors.New("switched off")

func (a *actor) Run(ctx context.Context, f *Feed) error {
	a.mu.Lock()
	a.asked++
	on, off := a.on, a.off
	a.mu.Unlock()
	if !on {
		return errOff
	}
	if err := f.Header(a.header); err != nil {
		return err
	}
	for n := int(time.Since(a.clock)/(40*time.Millisecond)) + 1; ; n++ {
		select {
		case <-time.After(time.Until(a.clock.Add(time.Duration(n) * 40 * time.Millisecond))):
		case <-off:
			return errOff
		case <-ctx.Done():
			return ctx.Err()
		}
		slab := f.Slab(testPacket)
		copy(slab.Bytes()[headBytes:], packet(n, uint32(n*40), n%5 == 0))
		if err := f.Packet(slab, Location{}); err != nil {
			return err
		}
	}
}

// supervised runs a supervisor until the test is over.
func (r *rig) supervised(t *testing.T, o SupervisorOptions) *Supervisor {
	o.Stream, o.Timeline = r.s, r.tl
	s := NewSupervisor(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("supervisor ended with %v", err)
		}
	})
	return s
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) expect(t *testing.T, state stream.State, source string) {
	t.Helper()
	if r.s.State() != state || r.s.Source() != source {
		t.Errorf("state %v of %q, want %v of %q", r.s.State(), r.s.Source(), state, source)
	}
}

// steady checks that numbers counted on and times did not go back, over everything published since the last call.
func (r *rig) steady(t *testing.T) int {
	t.Helper()
	list := r.data()
	for i := 1; i < len(list); i++ {
		if list[i].location != list[i-1].location+1 || list[i].Time < list[i-1].Time {
			t.Fatalf("packet %d: LocationId %d after %d, time %d after %d", i,
				list[i].location, list[i-1].location, list[i].Time, list[i-1].Time)
		}
	}
	return len(list)
}

func TestSupervisorKeepsOneSourceGoing(t *testing.T) { // MUST-C3
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a := newActor("a", 320, false)
		r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{a}}})
		after(100 * time.Millisecond)
		r.expect(t, stream.Connecting, "")
		after(10 * time.Minute)
		if n := a.attempts(); n < 600/30 || n > 600/15+10 {
			t.Errorf("asked %d times in ten minutes: pauses of 15 to 30 s were to be", n)
		}
		a.turn(true)
		after(31 * time.Second)
		r.expect(t, stream.Live, "a")
		before := a.attempts()
		for range 3 {
			after(20 * time.Second)
			a.turn(false)
			a.turn(true) // back at once
			after(1500 * time.Millisecond)
			r.expect(t, stream.Live, "a")
		}
		if n := a.attempts() - before; n != 3 {
			t.Errorf("asked %d times for three losses: after a good run the first pause is short", n)
		}
		if n := r.s.Metrics().SourceReconnects.Load(); n != uint64(a.attempts()-1) {
			t.Errorf("%d reconnects counted, %d attempts made", n, a.attempts())
		}
		r.steady(t)
	})
}

func TestSupervisorFailsOverAndReturns(t *testing.T) { // MUST-C3, MUST-X3
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, b, c := newActor("a", 320, true), newActor("b", 320, false), newActor("c", 320, true)
		r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{a, b, c}, ReturnAfter: 10 * time.Second}})
		after(15 * time.Second)
		r.expect(t, stream.Live, "a")
		a.turn(false)
		after(300 * time.Millisecond)
		r.expect(t, stream.Fallback, "c")
		b.turn(true)
		after(12 * time.Second)
		r.expect(t, stream.Fallback, "b")
		a.turn(true)
		after(12 * time.Second)
		r.expect(t, stream.Live, "a")
		if n := r.steady(t); n < 38*25 {
			t.Errorf("%d packets in 39 seconds at 25 a second", n)
		}
		b.turn(false)
		after(time.Minute)
		if n := b.attempts(); n != 2 {
			t.Errorf("the backup was asked %d times: once in vain, once as a trial that then played", n)
		}
	})
}

func TestSupervisorDoesNotFlapBetweenABadSourceAndABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, b := newActor("a", 320, true), newActor("b", 320, true)
		r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{a, b}, ReturnAfter: time.Hour}})
		after(time.Second)
		a.turn(false)
		a.turn(true) // lost after a second: no good run
		after(time.Second)
		r.expect(t, stream.Fallback, "b")
	})
}

func TestSupervisorLetsEncodersGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		b := newActor("b", 320, true)
		push := r.feed(func(o *FeedOptions) { o.Claim.Name = "push" })
		mustHeader(t, push, testHeader(320))
		give(t, push, -1, packets(0, 3)...)
		r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{b}, PushFirst: true}})
		after(time.Minute)
		if n := b.attempts(); n != 0 {
			t.Errorf("the backup was asked %d times while an encoder was there", n)
		}
		push.Lost()
		after(4 * time.Second)
		r.expect(t, stream.Fallback, "b")
		again := r.feed(func(o *FeedOptions) { o.Claim.Name = "push"; o.Trial = true })
		mustHeader(t, again, testHeader(320))
		give(t, again, -1, packet(5, 0, true))
		after(time.Minute)
		r.expect(t, stream.Live, "push")
		again.Lost()
		after(4 * time.Second)
		r.expect(t, stream.Fallback, "b")
	})
}

func TestSupervisorEnds(t *testing.T) {
	t.Run("without sources", func(t *testing.T) {
		r := newRig(t)
		if err := NewSupervisor(SupervisorOptions{Stream: r.s, Timeline: r.tl}).Run(t.Context()); !errors.Is(err, ErrNoSources) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("with its stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			done := make(chan error)
			go func() {
				done <- NewSupervisor(SupervisorOptions{Stream: r.s, Timeline: r.tl, RollOptions: RollOptions{Sources: []Source{newActor("a", 320, true)}}}).Run(t.Context())
			}()
			after(time.Second)
			r.s.Close()
			if err := <-done; !errors.Is(err, stream.ErrClosed) {
				t.Errorf("ended with %v", err)
			}
		})
	})
	t.Run("and gives up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_ = NewSupervisor(SupervisorOptions{Stream: r.s, Timeline: r.tl, RollOptions: RollOptions{Sources: []Source{newActor("a", 320, false)}}}).Run(ctx)
			r.expect(t, stream.Offline, "")
		})
	})
}

// A list that changes while a source delivers: who is in both goes on without a gap, whatever its place.
func TestSupervisorFollowsAnotherList(t *testing.T) {
	list := func(s ...Source) RollOptions { return RollOptions{Sources: s, ReturnAfter: time.Minute} }
	for name, tt := range map[string]struct {
		plays  string // at first: a, or b if a is off
		next   func(a, b, c Source) RollOptions
		state  stream.State
		source string
		asked  map[string]int // attempts after the change, within 20 seconds, at most
	}{
		"the first choice stays alone":             {"a", func(a, _, _ Source) RollOptions { return list(a) }, stream.Live, "a", map[string]int{}},
		"it gets backups":                          {"a", func(a, b, c Source) RollOptions { return list(a, b, c) }, stream.Live, "a", map[string]int{}},
		"a backup becomes the first choice":        {"b", func(_, b, _ Source) RollOptions { return list(b) }, stream.Live, "b", map[string]int{}},
		"a backup comes behind one that is there":  {"b", func(_, b, c Source) RollOptions { return list(c, b) }, stream.Live, "c", map[string]int{"c": 1}},
		"the first choice becomes a backup":        {"a", func(a, _, c Source) RollOptions { return list(c, a) }, stream.Live, "c", map[string]int{"c": 1}},
		"the one that plays is gone":               {"a", func(_, _, c Source) RollOptions { return list(c) }, stream.Live, "c", map[string]int{"c": 1}},
		"the one that plays is gone, and the next": {"a", func(_, b, c Source) RollOptions { return list(b, c) }, stream.Fallback, "c", map[string]int{"b": 6, "c": 1}},
		"encoders come first from now on":          {"a", func(a, _, _ Source) RollOptions { return RollOptions{Sources: []Source{a}, PushFirst: true} }, stream.Fallback, "a", map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				actors := map[string]*actor{"a": newActor("a", 320, tt.plays == "a"), "b": newActor("b", 320, tt.plays == "b"), "c": newActor("c", 320, true)}
				a, b, c := actors["a"], actors["b"], actors["c"]
				s := r.supervised(t, SupervisorOptions{RollOptions: list(a, b)})
				after(30 * time.Second)
				if s.Playing() != Source(actors[tt.plays]) {
					t.Fatalf("%v plays", s.Playing())
				}
				before := map[string]int{}
				for name, x := range actors {
					before[name] = x.attempts()
				}
				s.Update(tt.next(a, b, c))
				after(20 * time.Second)
				r.expect(t, tt.state, tt.source)
				if s.Playing() != Source(actors[tt.source]) {
					t.Errorf("%v plays, want %s", s.Playing(), tt.source)
				}
				for name, x := range actors {
					if n := x.attempts() - before[name]; n > tt.asked[name] || n == 0 && tt.asked[name] > 0 {
						t.Errorf("%s was asked %d times, want %d at most", name, n, tt.asked[name])
					}
				}
				if n := r.steady(t); n < 49*25 {
					t.Errorf("%d packets in 50 seconds at 25 a second", n)
				}
			})
		})
	}
}

// A better source that is not back yet when the list says so is tried soon again, not only after ReturnAfter.
func TestSupervisorTriesWhoIsNewInTheListSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, b := newActor("a", 320, false), newActor("b", 320, true)
		s := r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{b}, ReturnAfter: 10 * time.Minute}})
		after(time.Minute)
		s.Update(RollOptions{Sources: []Source{a, b}, ReturnAfter: 10 * time.Minute})
		after(2 * time.Second)
		if r.expect(t, stream.Fallback, "b"); a.attempts() == 0 {
			t.Error("it was not tried")
		}
		a.turn(true)
		after(8 * time.Second)
		r.expect(t, stream.Live, "a")
		r.steady(t)
	})
}

// Another list reaches a supervisor that waits: between two attempts, or for an encoder to leave.
func TestSupervisorFollowsAnotherListWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, b := newActor("a", 320, false), newActor("b", 320, true)
		s := r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{a}}, BackoffMin: time.Hour, BackoffMax: time.Hour})
		after(time.Minute)
		if s.Playing() != nil {
			t.Errorf("%v plays", s.Playing())
		}
		s.Update(RollOptions{Sources: []Source{b}})
		after(time.Second)
		r.expect(t, stream.Live, "b")
		b.turn(false)
		after(time.Second)
		push := r.feed(func(o *FeedOptions) { o.Claim.Name = "push" })
		mustHeader(t, push, testHeader(320))
		give(t, push, -1, packet(5, 0, true))
		s.Update(RollOptions{Sources: []Source{a}, PushFirst: true})
		after(time.Minute)
		a.turn(true)
		s.Update(RollOptions{Sources: []Source{b, a}, PushFirst: true})
		after(time.Minute)
		r.expect(t, stream.Live, "push")
		push.Lost()
		after(4 * time.Second)
		r.expect(t, stream.Fallback, "a")
	})
}

// Who knows that a source has come back ends the pause before the next attempt, and disturbs none that delivers.
func TestSupervisorHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a := newActor("a", 320, false)
		s := r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{a}}, BackoffMin: time.Hour, BackoffMax: time.Hour})
		after(time.Minute)
		s.Hurry()
		after(time.Minute)
		a.turn(true)
		after(time.Minute)
		if s.Playing() != nil {
			t.Errorf("%v plays before its time", s.Playing())
		}
		s.Hurry()
		after(time.Second)
		r.expect(t, stream.Live, "a")
		s.Hurry()
		after(time.Second)
		r.expect(t, stream.Live, "a")
	})
}
