package delegate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

func TestWhoIsChosen(t *testing.T) {
	byID := func(m map[string]func(*roster.Pump)) func(*roster.Pump) {
		return func(p *roster.Pump) {
			if f := m[p.ID]; f != nil {
				f(p)
			}
		}
	}
	for _, c := range []struct {
		name   string
		roster map[string]func(*roster.Pump)
		says   map[string]func(*fleet.State)
		from   string
		want   string
		why    string
	}{
		{name: "a pump with a network that contains the address", from: "10.1.2.3", want: "a",
			roster: map[string]func(*roster.Pump){"b": func(p *roster.Pump) { p.Networks = nets("192.168.0.0/16", 9) }}},
		{name: "the highest priority wins, whatever the prefix", from: "10.1.2.3", want: "b",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("10.1.2.3/32", 5) }, "b": func(p *roster.Pump) { p.Networks = nets("0.0.0.0/0", 6) }}},
		{name: "a longer prefix with a higher priority", from: "10.1.2.3", want: "a",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("10.1.0.0/16", 7) }, "b": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", 6, "192.0.2.0/24", 99) }}},
		{name: "negative priorities are the lowest", from: "10.1.2.3", want: "b",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", -1) }}},
		{name: "IPv6", from: "2001:db8::5", want: "a",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("2001:db8::/32", 1) }}},
		{name: "IPv4 in IPv6 form is IPv4", from: "::ffff:10.1.2.3", want: "a",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", 1) }}},
		{name: "a network written in IPv6 form is IPv4", from: "10.1.2.3", want: "a",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.Networks = nets("::ffff:10.0.0.0/104", 1) }}},
		{name: "no network", from: "10.1.2.3", why: "no pump serves this network", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks = nil }, "b": func(p *roster.Pump) { p.Networks = nets("::/0", 0) }}},
		{name: "not enabled", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.Enabled = nets("10.0.0.0/8", 1), false }}},
		{name: "draining", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.Draining = nets("10.0.0.0/8", 1), true }}},
		{name: "draining by itself", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", 1) }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Draining = true }}},
		{name: "the stream is not live there", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", 1) }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Streams[0].State = fleet.StreamConnecting }}},
		{name: "full", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 3 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers, s.Joined = 3, 3 }}},
		{name: "pumps below it take no viewer's place", from: "10.1.2.3", want: "a", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 3 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers, s.Pumps, s.Joined = 12, 10, 12 }}},
		{name: "a fallback is delivered", from: "10.1.2.3", want: "a", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks = nets("10.0.0.0/8", 1) }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Streams[0].State = fleet.StreamFallback }}},
		{name: "live nowhere", from: "10.1.2.3", why: "the stream is not live at any pump for this network", says: map[string]func(*fleet.State){
			"a": func(s *fleet.State) { s.Streams = nil }, "b": func(s *fleet.State) { s.Streams[0].State = fleet.StreamOffline }}},
		{name: "nobody knows its address", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.URL = nets("10.0.0.0/8", 1), "" }}},
		{name: "full by the roster: the next priority", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 5 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers = 5 }}},
		{name: "full by its own limit", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 500 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers, s.ViewersMax = 5, 5 }}},
		{name: "room for one more", from: "10.1.2.3", want: "a", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 5 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers = 4 }}},
		{name: "no bandwidth", from: "10.1.2.3", want: "b", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxBandwidth = nets("10.0.0.0/8", 1), 1_000_000 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers, s.Streams[0].Viewers = 3, 3 }}},
		{name: "bandwidth for one more", from: "10.1.2.3", want: "a", roster: map[string]func(*roster.Pump){
			"a": func(p *roster.Pump) { p.Networks, p.MaxBandwidth = nets("10.0.0.0/8", 1), 1_200_000 }},
			says: map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers, s.Streams[0].Viewers = 3, 3 }}},
		{name: "all full", from: "10.1.2.3", why: "all pumps for this network are full",
			roster: map[string]func(*roster.Pump){"a": func(p *roster.Pump) { p.MaxViewers = 1 }, "b": func(p *roster.Pump) { p.MaxViewers = 1 }},
			says:   map[string]func(*fleet.State){"a": func(s *fleet.State) { s.Viewers = 1 }, "b": func(s *fleet.State) { s.Viewers = 7 }}},
		{name: "nobody can be told whence he comes", from: "", why: "no pump serves this network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Unless said otherwise, b is what is left: it serves everybody, with the lowest priority.
			w := newWorld(t, byID(c.roster), "a", "b")
			for i := range w.pumps {
				if w.pumps[i].ID == "b" && c.roster["b"] == nil || w.pumps[i].ID == "a" && c.roster["a"] == nil && c.roster["b"] != nil {
					w.pumps[i].Networks = nets("0.0.0.0/0", 0, "::/0", 0)
				}
			}
			w.seat()
			for id, f := range c.says {
				w.report(id, f)
			}
			from, _ := netip.ParseAddr(c.from)
			d := w.delegator(nil)
			for _, s := range []step{look, ask, enter} {
				pump, why := "", ""
				if s == look {
					pump, why = d.Choose(from, "", "STUDIO/")
				} else {
					got, v := d.choose(d.index.Load(), d.query(from, "", s))
					if got != nil {
						pump = got.pump.ID()
					} else {
						why = v.text()
					}
				}
				if c.want != "" && pump != c.want || c.want == "" && (pump != "" || why != c.why) {
					t.Fatalf("step %d: goes to %q (%s), want %q (%s)", s, pump, why, c.want, c.why)
				}
				if c.name == "room for one more" || c.name == "bandwidth for one more" {
					break // two more would be too many
				}
			}
		})
	}
}

