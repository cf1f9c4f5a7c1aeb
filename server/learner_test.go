package server

import (
	"math"
	"testing"
	"time"
)

// way is an uplink with viewers, as a learner sees it: one look each quarter of a second.
type way struct {
	*testing.T
	n  learner
	at int64
}

func (w *way) look(asked, behind int, arriving, sent float64) lesson {
	w.at += int64(tickEvery)
	moving := behind
	if arriving == 0 {
		moving = 0
	}
	return w.n.observe(look{at: w.at, sounding: sounding{asked: asked, behind: behind, moving: moving}, arriving: arriving, sent: sent})
}

// looks makes as many looks as pass in that time and returns the last lesson that was one.
func (w *way) looks(d time.Duration, asked, behind int, arriving, sent float64) (last lesson) {
	for range int(d / tickEvery) {
		if l := w.look(asked, behind, arriving, sent); l.learnt {
			last = l
		}
	}
	return last
}

func TestWhatTeachesTheUplink(t *testing.T) {
	for _, c := range []struct {
		name          string
		asked, behind int
		arriving      float64
		sent          float64
		want          float64
	}{
		{"nobody is behind", 100, 0, 30e6, 30e6, 0},
		{"many are, and less arrives than is sent", 100, 60, 20e6, 30e6, 20e6},
		{"all are", 100, 100, 20e6, 60e6, 20e6},
		{"as much arrives as is sent, and half stays behind", 100, 50, 20e6, 20.1e6, 20e6},
		{"a fifth is: they have a reason of their own", 100, 20, 20e6, 30e6, 0},
		{"a few are, of few", 4, 3, 2e6, 4e6, 0},
		{"four of four are", 4, 4, 2e6, 4e6, 2e6},
		{"they are catching up", 100, 90, 40e6, 30e6, 0},
		{"nothing arrives: the cable is cut", 100, 100, 0, 30e6, 0},
		{"nobody watches", 0, 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &way{T: t}
			w.looks(2*time.Second, c.asked, c.behind, c.arriving, c.sent)
			if w.n.capacity != c.want {
				t.Errorf("%v, want %v", w.n.capacity, c.want)
			}
		})
	}
}

// Of those behind a part is enough at whom bytes arrive.
func TestAPartHasToMove(t *testing.T) {
	for moving, want := range map[int]bool{100: true, 25: true, 24: false, 0: false} {
		if got := (look{sounding: sounding{asked: 100, behind: 100, moving: moving}, arriving: 20e6, sent: 60e6}).full(); got != want {
			t.Errorf("%d of 100 moving: %v", moving, got)
		}
	}
}

// A line that is a little too narrow starves some and leaves the others alone: an eighth is
// many, if they were not behind before.
func TestAnEighthHasToFall(t *testing.T) {
	for _, c := range []struct {
		asked, fallen int
		full, free    bool
	}{{80, 10, true, false}, {80, 9, false, false}, {80, 5, false, true}, {8, 3, false, false}, {8, 4, true, false}, {80, 0, false, true}} {
		k := look{sounding: sounding{asked: c.asked, behind: c.asked / 4, moving: c.asked / 4, fallen: c.fallen}, arriving: 20e6, sent: 25e6}
		if c.fallen == 4 {
			k.behind, k.moving = 4, 4
		}
		if k.full() != c.full || k.free() != c.free {
			t.Errorf("%d of %d: full %v, free %v", c.fallen, c.asked, k.full(), k.free())
		}
	}
}

// A line that breaks down is not a narrow one: what arrives falls away from look to look.
func TestALineThatBreaksTeachesNothing(t *testing.T) {
	w := &way{T: t}
	for _, arriving := range []float64{30e6, 28e6, 12e6, 4e6, 1e6, 0, 0, 0, 0} {
		if l := w.look(100, 100, arriving, 30e6); l.learnt {
			t.Fatalf("learnt %v", w.n.capacity)
		}
	}
}

func TestThreeLooksAreNotEnough(t *testing.T) {
	w := &way{T: t}
	for range learnTicks - 1 {
		w.look(100, 100, 20e6, 30e6)
	}
	w.look(100, 0, 30e6, 30e6)
	w.look(100, 100, 20e6, 30e6)
	if w.n.capacity != 0 {
		t.Errorf("learnt %v", w.n.capacity)
	}
}

// Who goes makes room for the others to catch up, and nobody goes who had watched for half a
// minute before it began; then the queues get a moment.
func TestWhoHasToGo(t *testing.T) {
	w := &way{T: t}
	w.looks(time.Minute, 100, 0, 12e6, 12e6)
	good := w.at
	l := w.looks(time.Second, 100, 100, 20e6, 60e6)
	if want := 60e6 - reliefShare*20e6; math.Abs(l.excess-want) > 1 || l.since != good-int64(provenTime) {
		t.Fatalf("%+v, want an excess of %v since %v", l, want, good-int64(provenTime))
	}
	if got := w.n.budget(); got != 16e6 {
		t.Errorf("%d while they catch up", got)
	}
	if l := w.looks(restTime-tickEvery, 100, 100, 20e6, 60e6); l.learnt {
		t.Errorf("the queues had no time: %+v", l)
	}
	w.look(100, 0, 15e6, 15e6) // the rest is over
	w.look(100, 0, 15e6, 15e6)
	if got := w.n.budget(); got != 19e6 {
		t.Errorf("%d when they have caught up, want 19 Mbit/s", got)
	}
}

// The less there was too much, the fewer have to go.
func TestAsManyGoAsWereTooMany(t *testing.T) {
	for sent, share := range map[float64]float64{20.2e6: 0.95, 21e6: 0.95, 22e6: 0.9, 24e6: 0.8, 60e6: 0.8} {
		w := &way{T: t}
		if l := w.looks(time.Second, 100, 100, 20e6, sent); math.Abs(l.excess-(sent-share*20e6)) > 1 {
			t.Errorf("of %.1f Mbit/s %v are too much, want %v", sent/1e6, l.excess, sent-share*20e6)
		}
	}
}

// What was learnt is no law: more arrives without anybody falling behind, or nothing is wrong
// for long, and it is a little more.
func TestTheUplinkMayGrow(t *testing.T) {
	w := &way{T: t}
	w.looks(time.Second, 100, 100, 20e6, 20.2e6)
	w.looks(10*time.Minute, 100, 0, 19e6, 19e6)
	if got := w.n.capacity / 20e6; got < 1.08 || got > 1.11 {
		t.Errorf("after ten minutes %.3f times as much", got)
	}
	w.looks(5*time.Second, 100, 0, 30e6, 30e6)
	if got := w.n.capacity; got < 29e6 || got > 30e6 {
		t.Errorf("30 Mbit/s arrive, it is taken for %v", got)
	}
	w.looks(2*time.Second, 100, 80, 10e6, 19e6)
	if got := w.n.capacity; got != 10e6 {
		t.Errorf("it has become narrow, and is taken for %v", got)
	}
}
