package server

import (
	"context"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// eachEgress runs a test for both ways of writing to viewers.
func eachEgress(t *testing.T, f func(t *testing.T, egress string)) {
	t.Run(EgressWritev, func(t *testing.T) { f(t, EgressWritev) })
	t.Run(EgressURing, func(t *testing.T) {
		u, err := newSenders()
		if err != nil {
			t.Skipf("no io_uring here: %v", err)
		}
		u.close()
		f(t, EgressURing)
	})
}

// enough is a number of packets that no kernel buffer between the server and a client
// that does not read can hold.
const enough = 1500

// unread sends more than the only viewer, who does not read, can get: it is behind, or
// has skipped already.
func (w *world) unread(e *encoder) {
	w.Helper()
	e.send(enough)
	worldtest.Eventually(w, "the viewer is behind", func() bool {
		for _, v := range w.srv.Viewers(context.Background()) {
			if v.Lag > 0 || v.Skipped > 0 {
				return true
			}
		}
		return false
	})
}

// closed returns the viewers that left for a reason.
func (w *world) closed(why Reason) (list []Viewer) {
	for _, v := range w.srv.Closed() {
		if v.Reason == why {
			list = append(list, v)
		}
	}
	return list
}

var roomy = ringbuf.Limits{Slots: 1 << 14, Duration: never}

// A client with a tiny window makes nearly every write a short one.
func TestEveryPacketWholeThroughShortWrites(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{ring: roomy, egress: egress})
		e := w.onAir()
		e.send(1)
		var tapes []*tape
		for _, receive := range []int{2048, 4096, 16384, 0} {
			for _, dial := range ways {
				tapes = append(tapes, dial(w, receive).tape(play(oldAgent)))
			}
		}
		for range 20 {
			e.size = 40 + int(e.next*37%1200)
			e.send(100)
		}
		e.pub.End()
		for i, tape := range tapes {
			tape.finished(t)
			if at := tape.now(); at.packets != 2001 || at.missing != 0 {
				t.Errorf("MUST-P3: viewer %d got %d packets, %d are missing", i, at.packets, at.missing)
			}
		}
	})
}

func TestSkipToTheNewestKeyFrame(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for name, how := range map[string]struct {
			plan
			way string
		}{
			"too far behind":       {plan{ring: roomy, settings: Settings{LagMax: time.Millisecond}}, "plain"},
			"out of the ring":      {plan{ring: ringbuf.Limits{Slots: 32}}, "plain"},
			"too far behind, TLS":  {plan{ring: roomy, settings: Settings{LagMax: time.Millisecond}}, "TLS"},
			"out of the ring, TLS": {plan{ring: ringbuf.Limits{Slots: 32}}, "TLS"},
		} {
			t.Run(name, func(t *testing.T) {
				p := how.plan
				p.egress = egress
				w := newWorld(t, p)
				e := w.onAir()
				e.send(1)
				other := w.watchTape(e, play(newAgent))
				other.awaitPacket(t, 0)
				c := ways[how.way](w, 4096)
				if r := c.ask(play(oldAgent)); r.status != 200 {
					t.Fatal(r.status)
				}
				tape, goOn := c.pause()
				for range 100 { // in pieces that the other viewer keeps up with
					e.send(enough / 100)
					other.awaitPacket(t, e.next-1)
				}
				goOn()
				tape.awaitPacket(t, e.next-1)
				e.send(5)
				tape.awaitPacket(t, e.next-1)
				at := tape.now()
				if at.missing == 0 || len(at.landed) == 0 {
					t.Fatalf("nothing was skipped: %+v", at)
				}
				for _, s := range at.landed {
					if !s.key {
						t.Errorf("went on with packet %d, no key frame", s.number)
					}
				}
				if o := other.now(); p.ring == roomy && o.missing != 0 {
					t.Errorf("the other viewer misses %d packets", o.missing)
				}
				c.close()
				worldtest.Eventually(t, "the viewer has left", func() bool { return len(w.closed(ReasonLeft)) == 1 })
				if got := w.closed(ReasonLeft)[0].Skipped; got != uint64(at.missing) {
					t.Errorf("MUST-P4: %d packets counted as skipped, %d are missing", got, at.missing)
				}
			})
		}
	})
}

func TestStalledViewerIsDropped(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for way, dial := range ways {
			t.Run(way, func(t *testing.T) {
				w := newWorld(t, plan{ring: roomy, egress: egress})
				e := w.onAir()
				e.send(1)
				other := w.watchTape(e, play(oldAgent))
				c := dial(w, 4096)
				c.ask(play(newAgent))
				for range 100 { // in pieces that the other viewer keeps up with
					e.send(enough / 100)
					other.awaitPacket(t, e.next-1)
				}
				worldtest.Eventually(t, "the viewer is stuck", func() bool { return w.behind(c) })
				w.update(func(set *Settings) { set.StallTimeout = 300 * time.Millisecond })
				worldtest.Eventually(t, "the viewer is dropped", func() bool { return len(w.closed(ReasonStalled)) == 1 })
				if got := w.closed(ReasonStalled)[0]; got.UserAgent != newAgent || got.Kind != "mmsh" || got.Stream != "x" || got.Left.IsZero() {
					t.Errorf("%+v", got)
				}
				e.send(10)
				if other.awaitPacket(t, e.next-1); other.now().missing != 0 {
					t.Errorf("the other viewer misses %d packets", other.now().missing)
				}
				if n := w.stream.Viewers(); n != 1 {
					t.Errorf("%d viewers", n)
				}
			})
		}
	})
}

