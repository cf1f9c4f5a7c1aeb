package access

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func guard(o GuardOptions) (*Guard, *clock) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	o.Now = c.now
	return NewGuard(o), c
}

// guess makes one wrong attempt, and returns the wait of an address that may not try.
func guess(g *Guard, a netip.Addr) time.Duration {
	wait := g.Begin(context.Background(), a)
	if wait == 0 {
		g.Wrong(a)
	}
	return wait
}

func TestGuardSlowsDown(t *testing.T) {
	g, clock := guard(GuardOptions{})
	a := netip.MustParseAddr("192.0.2.7")
	var waits []time.Duration
	for range 12 {
		if w := guess(g, a); w != 0 {
			t.Fatalf("attempt after the wait: %v", w)
		}
		w := g.pause(g.table[customer(a)].wrong)
		waits = append(waits, w)
		if w > 0 {
			clock.at = clock.at.Add(w - time.Millisecond)
			if left := guess(g, a); left != time.Millisecond {
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
	if w := guess(g, netip.MustParseAddr("192.0.2.8")); w != 0 {
		t.Errorf("a neighbour waits %v", w)
	}
}

func TestGuardForgives(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.7")
	guilty := func(t *testing.T) (*Guard, *clock) {
		g, clock := guard(GuardOptions{})
		for range 4 {
			guess(g, a)
		}
		if guess(g, a) == 0 {
			t.Fatal("no wait after four")
		}
		clock.at = clock.at.Add(time.Second)
		return g, clock
	}
	t.Run("who is right", func(t *testing.T) {
		g, _ := guilty(t)
		if w := g.Begin(t.Context(), a); w != 0 {
			t.Fatalf("wait %v", w)
		}
		g.Right(a)
		if g.Suspects() != 0 {
			t.Error("an address is kept with nothing against it")
		}
		for range 4 {
			if w := guess(g, a); w != 0 {
				t.Errorf("wait %v", w)
			}
		}
	})
	t.Run("not what was not looked at", func(t *testing.T) {
		g, _ := guilty(t)
		if w := g.Begin(t.Context(), a); w != 0 {
			t.Fatalf("wait %v", w)
		}
		g.Withdraw(a)
		guess(g, a) // the fifth
		if w := guess(g, a); w != time.Second {
			t.Errorf("wait %v", w)
		}
	})
	t.Run("after long", func(t *testing.T) {
		g, clock := guilty(t)
		clock.at = clock.at.Add(16 * time.Minute)
		for range 4 {
			if w := guess(g, a); w != 0 {
				t.Errorf("wait %v", w)
			}
		}
	})
}

func TestGuardTakesANetworkAsOne(t *testing.T) {
	g, _ := guard(GuardOptions{})
	for i := range 4 {
		guess(g, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 15: byte(i)}))
	}
	for addr, waits := range map[string]bool{"2001:db8:0:1:ffff::": true, "2001:db8:0:2::": false} {
		if w := guess(g, netip.MustParseAddr(addr)); (w > 0) != waits {
			t.Errorf("%s waits %v", addr, w)
		}
	}
	for range 4 {
		guess(g, netip.MustParseAddr("::ffff:192.0.2.7"))
	}
	if guess(g, netip.MustParseAddr("192.0.2.7")) == 0 {
		t.Error("an address in IPv6 form counts apart")
	}
	if guess(nil, netip.MustParseAddr("192.0.2.7")) != 0 || guess(g, netip.Addr{}) != 0 {
		t.Error("nobody waits")
	}
}

// Who has a whole provider's addresses cannot push his own guilt out of the table.
func TestGuardIsNotFlooded(t *testing.T) {
	const most = 512
	g, _ := guard(GuardOptions{Max: most})
	guilty := netip.MustParseAddr("192.0.2.7")
	for range 4 {
		guess(g, guilty)
	}
	for i := range 40 * most {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|uint32(i))
		guess(g, netip.AddrFrom4(b))
		if n := g.Suspects(); n > most {
			t.Fatalf("%d addresses", n)
		}
	}
	if guess(g, guilty) == 0 {
		t.Error("the guilty one was forgotten")
	}
}

// Wrong attempts made at once are judged as if made one after the other, however long
// each takes: no more than the free ones, and the one that brings the wait.
func TestGuardCountsAttemptsAtOnce(t *testing.T) {
	g, _ := guard(GuardOptions{})
	a := netip.MustParseAddr("192.0.2.7")
	var began, refused, now, most atomic.Int32
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if g.Begin(context.Background(), a) > 0 {
				refused.Add(1)
				return
			}
			began.Add(1)
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Millisecond) // a hash is computed
			now.Add(-1)
			g.Wrong(a)
		})
	}
	all.Wait()
	if began.Load() != 4 || refused.Load() != 196 || most.Load() > 3 {
		t.Errorf("%d attempts began, %d were refused, %d at once; want 4, 196 and at most 3", began.Load(), refused.Load(), most.Load())
	}
}

// A herd behind one address that is right is let in, all of it.
func TestGuardLetsAHerdIn(t *testing.T) {
	g, _ := guard(GuardOptions{})
	a := netip.MustParseAddr("192.0.2.7")
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if w := g.Begin(context.Background(), a); w > 0 {
				t.Errorf("waits %v", w)
				return
			}
			g.Right(a)
		})
	}
	all.Wait()
	if n := g.Suspects(); n != 0 {
		t.Errorf("%d addresses are kept", n)
	}
}

func TestGuardQueueIsBounded(t *testing.T) {
	g, _ := guard(GuardOptions{Queue: 1})
	a := netip.MustParseAddr("192.0.2.7")
	for range 3 {
		if w := g.Begin(t.Context(), a); w > 0 {
			t.Fatalf("waits %v", w)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	waiting := make(chan time.Duration)
	go func() { waiting <- g.Begin(ctx, a) }()
	for queued := 0; queued == 0; {
		g.mu.Lock()
		queued = g.table[customer(a)].waiting
		g.mu.Unlock()
	}
	if w := g.Begin(t.Context(), a); w == 0 {
		t.Error("there is room beyond the bound")
	}
	leave()
	if w := <-waiting; w == 0 {
		t.Error("who left has begun")
	}
	g.Withdraw(a)
	if w := g.Begin(t.Context(), a); w > 0 {
		t.Errorf("waits %v when there is room again", w)
	}
}
