package access

import (
	"errors"
	"net/netip"
	"testing"
)

// A head counts from its connection's beginning until it is whole, the connection has ended, or
// nobody waits for it any more, whichever comes first, and once only.
func TestUnfinishedHeads(t *testing.T) {
	other := netip.MustParseAddr("198.51.100.1")
	for _, c := range []struct {
		name   string
		bounds Bounds
		limit  Limit
		others bool // whether another address is refused too
	}{
		{"all", Bounds{Heads: 2}, LimitHeads, true},
		{"of an address", Bounds{HeadsPerAddress: 2}, LimitAddressHeads, false},
		{"of an address, the other bounds being wider", Bounds{Heads: 3, Connections: 9, ConnectionsPerAddress: 8, HeadsPerAddress: 2}, LimitAddressHeads, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLimits(c.bounds)
			come := func(addr netip.Addr) *Connection {
				t.Helper()
				p, err := l.Connect(addr)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			full := func(what string, heads int) {
				t.Helper()
				if _, err := l.Connect(v4); !errors.Is(err, &LimitError{Limit: c.limit}) {
					t.Errorf("%s: %v, want %s", what, err, c.limit)
				}
				if u := l.Usage(); u.Heads != heads {
					t.Errorf("%s: %d unfinished heads, want %d", what, u.Heads, heads)
				}
			}
			first, second := come(v4), come(v4)
			full("two have come", 2)
			if p, err := l.Connect(other); (err != nil) != c.others {
				t.Errorf("another address: %v", err)
			} else if err == nil {
				p.Release()
			}
			first.Headed()
			first.Headed()
			third := come(v4)
			full("one is whole, one more has come", 2)
			if err := first.Heading(); !errors.Is(err, &LimitError{Limit: c.limit}) {
				t.Errorf("the next request on an open connection: %v, want %s", err, c.limit)
			}
			second.Release()
			second.Release()
			second.Headed()
			if err := second.Heading(); err != nil {
				t.Errorf("one that is closed: %v", err)
			}
			for range 2 {
				if err := first.Heading(); err != nil {
					t.Errorf("the next request on an open connection: %v", err)
				}
			}
			full("one has ended, and the next request has begun on another", 2)
			if got := l.Refused(c.limit); got < 4 {
				t.Errorf("%d refusals are counted", got)
			}
			first.Release() // with its head unfinished
			third.Headed()
			third.Release()
			if u := l.Usage(); u != (Usage{}) || len(l.addresses) > 0 {
				t.Errorf("left behind: %+v, %d addresses", u, len(l.addresses))
			}
		})
	}
	var none *Connection
	none.Headed()
	if err := none.Heading(); err != nil {
		t.Errorf("a connection without a place: %v", err)
	}
}

// A connection that a proxy has made counts with the address behind it once that is known, and
// those of pumps, which have places of their own, do not count.
func TestUnfinishedHeadsBehindAProxyAndOfPumps(t *testing.T) {
	pump := netip.MustParseAddr("10.0.0.1")
	l := NewLimits(Bounds{Heads: 4, HeadsPerAddress: 1, Pumps: PumpBounds{Count: 1, Networks: netsOf("10.0.0.0/8")}})
	var places []*Connection
	for _, addr := range []netip.Addr{{}, {}, {}, {}, pump, pump} {
		p, err := l.Connect(addr)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	if _, err := l.Connect(netip.Addr{}); !errors.Is(err, &LimitError{Limit: LimitHeads}) {
		t.Errorf("a fifth: %v", err)
	}
	if err := places[0].Introduce(v4); err != nil {
		t.Error(err)
	}
	if err := places[1].Introduce(v4); !errors.Is(err, &LimitError{Limit: LimitAddressHeads}) {
		t.Errorf("a second head of one address: %v", err)
	}
	if most := l.BusiestAddresses(0).Heads; most != 1 {
		t.Errorf("%d unfinished heads of the busiest address", most)
	}
	places[0].Headed()
	if err := places[1].Introduce(v4); err != nil {
		t.Errorf("the next head of an address whose last one was whole: %v", err)
	}
	places[4].Headed()
	if err := places[5].Heading(); err != nil {
		t.Errorf("of a pump: %v", err)
	}
	if u := l.Usage(); u.Heads != 3 {
		t.Errorf("%d unfinished heads, want 3", u.Heads)
	}
	for _, p := range places {
		p.Release()
	}
	if u := l.Usage(); u != (Usage{}) || len(l.addresses) > 0 {
		t.Errorf("left behind: %+v, %d addresses", u, len(l.addresses))
	}
}
