package access

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
)

var v4 = netip.MustParseAddr("192.0.2.1")

func TestAdmit(t *testing.T) {
	admit := func(l *Limits, n int, stream, addr string, rate int64) (tickets []*Ticket, err error) {
		var a netip.Addr
		if addr != "" {
			a = netip.MustParseAddr(addr)
		}
		for range n {
			ticket, e := l.Admit(stream, a, rate)
			if e != nil {
				return tickets, e
			}
			tickets = append(tickets, ticket)
		}
		return tickets, nil
	}
	for _, c := range []struct {
		name   string
		bounds Bounds
		fits   int // viewers of stream a from 192.0.2.1 at 1000 bit/s
		limit  Limit
	}{
		{"no limits", Bounds{}, 50, ""},
		{"viewers", Bounds{Viewers: 3}, 3, LimitViewers},
		{"stream", Bounds{Viewers: 9, ViewersPerStream: map[string]int{"a": 2}}, 2, LimitStreamViewers},
		{"other stream", Bounds{ViewersPerStream: map[string]int{"b": 2}}, 50, ""},
		{"address", Bounds{ViewersPerAddress: 4}, 4, LimitAddressViewers},
		{"bandwidth", Bounds{Bandwidth: 4999}, 4, LimitBandwidth},
		{"bandwidth to the last bit", Bounds{Bandwidth: 5000}, 5, LimitBandwidth},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLimits(c.bounds)
			tickets, err := admit(l, 50, "a", "192.0.2.1", 1000)
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
			tickets[0].Release()
			tickets[0].Release()
			if again, _ := admit(l, 2, "a", "192.0.2.1", 1000); len(again) != 1 {
				t.Errorf("%d admitted after one was released twice, want 1", len(again))
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
		l := NewLimits(Bounds{ViewersPerAddress: 1})
		if _, err := l.Admit("a", netip.MustParseAddr(c.first), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Admit("a", netip.MustParseAddr(c.second), 0); (err != nil) != c.same {
			t.Errorf("%s then %s: %v", c.first, c.second, err)
		}
	}
	l := NewLimits(Bounds{ViewersPerAddress: 1})
	for range 2 {
		if _, err := l.Admit("a", netip.Addr{}, 0); err != nil {
			t.Errorf("no address: %v", err)
		}
	}
}

func TestSetBounds(t *testing.T) {
	l := NewLimits(Bounds{Viewers: 1})
	first, err := l.Admit("a", v4, 10)
	if err != nil {
		t.Fatal(err)
	}
	l.SetBounds(Bounds{Viewers: 2})
	second, err := l.Admit("a", v4, 10)
	if err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
	l.SetBounds(Bounds{Viewers: 1})
	first.Release()
	if _, err := l.Admit("a", v4, 10); err == nil {
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

func TestSetBitrate(t *testing.T) {
	l := NewLimits(Bounds{Bandwidth: 100})
	ticket, err := l.Admit("a", v4, -5)
	if err != nil {
		t.Fatal(err)
	}
	ticket.SetBitrate(150)
	if got := l.Usage().Bandwidth; got != 150 {
		t.Errorf("bandwidth %d", got)
	}
	if _, err := l.Admit("a", v4, 0); !errors.Is(err, &LimitError{Limit: LimitBandwidth}) {
		t.Errorf("admitted beyond the bandwidth: %v", err)
	}
	ticket.Release()
	ticket.SetBitrate(99)
	if got := l.Usage().Bandwidth; got != 0 {
		t.Errorf("bandwidth %d after the release", got)
	}
	(*Ticket)(nil).Release()
	(*Ticket)(nil).SetBitrate(1)
}

func TestConnections(t *testing.T) {
	l := NewLimits(Bounds{Connections: 2})
	for range 2 {
		if err := l.Connect(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Connect(); !errors.Is(err, &LimitError{Limit: LimitConnections}) {
		t.Errorf("third connection: %v", err)
	}
	l.Disconnect()
	if err := l.Connect(); err != nil {
		t.Errorf("after one left: %v", err)
	}
	for range 5 {
		l.Disconnect()
	}
	if n := l.Usage().Connections; n != 0 {
		t.Errorf("%d connections", n)
	}
}

// Whatever the order of arrivals and leavings, no more than the limit are in at
// once, and nothing is left behind.
func TestLimitsConcurrently(t *testing.T) {
	l := NewLimits(Bounds{Viewers: 10, Bandwidth: 1000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				ticket, err := l.Admit("a", v4, 10)
				if u := l.Usage(); u.Viewers > 10 || u.Bandwidth > 1000 {
					t.Errorf("%+v", u)
				}
				if err == nil {
					wg.Go(ticket.Release)
					ticket.Release()
				}
			}
		})
	}
	wg.Wait()
	if got := l.Usage(); got != (Usage{}) || len(l.streams) != 0 {
		t.Errorf("left behind: %+v", got)
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

func BenchmarkAdmitRelease(b *testing.B) {
	l := NewLimits(Bounds{Viewers: 1000, ViewersPerAddress: 1000, Bandwidth: 1e12})
	b.ReportAllocs()
	for b.Loop() {
		ticket, err := l.Admit("a", v4, 1000)
		if err != nil {
			b.Fatal(err)
		}
		ticket.Release()
	}
}
