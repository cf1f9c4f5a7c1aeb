package access

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func guard(o GuardOptions) (*Guard, *clock) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	o.Now = c.now
	return NewGuard(o), c
}

func TestGuardSlowsDown(t *testing.T) {
	g, clock := guard(GuardOptions{})
	a := netip.MustParseAddr("192.0.2.7")
	var waits []time.Duration
	for range 12 {
		if w := g.Begin(a); w != 0 {
			t.Fatalf("attempt after the wait: %v", w)
		}
		w := g.pause(g.table[customer(a)].wrong)
		waits = append(waits, w)
		if w > 0 {
			clock.at = clock.at.Add(w - time.Millisecond)
			if left := g.Begin(a); left != time.Millisecond {
				t.Fatalf("attempt before the end of the wait: %v", left)
			}
			clock.at = clock.at.Add(time.Millisecond)
		}
	}
	ms := time.Millisecond
	want := []time.Duration{0, 0, 0, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 30000 * ms, 30000 * ms, 30000 * ms}
	for i := range want {
		if waits[i] != want[i] {
			t.Fatalf("waits %v, want %v", waits, want)
		}
	}
	if w := g.Begin(netip.MustParseAddr("192.0.2.8")); w != 0 {
		t.Errorf("a neighbour waits %v", w)
	}
}

func TestGuardForgives(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.7")
	guilty := func(t *testing.T) (*Guard, *clock) {
		g, clock := guard(GuardOptions{})
		for range 4 {
			g.Begin(a)
		}
		if g.Begin(a) == 0 {
			t.Fatal("no wait after four")
		}
		return g, clock
	}
	t.Run("who is right", func(t *testing.T) {
		g, _ := guilty(t)
		g.Passed(a)
		if w := g.Begin(a); w != 0 || g.Suspects() != 1 {
			t.Errorf("wait %v", w)
		}
	})
	t.Run("what was not looked at", func(t *testing.T) {
		g, _ := guilty(t)
		g.Withdraw(a)
		if w := g.Begin(a); w != 0 {
			t.Errorf("wait %v", w)
		}
		for range 9 {
			g.Withdraw(a)
		}
		if g.Suspects() != 0 {
			t.Error("an address is kept with nothing against it")
		}
	})
	t.Run("after long", func(t *testing.T) {
		g, clock := guilty(t)
		clock.at = clock.at.Add(16 * time.Minute)
		for range 4 {
			if w := g.Begin(a); w != 0 {
				t.Errorf("wait %v", w)
			}
		}
	})
}

func TestGuardTakesANetworkAsOne(t *testing.T) {
	g, _ := guard(GuardOptions{})
	for i := range 4 {
		g.Begin(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 15: byte(i)}))
	}
	for addr, waits := range map[string]bool{"2001:db8:0:1:ffff::": true, "2001:db8:0:2::": false} {
		if w := g.Begin(netip.MustParseAddr(addr)); (w > 0) != waits {
			t.Errorf("%s waits %v", addr, w)
		}
	}
	for range 4 {
		g.Begin(netip.MustParseAddr("::ffff:192.0.2.7"))
	}
	if g.Begin(netip.MustParseAddr("192.0.2.7")) == 0 {
		t.Error("an address in IPv6 form counts apart")
	}
	if (*Guard)(nil).Begin(netip.MustParseAddr("192.0.2.7")) != 0 || g.Begin(netip.Addr{}) != 0 {
		t.Error("nobody waits")
	}
}

// Who has a whole provider's addresses cannot push his own guilt out of the table.
func TestGuardIsNotFlooded(t *testing.T) {
	const most = 512
	g, _ := guard(GuardOptions{Max: most})
	guilty := netip.MustParseAddr("192.0.2.7")
	for range 4 {
		g.Begin(guilty)
	}
	for i := range 40 * most {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|uint32(i))
		g.Begin(netip.AddrFrom4(b))
		if n := g.Suspects(); n > most {
			t.Fatalf("%d addresses", n)
		}
	}
	if g.Begin(guilty) == 0 {
		t.Error("the guilty one was forgotten")
	}
}

// Attempts made at once count as if made one after the other.
func TestGuardCountsAttemptsAtOnce(t *testing.T) {
	g, _ := guard(GuardOptions{})
	a := netip.MustParseAddr("192.0.2.7")
	var began sync.Map
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if g.Begin(a) == 0 {
				began.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	began.Range(func(any, any) bool { n++; return true })
	if n != 4 {
		t.Errorf("%d attempts began at once, want 4", n)
	}
}