// query is what a viewer of studio asks.
func (d *Delegator) query(from netip.Addr, client string, s step) query {
	from = from.Unmap()
	return query{addr: from, key: viewerKey(from, client, "studio"), stream: d.index.Load().streams["studio"], step: s, now: d.opts.Now().UnixNano()}
}

func (d *Delegator) pump(t testing.TB, from string, s step) string {
	t.Helper()
	got, _ := d.choose(d.index.Load(), d.query(netip.MustParseAddr(from), "", s))
	if got == nil {
		return ""
	}
	return got.pump.ID()
}

func TestADeadPumpGetsNobody(t *testing.T) {
	w := newWorld(t, nil, "a", "b")
	d := w.delegator(nil)
	w.clock.Add(10 * time.Second)
	w.report("b", nil)
	w.fleet.Sweep(false)
	for i := range 20 {
		if p := d.pump(t, addr(i), enter); p != "b" {
			t.Fatalf("%s is chosen", p)
		}
	}
}

func TestTheSameViewerGetsTheSamePumpForAMinute(t *testing.T) {
	w := newWorld(t, nil, "a", "b", "c")
	d := w.delegator(nil)
	first := map[string]string{}
	for i := range 60 {
		first[addr(i)] = d.pump(t, addr(i), ask)
	}
	// Whatever the pumps' load is meanwhile.
	w.report("a", func(s *fleet.State) { s.Viewers = 4000 })
	w.report("b", func(s *fleet.State) { s.Viewers = 10 })
	for range 4 {
		w.clock.Add(15 * time.Second)
		for _, id := range []string{"a", "b", "c"} {
			w.report(id, nil)
		}
		for i := range 60 {
			if p := d.pump(t, addr(i), look); p != first[addr(i)] {
				t.Fatalf("%s was sent to %s, then to %s", addr(i), first[addr(i)], p)
			}
		}
	}
	w.clock.Add(time.Minute)
	moved := 0
	for i := range 60 {
		if d.pump(t, addr(i), look) != first[addr(i)] {
			moved++
		}
	}
	if moved == 0 || moved == 60 {
		t.Errorf("after two minutes %d of 60 go elsewhere, by the new loads", moved)
	}
}

