package delegate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// bigFleet has n pumps with ten networks each: places in networks of countries in one for everybody, as a fleet over a continent
// would have them, and some of IPv6. equals of each ten pumps share their networks.
func bigFleet(t testing.TB, n, equals int) *world {
	rng := rand.New(rand.NewPCG(1, 2))
	var nets [][]roster.Network
	for i := range n {
		var list []roster.Network
		for k := range 10 {
			var p netip.Prefix
			switch k {
			case 0:
				p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i / 40)}), 16)
			case 1:
				p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 8), byte(i)}), 32)
			default:
				p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rng.IntN(25)), byte(rng.IntN(256)), byte(rng.IntN(256))}), 20+rng.IntN(9))
			}
			list = append(list, roster.Network{Prefix: p.Masked(), Priority: rng.IntN(4)})
		}
		if i%10 < equals && i%10 > 0 {
			list = nets[i-i%10]
		}
		nets = append(nets, list)
	}
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint("p", i))
	}
	i := -1
	w := newWorld(t, func(p *roster.Pump) {
		i++
		p.Networks, p.MaxViewers, p.MaxBandwidth = nets[i], 1_000_000, 1e15
	}, ids...)
	for _, id := range ids {
		w.report(id, func(s *fleet.State) { s.Viewers = rng.Int64N(1000) })
	}
	return w
}

// A decision with 1,000 pumps and 10,000 networks: at most 2 µs, and no allocation.
func BenchmarkDecision(b *testing.B) {
	for _, c := range []struct {
		name   string
		equals int
		step   step
		again  bool
	}{
		{"first request", 1, ask, false},
		{"second request", 1, enter, true},
		{"ten equals", 10, ask, false},
		{"everybody everywhere", 1000, ask, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			var w *world
			if c.equals == 1000 {
				w = everywhere(b, 1000)
			} else {
				w = bigFleet(b, 1000, c.equals)
			}
			d := w.delegator(func(o *Options) { o.Remember = 1 << 18 })
			x := d.index.Load()
			now := w.clock.Now().UnixNano()
			viewers := make([]query, 1<<16)
			for i := range viewers {
				a := netip.AddrFrom4([4]byte{10, byte(i % 25), byte(i >> 8), byte(i)})
				viewers[i] = query{addr: a, key: viewerKey(a, "", "studio"), stream: x.streams["studio"], step: c.step, now: now}
				if c.again {
					q := viewers[i]
					q.step = ask
					d.choose(x, q)
				}
			}
			b.ReportAllocs()
			none := 0
			for i := 0; b.Loop(); i++ {
				q := viewers[i%len(viewers)]
				if !c.again {
					q.key = mix(q.key + uint64(i)) // somebody new at this address
				}
				if s, _ := d.choose(x, q); s == nil {
					none++
				}
			}
			if none > b.N/10 {
				b.Fatalf("%d of %d were sent nowhere", none, b.N)
			}
		})
	}
}

// everywhere is a fleet in which all pumps serve everybody with the same priority.
func everywhere(t testing.TB, n int) *world {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint("p", i))
	}
	return newWorld(t, func(p *roster.Pump) { p.MaxViewers = 1_000_000 }, ids...)
}

// An index of 1,000 pumps and 10,000 networks is made at each change of the roster.
func BenchmarkIndex(b *testing.B) {
	w := bigFleet(b, 1000, 1)
	var s seats
	for b.Loop() {
		newIndex(w.fleet.View(), &s, 1)
	}
}

func TestADecisionInABigFleetAllocatesNothing(t *testing.T) {
	w := bigFleet(t, 1000, 10)
	d := w.delegator(nil)
	i := 0
	if n := testing.AllocsPerRun(2000, func() {
		i++
		a := netip.AddrFrom4([4]byte{10, byte(i % 25), byte(i >> 8), byte(i)})
		d.choose(d.index.Load(), d.query(a, "", enter))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
