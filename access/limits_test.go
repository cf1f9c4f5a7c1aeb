package access

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var v4 = netip.MustParseAddr("192.0.2.1")

// clocked returns limits whose clock stands still until it is moved.
func clocked(b Bounds) (*Limits, *int64) {
	now := new(int64)
	l := NewLimits(b)
	l.now = func() int64 { return *now }
	return l, now
}

// viewerAt asks for a place for a viewer of stream a, which costs 1000 bit/s and 1100 on
// the wire.
func viewerAt(addr string) Request {
	r := Request{Stream: "a", Rate: 1000, Wire: 1100}
	if addr != "" {
		r.Addr = netip.MustParseAddr(addr)
	}
	return r
}

// admitAll asks until it is refused, at most 50 times.
func admitAll(l *Limits, r Request) (tickets []*Ticket, err error) {
	for range 50 {
		t, e := l.Admit(r)
		if e != nil {
			return tickets, e
		}
		tickets = append(tickets, t)
	}
	return tickets, nil
}

func TestAdmit(t *testing.T) {
	own := func(s StreamBounds) Bounds { return Bounds{Streams: map[string]StreamBounds{"a": s}} }
	for _, c := range []struct {
		name   string
		bounds Bounds
		pump   bool
		fits   int // of stream a from 192.0.2.1 at 1000 bit/s
		limit  Limit
	}{
		{"no limits", Bounds{}, false, 50, ""},
		{"viewers", Bounds{Viewers: 3}, false, 3, LimitViewers},
		{"viewers of the stream", Bounds{Viewers: 9, Streams: map[string]StreamBounds{"a": {Viewers: 2}}}, false, 2, LimitStreamViewers},
		{"viewers of another stream", Bounds{Streams: map[string]StreamBounds{"b": {Viewers: 2}}}, false, 50, ""},
		{"viewers of the address", Bounds{ViewersPerAddress: 4}, false, 4, LimitAddressViewers},
		{"bandwidth", Bounds{Bandwidth: 4999}, false, 4, LimitBandwidth},
		{"bandwidth to the last bit", Bounds{Bandwidth: 5000}, false, 5, LimitBandwidth},
		{"bandwidth of the stream", own(StreamBounds{Bandwidth: 3000}), false, 3, LimitStreamBandwidth},
		{"bandwidth of the address", Bounds{BandwidthPerAddress: 2999}, false, 2, LimitAddressBandwidth},
		{"viewers of the stream a second", own(StreamBounds{ViewersPerSecond: 3}), false, 3, LimitStreamRate},
		{"pumps", Bounds{Pumps: PumpBounds{Count: 2}}, true, 2, LimitPumps},
		{"pumps of the stream", own(StreamBounds{Pumps: 3}), true, 3, LimitStreamPumps},
		{"pumps of the address", Bounds{Pumps: PumpBounds{PerAddress: 2}}, true, 2, LimitAddressPumps},
		{"bandwidth of pumps", Bounds{Pumps: PumpBounds{Bandwidth: 2000}}, true, 2, LimitPumpBandwidth},
		{"no bound of viewers is a pump's", Bounds{Viewers: 1, ViewersPerAddress: 1, Bandwidth: 1, BandwidthPerAddress: 1,
			Streams: map[string]StreamBounds{"a": {Viewers: 1, Bandwidth: 1, ViewersPerSecond: 1}}}, true, 50, ""},
		{"no bound of pumps is a viewer's", Bounds{Pumps: PumpBounds{Count: 1, PerAddress: 1, Bandwidth: 1},
			Streams: map[string]StreamBounds{"a": {Pumps: 1}}}, false, 50, ""},
		{"who is where no pumps are is a viewer", Bounds{Viewers: 3, Pumps: PumpBounds{Networks: netsOf("10.0.0.0/8")}}, true, 3, LimitViewers},
		{"who is where pumps are is one", Bounds{Viewers: 3, Pumps: PumpBounds{Count: 4, Networks: netsOf("192.0.2.0/24")}}, true, 4, LimitPumps},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, now := clocked(c.bounds)
			r := viewerAt("192.0.2.1")
			r.Pump = c.pump
			tickets, err := admitAll(l, r)
			if len(tickets) != c.fits {
				t.Fatalf("%d admitted, want %d", len(tickets), c.fits)
			}
			if c.limit == "" {
				return
			}
			var le *LimitError
			if !errors.As(err, &le) || le.Limit != c.limit || !errors.Is(err, &LimitError{Limit: c.limit}) || !errors.Is(err, &LimitError{}) || errors.Is(err, &LimitError{Limit: LimitConnections}) {
				t.Errorf("%v", err)
			}
			if err := l.Room(r); !errors.Is(err, &LimitError{Limit: c.limit}) {
				t.Errorf("asking first: %v", err)
			}
			if n := l.Refused(c.limit); n != 2 {
				t.Errorf("%d refusals counted, want 2", n)
			}
			*now += second
			tickets[0].Release()
			tickets[0].Release()
			want := 1
			if c.limit == LimitStreamRate {
				want = c.fits
			}
			if err := l.Room(r); err != nil {
				t.Errorf("asking first when there is room: %v", err)
			}
			if again, _ := admitAll(l, r); len(again) != want {
				t.Errorf("%d admitted after one was released twice, want %d", len(again), want)
			}
		})
	}
}

