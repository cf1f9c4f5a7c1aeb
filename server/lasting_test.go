package server

import (
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// reasons counts why viewers have left.
func (w *world) reasons() map[Reason]int {
	m := map[Reason]int{}
	for _, v := range w.srv.Closed() {
		m[v.Reason]++
	}
	return m
}

// A viewer that has had its time gets whole packets to the end, the end of the stream,
// and the reason expired; whoever has not goes on.
func TestSessionsEnd(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	stop := e.flow(2 * time.Millisecond)
	defer stop()
	relay := pragma(mmsh.TokenRelay + "=1")
	tapes := map[string]*tape{
		"on a loop": w.watchTape(e, play(oldAgent)),
		"newer":     w.watchTape(e, play(newAgent)),
		"TLS":       w.dialTLS().tape(play(newAgent)),
	}
	plain := w.dial().plain(e)
	pump := w.watchTape(e, play(newAgent, relay))
	for _, tape := range tapes {
		tape.awaitPacket(t, 1)
	}
	plain.awaitPacket(t, 1)
	pump.awaitPacket(t, 1)
	w.limits.SetBounds(access.Bounds{Session: time.Millisecond})
	for name, tape := range tapes {
		tape.finished(t)
		if at := tape.now(); at.missing > 0 {
			t.Errorf("%s: %d packets are missing", name, at.missing)
		}
	}
	if err := plain.wait(t); err != nil {
		t.Errorf("plain: %v", err)
	}
	worldtest.Eventually(t, "all four have the reason", func() bool { return w.reasons()[ReasonExpired] == 4 })
	pump.awaitPacket(t, pump.now().last.number+10) // a pump is no viewer
	if n := w.stream.Metrics().ViewersDropped(string(ReasonExpired)).Load(); n != 4 {
		t.Errorf("%d are counted, want 4", n)
	}
}

// A stream may have a bound of its own, or none although there is one.
func TestSessionsOfOneStream(t *testing.T) {
	w := newWorld(t, plan{bounds: access.Bounds{Session: time.Millisecond, Streams: map[string]access.StreamBounds{"x": {Session: access.NoSession}}}})
	e := w.onAir()
	stop := e.flow(2 * time.Millisecond)
	defer stop()
	free := w.watchTape(e, play(oldAgent))
	y := w.air(w.addStream("y", ringbuf.Limits{}, 0))
	y.send(1)
	c := w.dial()
	if r := c.ask(strings.Replace(play(oldAgent), "/streams/x", "/streams/y", 1)); r.status != 200 {
		t.Fatal(r.status)
	}
	bound := c.record()
	bound.finished(t)
	free.awaitPacket(t, free.now().last.number+10)
}

// All viewers of an address end when it has had some for so long, however often they change; who comes meanwhile and is
// from elsewhere stays, as do pumps. Who comes back afterwards begins anew.
func TestSessionsOfAnAddress(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	stop := e.flow(2 * time.Millisecond)
	defer stop()
	tapes := []*tape{w.watchTape(e, play(oldAgent)), w.dialTLS().tape(play(newAgent)), w.dial().plain(e)}
	pump := w.watchTape(e, play(newAgent, pragma(mmsh.TokenRelay+"=1")))
	for _, v := range append(tapes, pump) {
		v.awaitPacket(t, 0)
	}
	w.limits.SetBounds(access.Bounds{SessionAddress: time.Millisecond})
	worldtest.Eventually(t, "all viewers have left", func() bool { return w.reasons()[ReasonExpired] == len(tapes) && w.limits.Usage().Viewers == 0 })
	w.limits.SetBounds(access.Bounds{SessionAddress: time.Hour})
	again := w.watchTape(e, play(oldAgent))
	again.awaitPacket(t, again.now().last.number+10)
	pump.awaitPacket(t, pump.now().last.number+10)
	if n := w.reasons()[ReasonExpired]; n != len(tapes) {
		t.Errorf("%d have ended, want %d", n, len(tapes))
	}
}

func TestSeatsLast(t *testing.T) {
	for _, c := range []struct {
		name         string
		seat         seat
		now, session int64
		want         bool
	}{
		{"for ever", seat{asked: 5}, 1 << 60, 0, false},
		{"a session that is on", seat{asked: 5}, 14, 10, false},
		{"a session that is over", seat{asked: 5}, 15, 10, true},
		{"a pump's session", seat{asked: 5, relay: true}, 1 << 60, 10, false},
	} {
		if got := c.seat.lasted(c.now, c.session, 0); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A viewer whose socket is full when its time is up gets the rest of the packet it is
// inside of, and then the end.
func TestSessionEndsBetweenPackets(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{PulseMin: time.Millisecond, PulseMax: 5 * time.Millisecond, LagMax: never}})
	e := w.onAir()
	e.send(1)
	c := w.dialBuffer(4096)
	if r := c.ask(play(oldAgent)); r.status != 200 {
		t.Fatal(r.status)
	}
	tape, goOn := c.pause()
	stop := e.flow(100 * time.Microsecond)
	worldtest.Eventually(t, "its socket is full", func() bool {
		for _, v := range w.srv.Viewers(t.Context()) {
			return v.Lag > 100*time.Millisecond
		}
		return false
	})
	w.limits.SetBounds(access.Bounds{Session: time.Millisecond})
	worldtest.Eventually(t, "its end has begun", func() bool {
		found := false
		for _, l := range w.srv.loops {
			l.call(t.Context(), func() {
				for _, g := range l.groups {
					for _, v := range g.viewers {
						if found = found || v.expired; v.expired {
							v.conn.Context().(*conn).deadline += int64(never) // else it is cut soon
						}
					}
				}
			})
		}
		return found
	})
	stop()
	goOn()
	tape.finished(t)
	worldtest.Eventually(t, "it has the reason", func() bool { return w.reasons()[ReasonExpired] == 1 })
}

// The sum of the viewers' rates follows what the stream turns out to cost.
func TestRatesAreFollowed(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	w.watch(e, play(oldAgent))
	before := w.limits.Usage().Bandwidth
	if before <= 0 {
		t.Fatalf("bandwidth %d", before)
	}
	w.limits.SetRate("x", 1, 1)
	worldtest.Eventually(t, "it is followed", func() bool { return w.limits.Usage().Bandwidth == before })
	if wire := w.limits.Usage().Wire; wire <= before {
		t.Errorf("%d on the wire for %d of payload", wire, before)
	}
}

func TestOnTheWire(t *testing.T) {
	w := newWorld(t, plan{})
	st := w.stream
	if got := onTheWire(st, 1_448_000); got != 1_514_000 {
		t.Errorf("before the first packet %d", got)
	}
	for _, c := range []struct {
		packets, bytes uint64
		want           int64
	}{
		{10, 10 * 660, 1_100_000}, {10, 10 * 1448, 1_045_580}, {10, 10 * 3300, 1_060_000}, {10, 5, 67_000_000},
	} {
		m := st.Metrics()
		m.PacketsIn.Add(c.packets - m.PacketsIn.Load())
		m.BytesIn.Add(c.bytes - m.BytesIn.Load())
		if got := onTheWire(st, 1_000_000); got != c.want {
			t.Errorf("packets of %d bytes: %d, want %d", c.bytes/c.packets, got, c.want)
		}
	}
}
