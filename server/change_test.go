package server

import (
	"slices"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// types are the kinds of the next packets, with the reasons of $E and $C.
func (c *client) types(n int) (list []string) {
	c.Helper()
	for range n {
		f := c.frame()
		if f.typ == mmsh.TypeData {
			list = append(list, "D")
			continue
		}
		list = append(list, string(f.typ)+text(f.reason))
	}
	return list
}

func TestChangeOfHeader(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for _, tc := range []struct {
			name, agent string
			tls         bool
			want        []string
		}{
			{"MUST-X1 version 12", newAgent, false, []string{"D", "E1", "C0", "H0", "D", "D"}},
			{"MUST-X1 version 12 behind TLS", newAgent, true, []string{"D", "E1", "C0", "H0", "D", "D"}},
			{"MUST-X1 old", oldAgent, false, []string{"D", "C0", "H0", "D", "D"}},
			{"MUST-X1 old behind TLS", oldAgent, true, []string{"D", "C0", "H0", "D", "D"}},
			{"MUST-X1 no version", "NSPlayer", false, []string{"D", "C0", "H0", "D", "D"}},
			{"MUST-X1 VLC is let go", vlcAgent, false, []string{"D", "E0"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				w := newWorld(t, plan{egress: egress})
				e := w.onAir()
				c := w.dial()
				if tc.tls {
					c = w.dialTLS()
				}
				c.TB = t
				c.watch(e, play(tc.agent))
				e.send(1)
				e.setHeader(1)
				e.send(2)
				if got := c.types(len(tc.want)); !slices.Equal(got, tc.want) {
					t.Errorf("%v, want %v", got, tc.want)
				}
			})
		}
	})
}

func TestChangeReachesThoseWhoLag(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for _, tc := range []struct {
			name    string
			plan    plan
			agent   string
			skipped bool
			ends    int // $E(1)
		}{
			{"MUST-X2 in order, version 12", plan{ring: roomy}, newAgent, false, 2},
			{"MUST-X2 in order, old", plan{ring: roomy}, oldAgent, false, 0},
			{"MUST-X2 skipped, version 12", plan{ring: roomy, settings: Settings{LagMax: time.Millisecond}}, newAgent, true, -1},
			{"MUST-X2 skipped, old", plan{ring: roomy, settings: Settings{LagMax: time.Millisecond}}, oldAgent, true, 0},
			{"MUST-X2 lapped, version 12", plan{ring: ringbuf.Limits{Slots: 16}}, newAgent, true, -1},
		} {
			t.Run(tc.name, func(t *testing.T) {
				tc.plan.egress = egress
				w := newWorld(t, tc.plan)
				e := w.onAir()
				e.send(1)
				c := w.dialBuffer(4096)
				c.ask(play(tc.agent))
				tape, goOn := c.pause()
				w.unread(e)
				e.setHeader(1)
				e.send(25)
				e.setHeader(2)
				e.send(15)
				goOn()
				tape.awaitPacket(t, e.next-1)
				at := tape.now()
				if (at.missing > 0) != tc.skipped {
					t.Errorf("%d packets are missing", at.missing)
				}
				if at.headers != at.changes+1 || at.changes == 0 || !tc.skipped && at.changes != 2 {
					t.Errorf("%d changes, %d headers", at.changes, at.headers)
				}
				want := tc.ends
				if want < 0 {
					want = at.changes
				}
				if len(at.ends) != want {
					t.Errorf("%d $E, want %d", len(at.ends), want)
				}
			})
		}
	})
}

// VLC is let go at a change, before it or, when it lags, instead of jumping over it.
func TestChangeEndsVLC(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for name, settings := range map[string]Settings{"in order": {}, "skipped": {LagMax: time.Millisecond}} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, plan{egress: egress, ring: roomy, settings: settings})
				e := w.onAir()
				e.send(1)
				c := w.dialBuffer(4096)
				c.ask(play(vlcAgent))
				tape, goOn := c.pause()
				w.unread(e)
				e.setHeader(1)
				e.send(25)
				goOn()
				if err := tape.wait(t); err != nil {
					t.Error(err)
				}
				if at := tape.now(); at.changes != 0 || at.headers != 1 || len(at.ends) != 1 {
					t.Errorf("%d changes, %d headers, %d $E", at.changes, at.headers, len(at.ends))
				}
				worldtest.Eventually(t, "it left because of the change", func() bool { return len(w.closed(ReasonChanged)) == 1 })
			})
		}
	})
}