func TestAPumpThatGoesKeepsNobody(t *testing.T) {
	w := newWorld(t, nil, "a", "b")
	d := w.delegator(nil)
	first := d.pump(t, "10.0.0.1", ask)
	other := map[string]string{"a": "b", "b": "a"}[first]
	for _, change := range []func(*roster.Pump){
		func(p *roster.Pump) { p.Draining = true },
		func(p *roster.Pump) { p.Enabled = false },
		func(p *roster.Pump) { p.Networks = nets("192.168.0.0/16", 0) },
	} {
		for i := range w.pumps {
			if w.pumps[i].ID == first {
				was := w.pumps[i]
				change(&w.pumps[i])
				w.seat()
				d.follow()
				if p := d.pump(t, "10.0.0.1", look); p != other {
					t.Errorf("goes to %q", p)
				}
				w.pumps[i] = was
				w.seat()
				d.follow()
			}
		}
	}
	if p := d.pump(t, "10.0.0.1", look); p != first {
		t.Errorf("does not come back: %q", p)
	}
}

func TestEqualsAreFilledByTheirFreeCapacity(t *testing.T) {
	free := map[string]int64{"a": 1000, "b": 2000, "c": 500, "d": 0, "e": 500}
	w := newWorld(t, func(p *roster.Pump) {
		p.MaxViewers = 5000
		if p.ID == "e" {
			p.MaxViewers, p.MaxBandwidth = 0, 150_000_000
		}
	}, "a", "b", "c", "d", "e")
	for id, n := range free {
		w.report(id, func(s *fleet.State) {
			if id != "e" {
				s.Viewers = 5000 - n
			}
		})
	}
	x := w.delegator(nil).index.Load()
	got := map[string]int{}
	const viewers = 40_000
	for i := range viewers {
		a := netip.MustParseAddr(addr(i))
		s, _ := x.best(query{addr: a, key: viewerKey(a, "", "studio"), stream: x.streams["studio"], now: w.clock.Now().UnixNano()}, nil)
		got[s.pump.ID()]++
	}
	for id, n := range free {
		want := float64(n) / 4000 * viewers
		if f := float64(got[id]); f < want*0.95-1 || f > want*1.05+1 {
			t.Errorf("%s got %d viewers, its share is %.0f", id, got[id], want)
		}
	}
}

func TestManyEqualsAreFilledEvenly(t *testing.T) {
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprint("p", i))
	}
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 1000 }, ids...)
	d := w.delegator(func(o *Options) { o.Remember = 1 << 17 })
	got := map[string]int{}
	for i := range 100_000 {
		got[d.pump(t, addr(i), enter)]++
	}
	for _, id := range ids {
		if got[id] < 350 || got[id] > 650 {
			t.Errorf("%s got %d viewers, its share is 500", id, got[id])
		}
	}
	if got[""] > 0 {
		t.Errorf("%d were refused", got[""])
	}
}

func TestTheLastPlaceIsFoundAmongManyEquals(t *testing.T) {
	var ids []string
	for i := range 500 {
		ids = append(ids, fmt.Sprint("p", i))
	}
	w := newWorld(t, func(p *roster.Pump) {
		if p.MaxViewers = 1; p.ID == "p123" {
			p.MaxViewers = 2
		}
	}, ids...)
	for _, id := range ids {
		w.report(id, func(s *fleet.State) { s.Viewers = 1 })
	}
	d := w.delegator(nil)
	if p := d.pump(t, "10.0.0.1", enter); p != "p123" {
		t.Errorf("goes to %q", p)
	}
	if p := d.pump(t, "10.0.0.2", enter); p != "" {
		t.Errorf("the last place is given twice: %q", p)
	}
}

