package access

import (
	"net/netip"
	"testing"
)

// Over any time no more goes through a bucket than its rate lets, beyond what it holds and
// what is written at once; and it does not run dry either.
func TestBucketKeepsItsRate(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  int64 // bit/s
		write int   // bytes at once
		step  int64 // ns between two tries
	}{
		{"small writes", 800_000, 500, 1e6},
		{"large writes", 800_000, 200_000, 1e7},
		{"seldom", 8_000_000, 1000, 1e8},
		{"slow", 800, 10, 1e6},
		{"as slow as can be", 1, 1, 1e7},
		{"fast", 8e14, 1 << 40, 1e8},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Bucket
			b.SetRate(c.rate)
			const seconds = 100
			var sent int64
			for now := int64(5e15); now < 5e15+seconds*second; now += c.step {
				for b.Open(now) && sent < 1<<60 {
					b.Spend(c.write)
					sent += int64(c.write)
				}
			}
			bytes := max(c.rate/8, 1)
			if most := bytes*seconds + bytes/4 + int64(c.write); sent > most {
				t.Errorf("%d bytes in %d s, at most %d", sent, seconds, most)
			}
			if least := bytes*seconds*9/10 - int64(c.write); sent < least && c.step < second/4 {
				t.Errorf("%d bytes in %d s, at least %d", sent, seconds, least)
			}
		})
	}
}

func TestBucketWithoutABound(t *testing.T) {
	var b Bucket
	for range 3 {
		if !b.Open(1) {
			t.Fatal("closed")
		}
		b.Spend(1 << 40)
	}
	b.SetRate(8000)
	if b.Rate() != 8000 || !b.Open(second) {
		t.Errorf("what was written without a bound counts: rate %d", b.Rate())
	}
}

// A viewer's burst goes through the buckets of all, of its stream, of its address and of
// the uplink; a pump's waits for none.
func TestBurstsGoThroughTheirBuckets(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounds Bounds
		uplink int64
		other  Request // of somebody whose burst is to wait, or not, for the first one's
		waits  bool
	}{
		{"none", Bounds{}, 0, viewerAt("192.0.2.1"), false},
		{"all", Bounds{BurstBandwidth: 8000}, 0, Request{Stream: "b"}, true},
		{"the uplink", Bounds{}, 8000, Request{Stream: "b"}, true},
		{"the stream", Bounds{Streams: map[string]StreamBounds{"a": {BurstBandwidth: 8000}}}, 0, viewerAt("192.0.2.2"), true},
		{"another stream", Bounds{Streams: map[string]StreamBounds{"a": {BurstBandwidth: 8000}}}, 0, Request{Stream: "b"}, false},
		{"the address", Bounds{BurstBandwidthAddress: 8000}, 0, Request{Stream: "b", Addr: v4}, true},
		{"another address", Bounds{BurstBandwidthAddress: 8000}, 0, viewerAt("192.0.2.2"), false},
		{"no address", Bounds{BurstBandwidthAddress: 8000}, 0, viewerAt(""), false},
		{"a pump", Bounds{BurstBandwidth: 8000}, 8000, Request{Stream: "a", Pump: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLimits(c.bounds)
			l.SetUplinkBurst(c.uplink)
			first, err := l.Admit(viewerAt("192.0.2.1"))
			if err != nil {
				t.Fatal(err)
			}
			second, err := l.Admit(c.other)
			if err != nil {
				t.Fatal(err)
			}
			const now = 10e9
			if !first.MayBurst(now) {
				t.Fatal("nothing has been written, and somebody waits")
			}
			first.Burst(10_000)
			if second.MayBurst(now+1) == c.waits {
				t.Errorf("waits: %v", !c.waits)
			}
			if l.BurstBytes() != 10_000 {
				t.Errorf("%d bytes of bursts", l.BurstBytes())
			}
		})
	}
	(*Ticket)(nil).Burst(1)
	if !(*Ticket)(nil).MayBurst(0) {
		t.Error("who has no ticket waits")
	}
}

// New bounds hold for those who are joining, too.
func TestBurstBoundsChange(t *testing.T) {
	own := func(rate int64) Bounds {
		return Bounds{BurstBandwidth: rate, BurstBandwidthAddress: rate, Streams: map[string]StreamBounds{"a": {BurstBandwidth: rate}}}
	}
	l := NewLimits(own(8))
	joiner, err := l.Admit(Request{Stream: "a", Addr: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	joiner.MayBurst(second)
	joiner.Burst(1000)
	if joiner.MayBurst(2 * second) {
		t.Fatal("it does not wait")
	}
	l.SetBounds(own(80_000))
	if !joiner.MayBurst(3 * second) {
		t.Error("it waits for the old bounds")
	}
	joiner.Burst(100_000)
	if joiner.MayBurst(3*second + 1) {
		t.Fatal("it does not wait")
	}
	l.SetBounds(Bounds{})
	if !joiner.MayBurst(3*second + 2) {
		t.Error("it waits for bounds that are gone")
	}
	if len(l.bursts.streams) > 0 {
		t.Error("a bucket without a bound is kept")
	}
}
