package ringbuf

import "testing"

// BenchmarkPublish is one 1,400-byte packet into a ring nobody reads.
func BenchmarkPublish(b *testing.B) {
	p, r := NewPool(0), NewRing(Limits{})
	b.ReportAllocs()
	b.SetBytes(1412)
	for b.Loop() {
		r.Publish(p.Get(1412))
	}
}

// BenchmarkTake is one loop's window of 16 packets, taken and released.
func BenchmarkTake(b *testing.B) {
	p, r := NewPool(0), NewRing(Limits{})
	for range 64 {
		r.Publish(p.Get(1412))
	}
	var dst [16]*Slab
	from := r.Tail() - 16
	b.ReportAllocs()
	for b.Loop() {
		n, _ := r.Take(from, dst[:])
		for _, s := range dst[:n] {
			s.Release()
		}
	}
}

func TestPublishDoesNotAllocate(t *testing.T) {
	p, r := NewPool(0), NewRing(Limits{Slots: 64})
	for range 200 { // past the growth of the pool
		r.Publish(p.Get(1412))
	}
	if n := testing.AllocsPerRun(1000, func() { r.Publish(p.Get(1412)) }); n != 0 {
		t.Errorf("publishing allocates %v times, want 0", n)
	}
}
