package server

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stream-pump/stream-pump/ringbuf"
)

// script is a ring with data, changes of header and perhaps an end, and what a viewer
// of each class must receive of it from the first packet on.
type script struct {
	ring  *ringbuf.Ring
	slabs int
	want  [2][]byte // by class: new, old
	ended bool
}

// newScript publishes n random slabs; a viewer with the header of epoch has passes over
// that epoch's Change.
func newScript(rnd *rand.Rand, pool *ringbuf.Pool, n int, has uint32) *script {
	s := &script{ring: ringbuf.NewRing(ringbuf.Limits{Slots: 1 << 10}), slabs: n}
	epoch := uint32(1)
	for i := range n {
		slab := pool.Get(1 + rnd.IntN(300))
		for j := range slab.Bytes() {
			slab.Bytes()[j] = byte(rnd.Uint32())
		}
		slab.Kind, slab.Epoch = ringbuf.Data, epoch
		switch {
		case i == n-1 && rnd.IntN(2) == 0:
			slab.Kind, s.ended = ringbuf.End, true
		case i == 0 && rnd.IntN(2) == 0, rnd.IntN(12) == 0:
			if i > 0 {
				epoch++
			}
			slab.Kind, slab.Epoch, slab.AltStart = ringbuf.Change, epoch, uint16(rnd.IntN(slab.Len()))
		}
		s.expect(slab, has)
		s.ring.Publish(slab)
	}
	return s
}

func (s *script) expect(slab *ringbuf.Slab, has uint32) {
	for class := range s.want {
		b := slab.Bytes()
		if slab.Kind == ringbuf.Change {
			if slab.Epoch == has {
				continue
			}
			b = b[uint16(class)*slab.AltStart:]
		}
		s.want[class] = append(s.want[class], b...)
	}
}

// bytesOf returns what the vectors point at.
func bytesOf(iov []syscall.Iovec) (b []byte) {
	for _, v := range iov {
		b = append(b, unsafe.Slice(v.Base, v.Len)...)
	}
	return b
}

// However the socket takes the bytes and however much is gathered at once, a viewer of
// either class receives exactly its bytes: MUST-P3, MUST-X1, MUST-X2.
func TestCursorModel(t *testing.T) {
	pool := ringbuf.NewPool(0)
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := newScript(rnd, pool, 1+rnd.IntN(120), 1)
		for class := range s.want {
			followModel(t, rnd, s, class, seed)
		}
		s.ring.Clear()
		if n := pool.Live(); n != 0 {
			t.Fatalf("seed %d: %d slabs are still referred to", seed, n)
		}
	}
}

func followModel(t *testing.T, rnd *rand.Rand, s *script, class int, seed uint64) {
	t.Helper()
	head, header := make([]byte, 1+rnd.IntN(40)), make([]byte, rnd.IntN(40))
	want := append(append(append([]byte(nil), head...), header...), s.want[class]...)
	c := cursor{seq: 1, epoch: 1, old: class == 1, pre: [2][]byte{head, header}}
	var w window
	var got []byte
	ended := false
	for turns := 0; !ended && c.seq <= uint64(s.slabs); turns++ {
		if turns > 1<<16 {
			t.Fatalf("seed %d class %d: no progress at packet %d", seed, class, c.seq)
		}
		if rnd.IntN(4) == 0 && c.fresh() && shareModel(rnd, s, &c, &w, &got) {
			continue
		}
		limit := rnd.IntN(2) * rnd.IntN(600)
		until := c.seq + uint64(1+rnd.IntN(8))
		if c.gather(s.ring, &w, limit, until) {
			t.Fatalf("seed %d class %d: lapped", seed, class)
		}
		if w.n > 0 && w.slabs[w.n-1].Seq() >= until {
			t.Fatalf("seed %d class %d: packet %d, want none from %d on", seed, class, w.slabs[w.n-1].Seq(), until)
		}
		b := bytesOf(w.iov[:w.iovs])
		if len(b) != w.bytes {
			t.Fatalf("seed %d class %d: %d bytes in the vectors, counted %d", seed, class, len(b), w.bytes)
		}
		n := len(b)
		if rnd.IntN(3) > 0 {
			n = rnd.IntN(len(b) + 1)
		}
		got = append(got, b[:n]...)
		ended = c.advance(&w, n)
		w.release()
	}
	if ended != s.ended || !bytes.Equal(got, want) {
		t.Fatalf("seed %d class %d: ended %v, want %v; %d bytes, want %d", seed, class, ended, s.ended, len(got), len(want))
	}
	if c.drop(); c.partial != nil {
		t.Fatal("a packet is still held")
	}
}

// shareModel gives the cursor some of a common window of data packets, as a flush does
// with viewers that are up to date.
func shareModel(rnd *rand.Rand, s *script, c *cursor, w *window, got *[]byte) bool {
	n, _ := s.ring.Take(c.seq, w.slabs[:1+rnd.IntN(20)])
	w.n, w.iovs, w.bytes = n, 0, 0
	defer w.release()
	plain := 0
	for ; plain < n && w.slabs[plain].Kind == ringbuf.Data; plain++ {
		w.add(w.slabs[plain].Bytes())
	}
	if plain == 0 {
		return false
	}
	b := bytesOf(w.iov[:w.iovs])
	took := rnd.IntN(len(b) + 1)
	*got = append(*got, b[:took]...)
	c.stopInside(w.slabs[:plain], took)
	return true
}
