package server

import (
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestRoomForBursts(t *testing.T) {
	for _, c := range []struct {
		name                    string
		capacity, share, steady float64
		want                    int64
	}{
		{"nobody watches", 20e6, 0.94, 0, 18_800_000},
		{"half is used", 20e6, 0.94, 9.4e6, 9_400_000},
		{"all is used", 20e6, 0.94, 18.8e6, 400_000},
		{"more than all is used", 20e6, 0.94, 30e6, 400_000},
	} {
		if got := roomForBursts(c.capacity, c.share, c.steady); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSteadyRate(t *testing.T) {
	for _, c := range []struct {
		name                    string
		out, was, burst, wasBur uint64
		passed                  time.Duration
		want                    float64
	}{
		{"no bursts", 2000, 1000, 50, 50, time.Second, 8000},
		{"bursts are taken off", 2000, 1000, 550, 50, time.Second, 4000},
		{"a quarter of a second", 2000, 1000, 50, 50, 250 * time.Millisecond, 32000},
		{"a stream was removed", 500, 1000, 50, 50, time.Second, 0},
		{"no time", 1001, 1000, 0, 0, 0, 8000},
	} {
		if got := steadyRate(c.out, c.was, c.burst, c.wasBur, c.passed); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// An uplink bounds whom the server takes and what joiners get at once; without one, or
// when a reload takes it away, there is no bound.
func TestUplinkIsABound(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{Uplink: 1}})
	e := w.onAir()
	e.send(1)
	if r := w.dial().ask(play(oldAgent)); r.status != 453 {
		t.Errorf("over the uplink: %d, want 453", r.status)
	}
	if n := w.limits.Refused(access.LimitUplink); n != 1 {
		t.Errorf("%d refusals", n)
	}
	set := *w.srv.settings.Load()
	set.Uplink = 100_000_000
	w.srv.Update(set)
	if got := w.limits.Uplink(); got != 95_000_000 {
		t.Errorf("the budget of 100 Mbit/s is %d", got)
	}
	w.watch(e, play(oldAgent))
	worldtest.Eventually(t, "bursts have what is left", func() bool { r := w.limits.UplinkBurst(); return r > 80_000_000 && r < 100_000_000 })
	set.Uplink = 0
	w.srv.Update(set)
	worldtest.Eventually(t, "bursts have no bound", func() bool { return w.limits.UplinkBurst() == 0 })
	if got := w.limits.Uplink(); got != 0 {
		t.Errorf("the budget of no uplink is %d", got)
	}
}
