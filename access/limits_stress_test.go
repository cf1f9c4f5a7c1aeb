package access

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever comes at once, no limit is passed by anybody at any moment: those who are in
// count themselves, before they give their place back and after they got it, so that one
// too many would be seen.
func TestHerd(t *testing.T) {
	const (
		herd   = 16
		rounds = 400
	)
	for _, c := range []struct {
		name   string
		bounds Bounds
		pump   bool
		most   int64
	}{
		{"viewers", Bounds{Viewers: 7}, false, 7},
		{"viewers of a stream", Bounds{Streams: map[string]StreamBounds{"a": {Viewers: 7}}}, false, 7},
		{"viewers of an address", Bounds{ViewersPerAddress: 7}, false, 7},
		{"bandwidth", Bounds{Bandwidth: 7999}, false, 7},
		{"bandwidth of a stream", Bounds{Streams: map[string]StreamBounds{"a": {Bandwidth: 7999}}}, false, 7},
		{"bandwidth of an address", Bounds{BandwidthPerAddress: 7999}, false, 7},
		{"pumps", Bounds{Pumps: PumpBounds{Count: 7}}, true, 7},
		{"bandwidth of pumps", Bounds{Pumps: PumpBounds{Bandwidth: 7999}}, true, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLimits(c.bounds)
			r := viewerAt("192.0.2.1")
			r.Pump = c.pump
			var in, served atomic.Int64
			herded(herd, func() {
				for range rounds {
					ticket, err := l.Admit(r)
					if err != nil {
						continue
					}
					if n := in.Add(1); n > c.most {
						t.Errorf("%d are in, at most %d may", n, c.most)
					}
					served.Add(1)
					in.Add(-1)
					ticket.Release()
				}
			})
			if got := l.Usage(); got != (Usage{}) || served.Load() == 0 {
				t.Errorf("left behind: %+v, served %d", got, served.Load())
			}
			// All at once and nobody leaves: exactly as many as fit.
			var stayed atomic.Int64
			herded(herd, func() {
				if _, err := l.Admit(r); err == nil {
					stayed.Add(1)
				}
			})
			if stayed.Load() != c.most {
				t.Errorf("%d of %d got in at once, want %d", stayed.Load(), herd, c.most)
			}
		})
	}
}

// The same for connections, from many addresses and from one.
func TestHerdOfConnections(t *testing.T) {
	for name, b := range map[string]Bounds{
		"all": {Connections: 7}, "of an address": {ConnectionsPerAddress: 7}, "unfinished": {Heads: 7}, "unfinished, of an address": {HeadsPerAddress: 7},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLimits(b)
			var in atomic.Int64
			herded(16, func() {
				for range 400 {
					c, err := l.Connect(v4)
					if err != nil {
						continue
					}
					if n := in.Add(1); n > 7 {
						t.Errorf("%d are open, at most 7 may", n)
					}
					in.Add(-1)
					c.Release()
				}
			})
			if got := l.Usage(); got != (Usage{}) {
				t.Errorf("left behind: %+v", got)
			}
		})
	}
}

