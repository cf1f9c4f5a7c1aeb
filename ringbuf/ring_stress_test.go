package ringbuf

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

var stressPackets = flag.Int("ringbuf.packets", 60_000, "packets published by the stress test")

// TestRingStress publishes stamped packets into two small rings that share a pool, so
// that slabs are recycled all the time, and has many readers take spans at random
// places. Allowed outcomes of a take: packets in order with whole, matching stamps, or
// lapped. Anything else is a torn or recycled slab.
func TestRingStress(t *testing.T) {
	pool := NewPool(0)
	var done atomic.Bool
	var readers, producers sync.WaitGroup
	var taken, lapped atomic.Int64
	for id := range uint64(2) {
		r := NewRing(Limits{Slots: 32})
		producers.Add(1)
		go func() {
			defer producers.Done()
			produceStamped(r, pool, id, *stressPackets)
		}()
		for g := range uint64(4) {
			readers.Add(1)
			go func() {
				defer readers.Done()
				rnd := rand.New(rand.NewPCG(id, g))
				for !done.Load() {
					n, l := takeStamped(t, r, id, rnd)
					taken.Add(int64(n))
					if l {
						lapped.Add(1)
					}
				}
			}()
		}
	}
	producers.Wait()
	done.Store(true)
	readers.Wait()
	if taken.Load() == 0 {
		t.Error("no reader ever got a packet")
	}
	t.Logf("%d packets taken, lapped %d times, %d bytes in the pool", taken.Load(), lapped.Load(), pool.Bytes())
	if live := pool.Live(); live > 2*32 {
		t.Errorf("%d slabs are live, the rings hold at most 64", live)
	}
}

// produceStamped fills every packet with a word made of ring and sequence.
func produceStamped(r *Ring, pool *Pool, id uint64, packets int) {
	for i := range packets {
		s := pool.Get(64 + i%200)
		stamp := stampOf(id, r.Tail())
		b := s.Bytes()
		for o := 0; o+8 <= len(b); o += 8 {
			binary.LittleEndian.PutUint64(b[o:], stamp)
		}
		s.Key = i%25 == 0
		r.Publish(s)
	}
	r.Clear()
}

func takeStamped(t *testing.T, r *Ring, id uint64, rnd *rand.Rand) (int, bool) {
	var dst [16]*Slab
	from := r.Tail() - uint64(rnd.IntN(40))
	if key, ok := r.Key(); ok && rnd.IntN(4) == 0 {
		from = key
	}
	n, lapped := r.Take(from, dst[:1+rnd.IntN(16)])
	for i, s := range dst[:n] {
		want := stampOf(id, from+uint64(i))
		b := s.Bytes()
		for o := 0; o+8 <= len(b); o += 8 {
			if got := binary.LittleEndian.Uint64(b[o:]); got != want {
				t.Errorf("ring %d, packet %d, byte %d: stamp %x, want %x", id, from+uint64(i), o, got, want)
				break
			}
		}
		s.Release()
	}
	return n, lapped
}

func stampOf(id, seq uint64) uint64 { return id<<56 | seq }
