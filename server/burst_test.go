package server

import (
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// Who has to wait for the bounds of bursts has its header meanwhile, and begins where one
// that comes later would; whoever is there already is not held up.
func TestJoinersWaitWithTheirHeader(t *testing.T) {
	for name, door := range map[string]func(*world) *client{"on a loop": (*world).dial, "TLS": (*world).dialTLS} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{ring: roomy, bounds: access.Bounds{BurstBandwidth: 80_000}})
			e := w.onAir()
			e.send(gop)
			first := w.watchTape(e, play(oldAgent)) // its burst costs the bucket seconds
			first.awaitPacket(t, e.next-1)
			second := door(w).tape(play(oldAgent))
			eventually(t, "it has its header", func() bool { return second.now().headers == 1 })
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

// Nobody waits for ever: a bound of bursts that is never free lets a viewer in after ten
// seconds.
func TestJoinersDoNotWaitForEver(t *testing.T) {
	l := access.NewLimits(access.Bounds{BurstBandwidth: 8})
	ticket, err := l.Admit(access.Request{Stream: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ticket.MayBurst(1e9)
	ticket.Burst(1 << 40)
	s := &seat{asked: 1e9, ticket: ticket}
	for at, may := range map[time.Duration]bool{time.Second: false, heldMost: false, heldMost + 1: true} {
		if got := s.mayBurst(1e9 + int64(at)); got != may {
			t.Errorf("after %v: %v", at, got)
		}
	}
}
