package server

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// guestBook writes down who comes and goes.
type guestBook struct {
	mu   sync.Mutex
	told []Viewer // Reason is empty for those who came
}

func (b *guestBook) Joined(v Viewer) { b.add(v) }
func (b *guestBook) Left(v Viewer)   { b.add(v) }

func (b *guestBook) add(v Viewer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, v)
}

func (b *guestBook) list() []Viewer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

// Whatever kind of viewer it is, and however it leaves: one Joined, and one Left behind it
// with the figures and the reason.
func TestTheAudienceIsToldOfEverybodyOnceInOrder(t *testing.T) {
	book := &guestBook{}
	w := newWorld(t, plan{audience: book})
	e := w.onAir()
	e.send(1)
	var tapes []*tape
	watch := func(request string) { tapes = append(tapes, w.watchTape(e, request)) }
	watch(play(newAgent))
	watch(play(newAgent, pragma(mmsh.TokenRelay+"=1")))
	tapes = append(tapes, w.dialTLS().tape(play(newAgent)), w.dial().plain(e))
	for _, tape := range tapes {
		tape.awaitPacket(t, 0)
	}
	all := w.srv.Viewers(t.Context())
	if len(all) != 4 {
		t.Fatalf("%d viewers", len(all))
	}
	relays := 0
	for _, v := range all {
		if v.Relay {
			relays++
		}
	}
	if relays != 1 {
		t.Errorf("%d relays, want 1", relays)
	}
	kicked, _ := strconv.ParseUint(all[0].ID, 10, 64)
	if n := w.srv.KickAll(t.Context(), map[uint64]bool{kicked: true, 1 << 60: true}); n != 1 {
		t.Errorf("kicked %d", n)
	}
	worldtest.Eventually(t, "the kicked one has left", func() bool { return len(w.closed(ReasonKicked)) == 1 })
	w.shutdown()
	came, left := map[string]bool{}, map[string]Reason{}
	for _, v := range book.list() {
		switch {
		case v.Reason == "" && came[v.ID]:
			t.Errorf("viewer %s came twice", v.ID)
		case v.Reason == "":
			came[v.ID] = true
		case !came[v.ID] || left[v.ID] != "":
			t.Errorf("viewer %s left without having come, or twice", v.ID)
		case v.BytesOut == 0 || v.Stream != "x" || !v.Remote.IsValid():
			t.Errorf("left: %+v", v)
		default:
			left[v.ID] = v.Reason
		}
	}
	if len(came) != 4 || len(left) != 4 || left[all[0].ID] != ReasonKicked || left[all[1].ID] != ReasonDrained {
		t.Errorf("came %v, left %v", came, left)
	}
}

// KickAll takes all that are meant, on every loop and on goroutines, and nobody else.
func TestKickAll(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	for range 6 {
		w.watchTape(e, play(newAgent)).awaitPacket(t, 0)
	}
	w.dialTLS().tape(play(newAgent)).awaitPacket(t, 0)
	stays := w.watchTape(e, play(oldAgent))
	stays.awaitPacket(t, 0)
	ids := map[uint64]bool{}
	for _, v := range w.srv.Viewers(t.Context()) {
		if n, _ := strconv.ParseUint(v.ID, 10, 64); v.UserAgent != oldAgent {
			ids[n] = true
		}
	}
	if n := w.srv.KickAll(t.Context(), ids); n != 7 {
		t.Errorf("kicked %d, want 7", n)
	}
	worldtest.Eventually(t, "seven are gone", func() bool { return len(w.closed(ReasonKicked)) == 7 })
	e.send(1)
	stays.awaitPacket(t, 1)
}

// A viewer counts as poorly served while it is far behind, and for a while once it had to
// jump over packets; nobody else does.
func TestStandings(t *testing.T) {
	w := newWorld(t, plan{ring: roomy, settings: Settings{LagMax: time.Second}})
	e := w.onAir()
	e.send(1)
	others := []*tape{w.watchTape(e, play(newAgent)), w.dialTLS().tape(play(newAgent))}
	c := w.dialBuffer(4096)
	c.ask(play(oldAgent))
	tape, goOn := c.pause()
	var id uint64
	worldtest.Eventually(t, "all are there", func() bool {
		list := w.srv.Viewers(t.Context())
		for _, v := range list {
			if v.UserAgent == oldAgent {
				id, _ = strconv.ParseUint(v.ID, 10, 64)
			}
		}
		return len(list) == 3
	})
	var it Standing
	poor := func() bool {
		list := w.srv.Standings(t.Context(), func(s *Standing) bool { return s.Poor && s.ID == id })
		if len(list) > 0 {
			it = list[0]
		}
		return len(list) > 0
	}
	if list := w.srv.Standings(t.Context(), func(s *Standing) bool { return s.Poor }); len(list) != 0 {
		t.Errorf("poor while nobody is behind: %+v", list)
	}
	if all := w.srv.Standings(t.Context(), nil); len(all) != 3 {
		t.Errorf("%d of 3 without a condition", len(all))
	}
	worldtest.Eventually(t, "it is as far behind as it may be", func() bool {
		e.send(enough / 100) // in pieces that the others keep up with
		for _, o := range others {
			o.awaitPacket(t, e.next-1)
		}
		return poor() && it.Lag > time.Second
	})
	goOn()
	tape.awaitPacket(t, e.next-1)
	worldtest.Eventually(t, "it has jumped, and is no longer behind", func() bool { return poor() && it.Skipped > 0 && it.Lag == 0 })
	if it.BytesOut == 0 {
		t.Errorf("%+v", it)
	}
}
