package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// Who counts as behind for the uplink's sake, of viewers of a stream that costs next to
// nothing: their queue has to be 8 KiB.
func TestWhoIsBehindForTheUplink(t *testing.T) {
	const tick = int64(tickEvery)
	for _, c := range []struct {
		name string
		was  path
		is   path
		want sounding
	}{
		{"little waits", path{acked: 1}, path{acked: 1, queued: 8 << 10}, sounding{asked: 1}},
		{"much waits and it moves", path{acked: 1}, path{acked: 2, queued: 9 << 10}, sounding{asked: 1, behind: 1, moving: 1, rate: 32}},
		{"nothing has moved for a second", path{acked: 2, moved: tick}, path{acked: 2, queued: 9 << 10}, sounding{asked: 1, behind: 1, moving: 1}},
		{"nothing has moved for long", path{acked: 2, moved: tick - int64(2*time.Second)}, path{acked: 2, queued: 9 << 10}, sounding{asked: 1, behind: 1}},
		{"it was fine before", path{acked: 1, fine: provenLooks}, path{acked: 2, queued: 9 << 10}, sounding{asked: 1, behind: 1, moving: 1, fallen: 1, rate: 32}},
		{"it was fine for a moment", path{acked: 1, fine: provenLooks - 1}, path{acked: 2, queued: 9 << 10}, sounding{asked: 1, behind: 1, moving: 1, rate: 32}},
		{"it did not read for a while", path{acked: 1}, path{acked: 2, queued: 9 << 10, shut: tickEvery / 3}, sounding{asked: 1, behind: 1, moving: 1, rate: 32}},
		{"it does not read", path{acked: 1}, path{acked: 2, queued: 9 << 10, shut: tickEvery * 2 / 3}, sounding{asked: 1, rate: 32}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, plan{})
			var s sounder
			seat := &seat{id: 1, stream: w.stream}
			c.was.at, c.is.at = tick, 2*tick
			s.begin(1)
			s.note(seat, c.was)
			s.was = map[uint64]path{1: c.was}
			if f := s.end(1); f.asked != 0 {
				t.Fatalf("one look tells nothing: %+v", f)
			}
			s.is = map[uint64]path{1: c.was}
			s.begin(1)
			s.note(seat, c.is)
			if f := s.end(1); f != c.want {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Of many viewers a part is asked, always the same ones, and what is found is scaled up.
func TestSoundingIsBounded(t *testing.T) {
	w := newWorld(t, plan{})
	const viewers = 5000
	var s sounder
	for round := range 3 {
		s.begin(viewers)
		for id := uint64(2); id < 2*viewers+2; id += 2 { // one loop may have every other id
			if s.picks(id) {
				s.note(&seat{id: id, stream: w.stream}, path{at: int64(round+1) * int64(time.Second), acked: uint64(round+1) * 1000})
			}
		}
		f := s.end(viewers)
		if n := len(s.is); n < soundMost/4 || n > 2*soundMost {
			t.Fatalf("%d of %d are asked", n, viewers)
		}
		if want := float64(viewers * 8000); round > 0 && (f.asked != len(s.is) || f.rate < 0.99*want || f.rate > 1.01*want) {
			t.Errorf("%+v, want a rate of %v", f, want)
		}
	}
}

// The kernel tells of every kind of viewer.
func TestSoundingSeesAllViewers(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	e.send(1)
	tapes := []*tape{w.watchTape(e, play(oldAgent)), w.dialTLS().tape(play(oldAgent)), w.dial().plain(e)}
	see := func() (all sounding) {
		for _, l := range w.srv.loops {
			l.call(t.Context(), func() { all.add(l.sound()) })
		}
		all.add(w.srv.crowds.sound(&w.srv.uplink.guests))
		return all
	}
	see()
	e.send(gop)
	for _, v := range tapes {
		v.awaitPacket(t, e.next-1)
	}
	worldtest.Eventually(t, "all three are seen, and bytes arrive at them", func() bool { f := see(); return f.asked == 3 && f.behind == 0 })
}

// Those who came last go first, and only as many as it takes; pumps stay, and who came before
// that time.
func TestRelieve(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	e.send(1)
	early := w.watchTape(e, play(newAgent))
	var since int64
	kinds := []func() *tape{
		func() *tape { return w.watchTape(e, play(newAgent)) },
		func() *tape { return w.watchTape(e, play(newAgent, pragma(mmsh.TokenRelay+"=1"))) },
		func() *tape { return w.dialTLS().tape(play(newAgent)) },
		func() *tape { return w.dial().plain(e) },
	}
	var late []*tape
	for i, make := range kinds {
		late = append(late, make())
		late[i].awaitPacket(t, 0)
		if i == 0 {
			since = w.seatOf(t, 2).asked
		}
	}
	if n := w.srv.relieve(t.Context(), 1, since); n != 1 {
		t.Fatalf("%d went, want 1", n)
	}
	worldtest.Eventually(t, "the last one has left", func() bool { return fmt.Sprint(w.reasons()) == fmt.Sprint(map[Reason]int{ReasonUplink: 1}) })
	if v := w.closed(ReasonUplink)[0]; v.Kind != KindASF {
		t.Errorf("%+v went, want the last one", v)
	}
	if n := w.srv.relieve(t.Context(), 1e12, since); n != 2 {
		t.Fatalf("%d went, want 2", n)
	}
	worldtest.Eventually(t, "they have left", func() bool { return w.reasons()[ReasonUplink] == 3 })
	for i, kind := range []string{"on a loop", "", "TLS"} {
		if kind == "" {
			continue // the pump
		}
		late[i].finished(t)
		if at := late[i].now(); at.missing > 0 {
			t.Errorf("%s: %d packets are missing before the end", kind, at.missing)
		}
	}
	if err := late[3].wait(t); err != nil {
		t.Errorf("plain: %v", err)
	}
	e.send(gop)
	early.awaitPacket(t, e.next-1)
	late[1].awaitPacket(t, e.next-1)
	if u := w.limits.Usage(); u.Viewers != 1 || u.Pumps != 1 {
		t.Errorf("%+v, want a viewer and a pump", u)
	}
}

// One that takes nothing any more, though it was sent away, is cut off soon: what waits for
// it in the kernel would be in the others' way.
func TestRelieveWhoTakesNothing(t *testing.T) {
	for name, dial := range map[string]func(*world) *client{
		"on a loop": func(w *world) *client { return w.dialBuffer(4096) },
		"TLS":       func(w *world) *client { return w.dialTLSBuffer(4096) },
		"plain":     func(w *world) *client { return w.dialBuffer(4096) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{ring: roomy, settings: Settings{LagMax: time.Minute, StallTimeout: time.Hour}})
			e := w.onAir()
			e.send(1)
			c := dial(w)
			request := play(oldAgent)
			if name == "plain" {
				request = strings.Replace(get(), "/streams/x", "/streams/x.asf", 1)
			}
			c.write(request)
			stop := e.flow(100 * time.Microsecond)
			defer stop()
			worldtest.Eventually(t, "its socket is full", func() bool {
				for _, v := range w.srv.Viewers(t.Context()) {
					return v.Lag > 300*time.Millisecond
				}
				return false
			})
			if n := w.srv.relieve(t.Context(), 1, 0); n != 1 {
				t.Fatalf("%d went, want 1", n)
			}
			worldtest.Eventually(t, "it is gone, with its reason", func() bool {
				return w.reasons()[ReasonUplink] == 1 && w.limits.Usage().Connections == 0
			})
		})
	}
}

// seatOf returns the seat of the n-th viewer on the loops, in order of coming.
func (w *world) seatOf(t *testing.T, n int) *seat {
	t.Helper()
	var all []*seat
	for _, l := range w.srv.loops {
		l.call(t.Context(), func() {
			for _, g := range l.groups {
				for _, v := range g.viewers {
					all = append(all, v.seat)
				}
			}
		})
	}
	for _, s := range all {
		before := 0
		for _, other := range all {
			if other.id < s.id {
				before++
			}
		}
		if before == n-1 {
			return s
		}
	}
	t.Fatalf("there is no viewer %d", n)
	return nil
}

// An uplink that is to be learnt is no bound until it is; a reload to something else forgets it.
func TestAnUplinkToLearnIsNoBoundYet(t *testing.T) {
	w := newWorld(t, plan{ring: roomy, settings: Settings{Uplink: UplinkAuto}, bounds: access.Bounds{}})
	e := w.onAir()
	e.send(1)
	w.watchTape(e, play(oldAgent)).awaitPacket(t, 0)
	if got := w.limits.Uplink(); got != 0 {
		t.Errorf("the budget is %d before anything is known", got)
	}
	set := *w.srv.settings.Load()
	set.Uplink = 100e6
	w.srv.Update(set)
	worldtest.Eventually(t, "the setting counts", func() bool { return w.limits.Uplink() == 95e6 })
	set.Uplink = UplinkAuto
	w.srv.Update(set)
	worldtest.Eventually(t, "nothing is known again", func() bool { return w.limits.Uplink() == 0 })
}