func netsOf(list ...string) Networks {
	n, err := ParseNetworks(list...)
	if err != nil {
		panic(err)
	}
	return n
}

// What is kept of the uplink for pumps is not given to viewers, and what viewers have is
// not taken for pumps beyond it.
func TestUplinkIsShared(t *testing.T) {
	for _, c := range []struct {
		name           string
		reserve        int64
		first          bool // pumps come first
		viewers, pumps int
	}{
		{"nothing kept, viewers first", 0, false, 10, 0},
		{"nothing kept, pumps first", 0, true, 0, 10},
		{"kept, viewers first", 3300, false, 7, 3},
		{"kept, pumps first", 3300, true, 7, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _ := clocked(Bounds{Pumps: PumpBounds{Bandwidth: c.reserve}})
			l.SetUplink(11_000)
			got := map[bool]int{}
			for _, pump := range []bool{c.first, !c.first} {
				r := viewerAt("192.0.2.1")
				r.Pump = pump
				tickets, err := admitAll(l, r)
				got[pump] = len(tickets)
				if !errors.Is(err, &LimitError{}) {
					t.Errorf("pump %v: %v", pump, err)
				}
			}
			if got[false] != c.viewers || got[true] != c.pumps {
				t.Errorf("%d viewers and %d pumps, want %d and %d", got[false], got[true], c.viewers, c.pumps)
			}
			if u := l.Usage(); u.Wire != 11_000 {
				t.Errorf("on the wire %d, want 11000", u.Wire)
			}
		})
	}
}