func TestABurstDoesNotOverrunAPump(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 300 }, "a")
	d := w.delegator(nil)
	var sent, refused atomic.Int64
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 250 {
				if d.pump(t, addr(g*250+i), enter) == "a" {
					sent.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	all.Wait()
	if sent.Load() != 300 || refused.Load() != 700 {
		t.Fatalf("%d were sent, %d refused", sent.Load(), refused.Load())
	}
}

// Viewers arrive after a while, the pump tells of them later still, and some never arrive.
func TestAssignmentsAndReportsAddUp(t *testing.T) {
	const limit = 300
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = limit }, "a")
		d := w.delegator(nil)
		type coming struct{ at time.Time }
		var way []coming
		watching, joined, most, sent := int64(0), int64(0), int64(0), 0
		for i := range 6000 {
			w.clock.Add(5 * time.Millisecond)
			if d.pump(t, addr(i), enter) == "a" {
				sent++
				if rng.IntN(10) > 0 { // the others do not come
					way = append(way, coming{w.clock.Now().Add(time.Duration(rng.IntN(3000)) * time.Millisecond)})
				}
			}
			way = slices.DeleteFunc(way, func(c coming) bool {
				if c.at.After(w.clock.Now()) {
					return false
				}
				watching++
				joined++
				return true
			})
			most = max(most, watching)
			if watching > 0 && rng.IntN(20) == 0 {
				watching--
			}
			if i%200 == 199 {
				w.report("a", func(s *fleet.State) { s.Viewers, s.Joined = watching, joined })
			}
		}
		if most > limit*102/100 || most < limit*80/100 {
			t.Fatalf("seed %d: %d viewers at a pump of %d", seed, most, limit)
		}
	}
}

func TestWhoDoesNotArriveIsNotWaitedForLong(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 10 }, "a")
	d := w.delegator(nil)
	for i := range 10 {
		d.pump(t, addr(i), enter)
	}
	if p := d.pump(t, addr(11), enter); p != "" {
		t.Fatal("there was room")
	}
	w.clock.Add(5 * time.Second)
	w.report("a", nil)
	if p := d.pump(t, addr(12), enter); p != "" {
		t.Fatal("they were given up early")
	}
	w.clock.Add(6 * time.Second)
	w.report("a", nil)
	if p := d.pump(t, addr(13), enter); p != "a" {
		t.Fatal("they are waited for still")
	}
}

func TestAPlayerThatAsksTwiceTakesOnePlace(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 2 }, "a")
	d := w.delegator(nil)
	for _, c := range []struct {
		from string
		step step
		want string
	}{
		{"10.0.0.1", ask, "a"}, {"10.0.0.2", ask, "a"}, {"10.0.0.3", ask, ""}, // two places, two who have asked
		{"10.0.0.1", enter, "a"}, {"10.0.0.2", enter, "a"}, // they take what was kept for them
		{"10.0.0.1", enter, ""}, {"10.0.0.4", enter, ""}, // somebody else at the same address is another viewer
	} {
		if got := d.pump(t, c.from, c.step); got != c.want {
			t.Fatalf("%s, step %d: %q, want %q", c.from, c.step, got, c.want)
		}
	}
}

func TestTheIndexFindsWhatTheRosterSays(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		random := func() netip.Addr {
			if rng.IntN(3) == 0 {
				return netip.AddrFrom16([16]byte{0x20, 1, byte(rng.IntN(2)), byte(rng.IntN(4)), byte(rng.IntN(4)), 15: byte(rng.IntN(3))})
			}
			return netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(4)), byte(rng.IntN(4))})
		}
		var ids []string
		for i := range 12 {
			ids = append(ids, fmt.Sprint(i))
		}
		w := newWorld(t, func(p *roster.Pump) {
			p.Networks = nil
			for range rng.IntN(6) {
				a := random()
				prefix, _ := a.Prefix(rng.IntN(a.BitLen() + 1))
				p.Networks = append(p.Networks, roster.Network{Prefix: prefix, Priority: rng.IntN(4)})
			}
		}, ids...)
		d := w.delegator(nil)
		r := w.fleet.View().Roster
		for range 200 {
			a := random()
			got, _ := d.Choose(a, "", "studio")
			want := r.Candidates(a)
			if got == "" && len(want) > 0 || got != "" && !slices.Contains(want, got) {
				t.Fatalf("seed %d: %s goes to %q, the roster says %v", seed, a, got, want)
			}
		}
	}
}