// A source that falls silent is no stall of the viewers, however long it lasts.
func TestSilenceIsNoStall(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	tapes := []*tape{w.watchTape(e, play(oldAgent)), w.dialTLS().tape(play(oldAgent))}
	for _, tape := range tapes {
		tape.awaitPacket(t, 0)
	}
	w.update(func(set *Settings) {
		set.StallTimeout, set.HeadTimeout, set.SessionTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	w.elapse(never)
	time.Sleep(600 * time.Millisecond) // the silence itself
	w.update(func(set *Settings) { set.StallTimeout = never })
	e.send(1)
	for _, tape := range tapes {
		tape.awaitPacket(t, 1)
	}
}

func TestKick(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	kept := w.watchTape(e, play(oldAgent))
	cases := map[string]*tape{
		"mmsh":  w.watchTape(e, play(newAgent)),
		"tls":   w.dialTLS().tape(play(newAgent)),
		"plain": nil,
	}
	c := w.dial()
	c.ask(get(agent(webAgent)))
	cases["plain"] = recordPlain(c.br, e.raw)
	for _, tape := range cases {
		tape.awaitPacket(t, 0)
	}
	ctx := t.Context()
	for _, v := range w.srv.Viewers(ctx) {
		if v.UserAgent != oldAgent && !w.srv.Kick(ctx, v.ID) {
			t.Errorf("viewer %s is not there to be kicked", v.ID)
		}
	}
	worldtest.Eventually(t, "three viewers are kicked", func() bool { return len(w.closed(ReasonKicked)) == 3 })
	for name, tape := range cases {
		_ = tape.wait(t)
		if n := len(tape.now().ends); n != 0 {
			t.Errorf("%s: told that the stream ended", name)
		}
	}
	for _, id := range []string{"", "x", "-1", "999999999", "0"} {
		if w.srv.Kick(ctx, id) {
			t.Errorf("kicked %q", id)
		}
	}
	e.send(1)
	kept.awaitPacket(t, 1)
}

func TestViewersAreListed(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	w.watchTape(e, play(newAgent)).awaitPacket(t, 0)
	w.dialTLS().tape(play(oldAgent)).awaitPacket(t, 0)
	c := w.dial()
	c.ask(get(agent(webAgent)))
	recordPlain(c.br, e.raw).awaitPacket(t, 0)
	var list []Viewer
	worldtest.Eventually(t, "all have their bytes counted", func() bool {
		list = w.srv.Viewers(t.Context())
		for _, v := range list {
			if v.BytesOut <= packetSize {
				return false
			}
		}
		return len(list) == 3
	})
	for i, want := range []Viewer{
		{UserAgent: newAgent, Kind: "mmsh"},
		{UserAgent: oldAgent, Kind: "mmsh", TLS: true},
		{UserAgent: webAgent, Kind: "asf"},
	} {
		v := list[i]
		if v.UserAgent != want.UserAgent || v.Kind != want.Kind || v.TLS != want.TLS || v.Stream != "x" || v.Connected.IsZero() || v.Reason != "" {
			t.Errorf("%+v", v)
		}
		if (v.SessionID != 0) != (v.Kind == "mmsh") {
			t.Errorf("client-id %d of %s", v.SessionID, v.Kind)
		}
		if i > 0 && !idLess(list[i-1].ID, v.ID) {
			t.Errorf("id %s behind %s", v.ID, list[i-1].ID)
		}
	}
	if got := c.conn.LocalAddr().String(); list[2].Address != got {
		t.Errorf("address %s, want %s", list[2].Address, got)
	}
	if loops := w.srv.Loops(); len(loops) != 2 {
		t.Errorf("%d loops", len(loops))
	}
}

func TestClosedViewersAreRemembered(t *testing.T) {
	var c closedLog
	for i := range closedKept + 3 {
		c.add(Viewer{BytesOut: uint64(i)})
	}
	list := c.list()
	if len(list) != closedKept || list[0].BytesOut != closedKept+2 || list[closedKept-1].BytesOut != 3 {
		t.Errorf("%d kept, from %d to %d", len(list), list[0].BytesOut, list[len(list)-1].BytesOut)
	}
}

// Joiners share a bound on the bandwidth of their bursts, and get there all the same.
func TestBurstsAreBounded(t *testing.T) {
	w := newWorld(t, plan{ring: roomy, bounds: access.Bounds{BurstBandwidth: 8_000_000}})
	e := w.onAir()
	e.send(gop)
	var tapes []*tape
	for range 20 {
		tapes = append(tapes, w.watchTape(e, play(oldAgent)))
	}
	e.send(gop - 1)
	for _, tape := range tapes {
		if tape.awaitPacket(t, e.next-1); tape.now().missing != 0 {
			t.Error("a gap in a burst")
		}
	}
}
