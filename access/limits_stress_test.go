package access

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
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
	for name, b := range map[string]Bounds{"all": {Connections: 7}, "of an address": {ConnectionsPerAddress: 7}} {
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
