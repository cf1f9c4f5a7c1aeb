package server

import (
	"math/rand/v2"
	"testing"

	"github.com/stream-pump/stream-pump/ringbuf"
)

// FuzzCursor is the model with its choices made by the fuzzer.
func FuzzCursor(f *testing.F) {
	for _, seed := range []uint64{0, 1, 42, 1 << 40} {
		f.Add(seed, seed+1, uint8(50))
	}
	f.Fuzz(func(t *testing.T, a, b uint64, n uint8) {
		pool := ringbuf.NewPool(0)
		rnd := rand.New(rand.NewPCG(a, b))
		s := newScript(rnd, pool, 1+int(n), 1)
		for class := range s.want {
			followModel(t, rnd, s, class, a)
		}
		s.ring.Clear()
		if n := pool.Live(); n != 0 {
			t.Fatalf("%d slabs are still referred to", n)
		}
	})
}
