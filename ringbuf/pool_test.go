package ringbuf

import (
	"sync"
	"testing"
)

func TestPoolClasses(t *testing.T) {
	for n := 0; n <= MaxSlab; n++ {
		c := classOf(n)
		if c < 0 || c >= classes {
			t.Fatalf("classOf(%d) = %d, want 0…%d", n, c, classes-1)
		}
		if classSize(c) < n {
			t.Fatalf("class %d of %d bytes cannot hold %d", c, classSize(c), n)
		}
		if c > 0 && classSize(c-1) >= n {
			t.Fatalf("%d bytes would fit class %d of %d, got class %d", n, c-1, classSize(c-1), c)
		}
	}
	if got := classSize(classes - 1); got != MaxSlab {
		t.Errorf("largest class holds %d bytes, MaxSlab is %d", got, MaxSlab)
	}
}

func TestPoolRefusesWhatItCannotHold(t *testing.T) {
	p := NewPool(4096)
	for _, n := range []int{-1, MaxSlab + 1} {
		if s := p.Get(n); s != nil {
			t.Errorf("Get(%d) gave a slab", n)
		}
	}
	var got []*Slab
	for s := p.Get(1000); s != nil; s = p.Get(1000) {
		got = append(got, s)
	}
	if len(got) == 0 || p.Bytes() > 4096 {
		t.Fatalf("a pool of 4096 bytes gave %d slabs and holds %d bytes", len(got), p.Bytes())
	}
	got[0].Release()
	if p.Get(1000) == nil {
		t.Error("a released slab is not handed out again")
	}
	if p.Live() != len(got) {
		t.Errorf("Live() = %d, want %d", p.Live(), len(got))
	}
}

func TestPoolSlabIsCleared(t *testing.T) {
	p := NewPool(0)
	s := p.Get(100)
	s.Meta = Meta{Kind: End, Key: true, Epoch: 7, AltStart: 8, Time: 9, Arrived: 10}
	s.Truncate(5)
	if s.Len() != 5 || len(s.Bytes()) != 5 {
		t.Errorf("Truncate(5) left %d bytes", s.Len())
	}
	s.Release()
	if s = p.Get(90); s.Meta != (Meta{}) || s.Len() != 90 {
		t.Errorf("a reused slab has Meta %+v and %d bytes", s.Meta, s.Len())
	}
}

// A slab must have one owner at a time however many goroutines get and release.
func TestPoolConcurrentGetIsExclusive(t *testing.T) {
	p := NewPool(0)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var mine []*Slab
			for i := range 5000 {
				s := p.Get(300)
				b := s.Bytes()
				b[0], b[299] = byte(g), byte(g)
				if mine = append(mine, s); len(mine) > 10+i%7 {
					for _, s := range mine {
						if b := s.Bytes(); b[0] != byte(g) || b[299] != byte(g) {
							t.Errorf("a slab is owned twice")
						}
						s.Release()
					}
					mine = mine[:0]
				}
			}
			for _, s := range mine {
				s.Release()
			}
		}()
	}
	wg.Wait()
	if p.Live() != 0 {
		t.Errorf("%d slabs are still live", p.Live())
	}
}