// Three thousand ask in the same moment for bursts that do not fit: as many get in as have
// their turn within BurstWait, the others are refused by the limit's name, and however many
// look at once whether it is their turn, no more is written than the bound lets.
func TestHerdOfBursts(t *testing.T) {
	const (
		herd  = 3000
		rate  = 800_000 // bit/s
		bytes = rate / 8
		burst = 5000
		most  = (bytes*int64(BurstWait/time.Second))/burst + 2 // and the one who comes when it is open, and one by rounding
	)
	for _, c := range []struct {
		limit  Limit
		bounds Bounds
		uplink int64
	}{
		{LimitBurst, Bounds{BurstBandwidth: rate}, 0},
		{LimitStreamBurst, Bounds{Streams: map[string]StreamBounds{"a": {BurstBandwidth: rate}}}, 0},
		{LimitAddressBurst, Bounds{BurstBandwidthAddress: rate}, 0},
		{LimitUplink, Bounds{}, rate},
	} {
		t.Run(string(c.limit), func(t *testing.T) {
			l := NewLimits(c.bounds)
			l.SetUplinkBurst(c.uplink)
			start := int64(5e15)
			r := Request{Stream: "a", Addr: v4, Rate: 1000, Burst: burst, Now: start}
			first, err := l.Admit(r) // whose turn it is, so that a queue begins
			if err != nil || !first.MayBurst(start) {
				t.Fatal(err)
			}
			first.Burst(bytes) // a second's worth
			var mu sync.Mutex
			var in []*Ticket
			herded(herd, func() {
				ticket, err := l.Admit(r)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in = append(in, ticket)
				} else if !errors.Is(err, &LimitError{Limit: c.limit}) {
					t.Error(err)
				}
			})
			if n := int64(len(in)); n > most || n < most*8/10 || l.Refused(c.limit) != uint64(herd-n) {
				t.Fatalf("%d got in and %d were refused by the limit, of %d; at most %d", n, l.Refused(c.limit), herd, most)
			}
			var written atomic.Int64
			var next atomic.Int64
			left := int64(len(in))
			for step := range int64(1100) { // eleven seconds
				now := start + step*second/100
				next.Store(-1)
				herded(8, func() {
					for i := next.Add(1); i < int64(len(in)); i = next.Add(1) {
						if in[i] != nil && in[i].MayBurst(now) {
							in[i].Burst(burst)
							in[i].Joined()
							in[i] = nil
							written.Add(burst)
						}
					}
				})
				if got, may := written.Load(), (now-start)*bytes/second+burst; got > may {
					t.Fatalf("%d bytes after %v, at most %d", got, time.Duration(now-start), may)
				}
			}
			if got := written.Load(); got != left*burst {
				t.Errorf("%d bytes were written in eleven seconds, of %d", got, left*burst)
			}
		})
	}
}

// Who was to burst and leaves instead makes room for others.
func TestBurstsThatAreNotNeeded(t *testing.T) {
	l := NewLimits(Bounds{BurstBandwidth: 8000})
	r := Request{Stream: "a", Burst: 9000, Now: second}
	first, err := l.Admit(r)
	if err != nil || !first.MayBurst(second) {
		t.Fatal(err)
	}
	if _, err := l.Admit(r); !errors.Is(err, &LimitError{Limit: LimitBurst}) {
		t.Fatalf("behind eighteen seconds of bursts: %v", err)
	}
	first.Joined()
	waits, err := l.Admit(r)
	if err != nil {
		t.Fatalf("what was not written counts: %v", err)
	}
	if got := l.bursts.all.queued.Load(); got != 9000 {
		t.Errorf("%d bytes are queued, want those of one", got)
	}
	waits.Release()
	if got := l.bursts.all.queued.Load(); got != 0 {
		t.Errorf("%d bytes are queued for nobody", got)
	}
}

// Sums stay right while streams change what they cost and viewers of all of them come and
// go.
func TestSumsUnderChange(t *testing.T) {
	l := NewLimits(Bounds{})
	herded(8, func() {
		for i := range 300 {
			r := Request{Stream: fmt.Sprint(i % 3), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 5)}), Pump: i%7 == 0, Rate: int64(i), Wire: int64(2 * i)}
			ticket, err := l.Admit(r)
			if err != nil {
				t.Error(err)
				return
			}
			l.SetRate(r.Stream, int64(i*i), int64(i))
			ticket.Release()
		}
	})
	if got := l.Usage(); got != (Usage{}) || len(l.streams)+len(l.addresses) > 0 {
		t.Errorf("left behind: %+v", got)
	}
}

// herded runs f so many times, all at once.
func herded(n int, f func()) {
	var ready, done sync.WaitGroup
	gate := make(chan struct{})
	for range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-gate
			f()
		})
	}
	ready.Wait()
	close(gate)
	done.Wait()
}
