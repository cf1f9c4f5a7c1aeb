package server

import (
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/stream"
)

// Who has to wait for the bounds of bursts has its header meanwhile, and begins where one
// that comes later would; whoever is there already is not held up.
func TestJoinersWaitWithTheirHeader(t *testing.T) {
	for name, door := range map[string]func(*world) *client{"on a loop": (*world).dial, "TLS": (*world).dialTLS} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{ring: roomy, bounds: access.Bounds{BurstBandwidth: 16_000}})
			e := w.onAir()
			e.send(gop)
			first := w.watchTape(e, play(oldAgent)) // its burst costs the bucket many seconds
			first.awaitPacket(t, e.next-1)
			second := door(w).tape(play(oldAgent))
			worldtest.Eventually(t, "it has its header", func() bool { return second.now().headers == 1 })
			e.send(2 * gop)
			first.awaitPacket(t, e.next-1)
			if n := second.now().packets; n > 0 {
				t.Fatalf("it got %d packets of a burst that nobody has room for", n)
			}
			w.limits.SetBounds(access.Bounds{})
			e.send(1)
			second.awaitPacket(t, e.next-1)
			if at := second.now(); at.missing > 0 || at.first.number < 2*gop {
				t.Errorf("%d missing, it begins with packet %d; the newest key frame is behind %d", at.missing, at.first.number, 2*gop)
			}
		})
	}
}

// Nobody waits for ever, and the bound holds all the same: who has waited for ten seconds
// joins with a key frame that has just come, and so without a burst; after twenty with
// whatever comes next.
func TestJoinersSlipIn(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	e.send(gop - 1)
	set := w.srv.settings.Load()
	asked := stream.Monotonic()
	joiner := func() (*cursor, *seat) {
		seq, h := livePlace(w.stream, time.Second)
		return &cursor{seq: seq, epoch: h.Epoch}, &seat{stream: w.stream, asked: asked, start: seq}
	}
	old, s := joiner()
	worldtest.Eventually(t, "the key frame is old", func() bool {
		m, _ := w.stream.Ring().Peek(old.seq)
		e.send(gop) // whole groups: the last packets are never a key frame
		newest, _ := livePlace(w.stream, 0)
		k, _ := w.stream.Ring().Peek(newest)
		return k.Arrived > m.Arrived
	})
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{time.Second, false}, {heldMost, false}, {2*heldMost + 1, true}, {time.Second, true}} {
		if got := old.slipsIn(s, asked+int64(c.after), set); got != c.want {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
	fresh, s := joiner()
	if !fresh.slipsIn(s, asked+int64(heldMost)+1, set) {
		t.Error("it does not join with a key frame that has just come")
	}
	if m, there := w.stream.Ring().Peek(fresh.seq); there && w.stream.Ring().Newest()-m.Arrived > int64(shortSpan) {
		t.Error("it has a burst")
	}
	begun, s := joiner()
	begun.seq++
	if begun.slipsIn(s, asked+int64(3*heldMost), set) {
		t.Error("one that has begun begins anew")
	}
}