func TestChangeEndsPlainViewers(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(3)
	c := w.dial()
	c.ask(get(agent(webAgent)))
	tape := recordPlain(c.br, e.raw)
	tape.awaitPacket(t, 2)
	e.setHeader(1)
	e.send(1)
	if err := tape.wait(t); err != nil {
		t.Error(err)
	}
	if at := tape.now(); at.last.number != 2 {
		t.Errorf("MUST-X1: %+v", at)
	}
	worldtest.Eventually(t, "it left because of the change", func() bool { return len(w.closed(ReasonChanged)) == 1 })
}

// Joiners at a change get one header, the new one, and no packet of the old.
func TestJoinAtAChange(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(5)
	e.setHeader(1)
	c := w.watch(e, play(newAgent))
	e.send(2)
	if _, s := c.data(); s.number != 5 || s.epoch != 2 {
		t.Errorf("begins with packet %d of epoch %d", s.number, s.epoch)
	}
}

func TestEnd(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress})
		e := w.onAir()
		e.send(5)
		clients := []*client{w.dial(), w.dial(), w.dialTLS(), w.dialTLS(), w.dial()}
		var tapes []*tape
		for i, a := range []string{newAgent, oldAgent, newAgent, oldAgent} {
			tapes = append(tapes, clients[i].tape(play(a)))
		}
		clients[4].ask(get(agent(webAgent)))
		plain := recordPlain(clients[4].br, e.raw)
		e.send(5)
		e.pub.End()
		for i, tape := range tapes {
			tape.finished(t)
			if at := tape.now(); at.last.number != 9 || at.missing != 0 || len(at.ends) != 1 {
				t.Errorf("MUST-E1: viewer %d: %+v", i, at)
			}
		}
		if err := plain.wait(t); err != nil || plain.last.number != 9 {
			t.Errorf("MUST-E1: plain: %v %+v", err, plain.taped)
		}
		for _, c := range clients {
			c.close()
		}
		worldtest.Eventually(t, "all have left", func() bool { return len(w.closed(ReasonEnded)) == 5 })
		if r := w.dial().ask(describe(newAgent)); r.status != 503 || r.header.Get("Retry-After") == "" {
			t.Errorf("Describe behind the end: %d", r.status)
		}
		again := w.encoder(w.stream)
		again.open()
		again.setHeader(3)
		c := w.watch(again, play(newAgent))
		again.next = 77
		again.send(1)
		if _, s := c.data(); s.number != 77 {
			t.Errorf("the next broadcast begins with packet %d", s.number)
		}
	})
}

// Those who lag behind the end are not cut off in a packet: they get what is left, or
// skip whole packets, and then the end.
func TestEndForThoseWhoLag(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for name, p := range map[string]plan{
			"in order": {ring: roomy},
			"skipped":  {ring: roomy, settings: Settings{LagMax: time.Millisecond}},
			"lapped":   {ring: ringbuf.Limits{Slots: 16}},
		} {
			t.Run("MUST-E1 "+name, func(t *testing.T) {
				p.egress = egress
				w := newWorld(t, p)
				e := w.onAir()
				e.send(1)
				c := w.dialBuffer(4096)
				c.ask(play(newAgent))
				tape, goOn := c.pause()
				w.unread(e)
				e.pub.End()
				goOn()
				tape.finished(t)
				if at := tape.now(); (at.last.number != e.next-1 || at.missing > 0) == (name == "in order") {
					t.Errorf("%+v", at)
				}
			})
		}
	})
}

func TestSourceLostAndBack(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress})
		e := w.onAir()
		e.send(3)
		tapes := []*tape{w.watchTape(e, play(newAgent)), w.watchTape(e, play(oldAgent)), w.dialTLS().tape(play(oldAgent))}
		for _, tape := range tapes {
			tape.awaitPacket(t, 2)
		}
		for range 3 {
			e.pub.Lost()
			if r := w.dial().ask(describe(newAgent)); r.status != 503 {
				t.Errorf("Describe without a source: %d", r.status)
			}
			e.open()
			e.pub.Resume()
			e.send(3)
		}
		for _, tape := range tapes {
			tape.awaitPacket(t, 11)
			if at := tape.now(); at.missing != 0 || at.headers != 1 || at.changes != 0 {
				t.Errorf("MUST-E3, MUST-X3: %+v", at)
			}
		}
	})
}

func TestHoldRunsOut(t *testing.T) {
	w := newWorld(t, plan{hold: 50 * time.Millisecond})
	e := w.onAir()
	e.send(3)
	c := w.watch(e, play(newAgent))
	for range 3 {
		c.data()
	}
	e.pub.Lost()
	c.end()
	worldtest.Eventually(t, "it left with the end", func() bool { return len(w.closed(ReasonEnded)) == 1 })
}