func TestARosterInForceIsFollowed(t *testing.T) {
	w := newWorld(t, nil, "a")
	d := w.delegator(nil)
	w.pumps[0].Networks = nets("192.168.0.0/16", 0)
	w.seat()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if p, _ := d.Choose(netip.MustParseAddr("10.0.0.1"), "", "studio"); p == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the old roster is in force still")
		}
	}
}

func TestADecisionAllocatesNothing(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 1 << 20 }, "a", "b", "c")
	d := w.delegator(nil)
	i := 0
	a := netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(1000, func() {
		i++
		q := d.query(a, "", enter)
		q.key += uint64(i) << 20
		d.choose(d.index.Load(), q)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A house tells another one whom it sent where: both send a viewer to the same pump, and both count him.
func TestHousesTellEachOther(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 100 }, "a", "b")
	bus := &testBus{}
	one := w.delegator(func(o *Options) { o.Bus = bus })
	two := w.delegator(func(o *Options) { o.Bus = bus })
	sent := map[string]string{}
	for i := range 100 {
		sent[addr(i)] = one.pump(t, addr(i), ask)
	}
	deadline := time.Now().Add(10 * time.Second)
	for two.awaiting() < 100 {
		if time.Now().After(deadline) {
			t.Fatalf("the other house has heard of %d", two.awaiting())
		}
		time.Sleep(time.Millisecond)
	}
	for i := range 100 {
		if p := two.pump(t, addr(i), enter); p != sent[addr(i)] {
			t.Errorf("%s was sent to %s, by the other house to %s", addr(i), sent[addr(i)], p)
		}
	}
	if n := two.awaiting(); n != 100 {
		t.Errorf("the other house waits for %d viewers, not for 100", n)
	}
	bus.words.Range(func(_, hear any) bool {
		hear.(func(string, []byte))(subject, []byte("nonsense that is no word at all, but long enough for one"))
		hear.(func(string, []byte))(subject, nil)
		return true
	})
}

// awaiting is how many viewers are on their way, as this house believes.
func (d *Delegator) awaiting() (n int64) {
	for _, s := range d.index.Load().slots {
		s.seat.mu.Lock()
		n += s.seat.total
		s.seat.mu.Unlock()
	}
	return n
}

// testBus carries words at once.
type testBus struct {
	words sync.Map
	n     atomic.Int64
}

func (b *testBus) Publish(subject string, data []byte) error {
	b.words.Range(func(_, hear any) bool {
		hear.(func(string, []byte))(subject, data)
		return true
	})
	return nil
}

func (b *testBus) Subscribe(_ string, hear func(string, []byte)) (func(), error) {
	key := b.n.Add(1)
	b.words.Store(key, hear)
	return func() { b.words.Delete(key) }, nil
}

func TestAReportOfANewBootStartsAnew(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 100 }, "a")
	d := w.delegator(nil)
	w.report("a", func(s *fleet.State) { s.Viewers, s.Joined = 90, 5000 })
	for i := range 10 {
		d.pump(t, addr(i), enter)
	}
	if p := d.pump(t, addr(50), enter); p != "" {
		t.Fatal("there was room")
	}
	w.boot["a"], w.count["a"] = 1, 0
	w.report("a", func(s *fleet.State) { s.Viewers, s.Joined = 0, 0 })
	if p := d.pump(t, addr(51), enter); p != "a" {
		t.Fatal("it has restarted and is empty")
	}
	if n := d.awaiting(); n != 11 {
		t.Errorf("%d are awaited", n)
	}
}