func TestAddressesCount(t *testing.T) {
	for _, c := range []struct {
		first, second string
		same          bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"::1", "::2", false},
	} {
		l := NewLimits(Bounds{ViewersPerAddress: 1, ConnectionsPerAddress: 1})
		if _, err := l.Admit(viewerAt(c.first)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Admit(viewerAt(c.second)); (err != nil) != c.same {
			t.Errorf("%s then %s: %v", c.first, c.second, err)
		}
		if _, err := l.Connect(netip.MustParseAddr(c.first)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Connect(netip.MustParseAddr(c.second)); (err != nil) != c.same {
			t.Errorf("connections from %s then %s: %v", c.first, c.second, err)
		}
	}
	l := NewLimits(Bounds{ViewersPerAddress: 1, ConnectionsPerAddress: 1})
	for range 2 {
		if _, err := l.Admit(viewerAt("")); err != nil {
			t.Errorf("no address: %v", err)
		}
		if _, err := l.Connect(netip.Addr{}); err != nil {
			t.Errorf("a connection of no address: %v", err)
		}
	}
}

func TestSetBounds(t *testing.T) {
	l := NewLimits(Bounds{Viewers: 1})
	first, err := l.Admit(viewerAt("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	l.SetBounds(Bounds{Viewers: 2})
	second, err := l.Admit(viewerAt("192.0.2.1"))
	if err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
	l.SetBounds(Bounds{Viewers: 1})
	first.Release()
	if _, err := l.Admit(viewerAt("192.0.2.1")); err == nil {
		t.Error("admitted beyond a lowered limit")
	}
	second.Release()
	if got := l.Usage(); got != (Usage{}) {
		t.Errorf("left behind: %+v", got)
	}
	if l.Bounds().Viewers != 1 {
		t.Error("bounds are not those set")
	}
}

// The sums follow what streams turn out to cost, and nobody is sent away for it.
func TestRatesFollowTheStream(t *testing.T) {
	l := NewLimits(Bounds{Bandwidth: 10_000, BandwidthPerAddress: 6000, Streams: map[string]StreamBounds{"a": {Bandwidth: 7000}}})
	ask := func(stream, addr string, rate int64) (*Ticket, error) {
		return l.Admit(Request{Stream: stream, Addr: netip.MustParseAddr(addr), Rate: rate, Wire: rate + 1})
	}
	var tickets []*Ticket
	for _, x := range []struct{ stream, addr string }{{"a", "192.0.2.1"}, {"a", "192.0.2.1"}, {"b", "192.0.2.1"}, {"a", "192.0.2.2"}} {
		ticket, err := ask(x.stream, x.addr, 1000)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	want := func(what string, viewers int64, wire int64, first int64) {
		t.Helper()
		if u, b := l.Usage(), l.BusiestAddresses(0); u.Bandwidth != viewers || u.Wire != wire || b.Bandwidth != first {
			t.Errorf("%s: bandwidth %d, on the wire %d, busiest address %d; want %d, %d, %d", what, u.Bandwidth, u.Wire, b.Bandwidth, viewers, wire, first)
		}
	}
	want("as announced", 4000, 4004, 3000)
	l.SetRate("a", 2000, 2100)
	want("a costs more", 7000, 7301, 5000)
	if _, err := ask("b", "192.0.2.1", 1001); !errors.Is(err, &LimitError{Limit: LimitAddressBandwidth}) {
		t.Errorf("a viewer too many of an address: %v", err)
	}
	if _, err := ask("a", "192.0.2.3", 2000); !errors.Is(err, &LimitError{Limit: LimitStreamBandwidth}) {
		t.Errorf("a viewer too many of a stream: %v", err)
	}
	l.SetRate("a", 4000, 4000)
	if _, err := ask("b", "192.0.2.3", 1000); !errors.Is(err, &LimitError{Limit: LimitBandwidth}) {
		t.Errorf("a viewer too many: %v", err)
	}
	l.SetRate("a", -1, -1)
	want("a costs nothing", 1000, 1001, 1000)
	l.SetRate("nix", 5, 5)
	for _, ticket := range tickets {
		ticket.Release()
	}
	if u := l.Usage(); u != (Usage{}) || len(l.streams)+len(l.addresses) > 0 {
		t.Errorf("left behind: %+v", u)
	}
	(*Ticket)(nil).Release()
}

func TestConnections(t *testing.T) {
	l := NewLimits(Bounds{Connections: 2})
	var first *Connection
	for range 2 {
		c, err := l.Connect(v4)
		if err != nil {
			t.Fatal(err)
		}
		first = c
	}
	if _, err := l.Connect(v4); !errors.Is(err, &LimitError{Limit: LimitConnections}) {
		t.Errorf("third connection: %v", err)
	}
	first.Release()
	first.Release()
	if _, err := l.Connect(v4); err != nil {
		t.Errorf("after one left: %v", err)
	}
	if _, err := l.Connect(v4); err == nil {
		t.Error("one that was released twice left two places")
	}
	(*Connection)(nil).Release()
}

// Connections of pumps have places of their own where it is known where pumps are.
func TestViewersDoNotCrowdOutPumps(t *testing.T) {
	pump := netip.MustParseAddr("10.0.0.1")
	l, _ := clocked(Bounds{Connections: 2, ConnectionsPerSecond: 2, ConnectionsPerAddress: 1, ConnectionsPerSecondAddress: 1,
		Pumps: PumpBounds{Count: 1, Networks: netsOf("10.0.0.0/8")}})
	for i := range 2 {
		if _, err := l.Connect(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Connect(v4); err == nil {
		t.Fatal("a third connection")
	}
	most := l.bounds.Pumps.connections()
	for i := range most {
		if _, err := l.Connect(pump); err != nil {
			t.Fatalf("connection %d of pumps: %v", i+1, err)
		}
	}
	if _, err := l.Connect(pump); !errors.Is(err, &LimitError{Limit: LimitConnections}) {
		t.Errorf("more connections of pumps than they have places: %v", err)
	}
	if u := l.Usage(); u.Connections != 2+most || u.PumpConnections != most {
		t.Errorf("%+v", u)
	}
}

// Who is behind a proxy counts from when that is known, and may be too many then.
func TestConnectionsBehindAProxy(t *testing.T) {
	l, now := clocked(Bounds{ConnectionsPerAddress: 1, ConnectionsPerSecondAddress: 2})
	var places []*Connection
	for range 4 {
		c, err := l.Connect(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, c)
	}
	want := func(c *Connection, addr string, limit Limit) {
		t.Helper()
		var a netip.Addr
		if addr != "" {
			a = netip.MustParseAddr(addr)
		}
		if err := c.Introduce(a); err != nil != (limit != "") || limit != "" && !errors.Is(err, &LimitError{Limit: limit}) {
			t.Errorf("%s: %v, want %q", addr, err, limit)
		}
	}
	want(places[0], "", "")
	want(places[0], "192.0.2.1", "")
	want(places[0], "192.0.2.9", "") // it has been said
	want(places[1], "192.0.2.1", LimitAddressConnections)
	want(places[1], "192.0.2.2", "")
	places[0].Release()
	want(places[2], "192.0.2.1", "")
	places[2].Release()
	want(places[3], "192.0.2.1", LimitAddressConnectionRate)
	want(places[2], "192.0.2.1", "") // it is closed
	for _, c := range places {
		c.Release()
	}
	*now += second
	if u := l.Usage(); u != (Usage{}) {
		t.Errorf("left behind: %+v", u)
	}
}

// Within any second no more than the bound come in: not at its beginning, not across it.
func TestConnectionsPerSecond(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounds Bounds
		limit  Limit
	}{
		{"all", Bounds{ConnectionsPerSecond: 3}, LimitConnectionRate},
		{"of an address", Bounds{ConnectionsPerSecondAddress: 3}, LimitAddressConnectionRate},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, now := clocked(c.bounds)
			var in []int64
			for step := range 400 {
				*now = int64(step) * second / 40
				if place, err := l.Connect(v4); err == nil {
					place.Release()
					in = append(in, *now)
				} else if !errors.Is(err, &LimitError{Limit: c.limit}) {
					t.Fatal(err)
				}
			}
			for i := 3; i < len(in); i++ {
				if in[i]-in[i-3] < second {
					t.Fatalf("four came within %v", time.Duration(in[i]-in[i-3]))
				}
			}
			if len(in) != 30 {
				t.Errorf("%d came in ten seconds, want 30", len(in))
			}
			*now += 2 * second
			if u := l.Usage(); u != (Usage{}) || len(l.idle) > 0 {
				t.Errorf("left behind: %+v", u)
			}
		})
	}
	l, _ := clocked(Bounds{ConnectionsPerSecondAddress: 1})
	for i := range 5 {
		if _, err := l.Connect(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); err != nil {
			t.Errorf("the rate of one address keeps another out: %v", err)
		}
	}
}

// The table of addresses has a bound: strangers are refused then, and those who are in
// may go on.
func TestAddressesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table of a million")
	}
	l := NewLimits(Bounds{})
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxAddresses {
		if _, err := l.Connect(at(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Connect(at(maxAddresses)); !errors.Is(err, &LimitError{Limit: LimitAddresses}) {
		t.Errorf("a stranger's connection: %v", err)
	}
	if _, err := l.Admit(Request{Stream: "a", Addr: at(maxAddresses)}); !errors.Is(err, &LimitError{Limit: LimitAddresses}) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := l.Admit(Request{Stream: "a", Addr: at(0)}); err != nil {
		t.Errorf("one who is known: %v", err)
	}
}

func TestSession(t *testing.T) {
	l := NewLimits(Bounds{Session: time.Hour, Streams: map[string]StreamBounds{"a": {Session: time.Minute}, "b": {Viewers: 1}, "d": {Session: NoSession}}})
	for path, want := range map[string]time.Duration{"a": time.Minute, "b": time.Hour, "c": time.Hour, "d": 0} {
		if got := l.Session(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestStreamUsage(t *testing.T) {
	l, now := clocked(Bounds{Streams: map[string]StreamBounds{"a": {ViewersPerSecond: 9}}})
	pump := viewerAt("192.0.2.1")
	pump.Pump = true
	for _, r := range []Request{viewerAt("192.0.2.1"), viewerAt("192.0.2.2"), pump} {
		if _, err := l.Admit(r); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := l.StreamUsage("a"), (StreamUsage{Viewers: 2, Pumps: 1, Bandwidth: 2000, Arrivals: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	*now += second
	if got := l.StreamUsage("a").Arrivals; got != 0 {
		t.Errorf("%d arrivals a second later", got)
	}
	if got := l.StreamUsage("b"); got != (StreamUsage{}) {
		t.Errorf("an unknown stream: %+v", got)
	}
	l.SetBounds(Bounds{})
	if len(l.joins) > 0 {
		t.Error("arrivals are kept that nobody bounds")
	}
}

func TestLimitErrorNamesTheLimit(t *testing.T) {
	for want, err := range map[string]error{
		"limit viewers reached: 5":                    &LimitError{Limit: LimitViewers, Max: 5},
		"limit stream_viewers of stream a reached: 5": &LimitError{Limit: LimitStreamViewers, Stream: "a", Max: 5},
	} {
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestEveryLimitIsListedOnce(t *testing.T) {
	seen := map[Limit]bool{}
	for _, limit := range EveryLimit() {
		if seen[limit] {
			t.Errorf("%s is listed twice", limit)
		}
		seen[limit] = true
	}
	if len(seen) < 18 {
		t.Errorf("%d limits", len(seen))
	}
}

func TestRefuse(t *testing.T) {
	l := NewLimits(Bounds{})
	l.Refuse(LimitFiles)
	if got := fmt.Sprint(l.Refused(LimitFiles), l.Refused(LimitViewers)); got != "1 0" {
		t.Error(got)
	}
}

func BenchmarkAdmitRelease(b *testing.B) {
	l := NewLimits(Bounds{Viewers: 1000, ViewersPerAddress: 1000, Bandwidth: 1e12})
	r := Request{Stream: "a", Addr: v4, Rate: 1000, Wire: 1100}
	b.ReportAllocs()
	for b.Loop() {
		ticket, err := l.Admit(r)
		if err != nil {
			b.Fatal(err)
		}
		ticket.Release()
	}
}
