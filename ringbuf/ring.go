package ringbuf

import (
	"sync/atomic"
	"time"
)

// Limits bound a ring. The zero value of a field takes its default.
type Limits struct {
	Slots    int           // packets, rounded up to a power of two; default 4096, 2 … 1 Mi
	Bytes    int64         // bytes of slabs; default 64 MiB
	Duration time.Duration // age of the oldest packet; default 30 s
}

const (
	defaultSlots    = 4096
	maxSlots        = 1 << 20
	defaultBytes    = 64 << 20
	defaultDuration = 30 * time.Second
)

func (l Limits) withDefaults() Limits {
	if l.Slots <= 0 {
		l.Slots = defaultSlots
	}
	slots := 2
	for slots < l.Slots && slots < maxSlots {
		slots *= 2
	}
	l.Slots = slots
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Duration <= 0 {
		l.Duration = defaultDuration
	}
	return l
}

// Ring is the lock-free broadcast ring of one stream. The package comment is its
// contract.
type Ring struct {
	slots  []atomic.Pointer[Slab]
	mask   uint64
	limits Limits
	_      [CacheLinePad]byte
	tail   atomic.Uint64 // next sequence to publish; producer stores, all load
	key    atomic.Uint64 // 1 + sequence of the newest key frame of the epoch, 0 none
	epoch  atomic.Uint64 // first sequence of the current epoch
	ended  atomic.Uint64 // 1 + sequence of the newest End, 0 none
	newest atomic.Int64  // ns, Arrived of the newest slab
	_      [CacheLinePad]byte
	head   atomic.Uint64 // oldest sequence kept; producer stores, all load
	_      [CacheLinePad]byte
	bytes  int64 // producer only
}

// NewRing returns an empty ring. Its first sequence is 1, so that 0 is never a packet.
func NewRing(l Limits) *Ring {
	l = l.withDefaults()
	r := &Ring{slots: make([]atomic.Pointer[Slab], l.Slots), mask: uint64(l.Slots - 1), limits: l}
	r.tail.Store(1)
	r.head.Store(1)
	r.epoch.Store(1)
	return r
}

// Publish appends a slab and takes over the caller's reference, evicting what no
// longer fits. Producer only. It neither blocks nor allocates. The slab's Meta must be
// complete; Arrived must not go back.
func (r *Ring) Publish(s *Slab) {
	seq := r.tail.Load()
	s.seq = seq
	r.makeRoom(seq, int64(len(s.buf)), s.Arrived)
	r.bytes += int64(len(s.buf))
	r.slots[seq&r.mask].Store(s)
	switch {
	case s.Kind == Change:
		r.epoch.Store(seq)
		r.key.Store(0)
	case s.Kind == End:
		r.ended.Store(seq + 1)
		r.epoch.Store(seq + 1)
		r.key.Store(0)
	case s.Key:
		r.key.Store(seq + 1)
	}
	r.newest.Store(s.Arrived)
	r.tail.Store(seq + 1)
}

// makeRoom evicts from the head until a slab of n bytes that arrived at now fits
// behind sequence tail-1.
func (r *Ring) makeRoom(tail uint64, n, now int64) {
	for head := r.head.Load(); head < tail; head++ {
		full := tail-head > r.mask || r.bytes+n > r.limits.Bytes
		if !full && !r.stale(head, now) {
			return
		}
		r.evict(head)
	}
}

// stale tells whether the oldest packet is past the bound in time and not needed by
// the next viewer to join.
func (r *Ring) stale(head uint64, now int64) bool {
	s := r.slots[head&r.mask].Load()
	if now-s.Arrived <= int64(r.limits.Duration) {
		return false
	}
	return head+1 != r.key.Load()
}

func (r *Ring) evict(head uint64) {
	r.head.Store(head + 1)
	s := r.slots[head&r.mask].Swap(nil)
	r.bytes -= int64(len(s.buf))
	s.Release()
}

// Clear evicts everything. Producer only; readers see that they were lapped.
func (r *Ring) Clear() {
	tail := r.tail.Load()
	for head := r.head.Load(); head < tail; head++ {
		r.evict(head)
	}
	r.key.Store(0)
	r.epoch.Store(tail)
}

// Head returns the oldest sequence kept; equal to Tail when the ring is empty.
func (r *Ring) Head() uint64 { return r.head.Load() }

// Tail returns the sequence that the next packet will get.
func (r *Ring) Tail() uint64 { return r.tail.Load() }

// Newest returns when the newest slab arrived, in monotonic ns; 0 before the first.
func (r *Ring) Newest() int64 { return r.newest.Load() }

// Key returns the sequence of the newest key frame of the current header epoch that is
// still in the ring, and whether there is one.
func (r *Ring) Key() (uint64, bool) {
	key := r.key.Load()
	if key == 0 || key-1 < r.head.Load() {
		return 0, false
	}
	return key - 1, true
}

// EpochStart returns the first sequence of the current header epoch: that of its
// Change slab, or of the first packet after the last End.
func (r *Ring) EpochStart() uint64 { return r.epoch.Load() }

// Ended tells whether an End lies at or behind sequence from: a reader that stands
// there must end, whatever it skips.
func (r *Ring) Ended(from uint64) bool {
	ended := r.ended.Load()
	return ended != 0 && from <= ended-1
}

// Peek returns the Meta of one packet, and whether it is still in the ring.
func (r *Ring) Peek(seq uint64) (Meta, bool) {
	s := r.take(seq)
	if s == nil {
		return Meta{}, false
	}
	m := s.Meta
	s.Release()
	return m, true
}

// Take retains the packets from sequence from on, in order, until dst is full or the
// tail is reached, and returns how many it stored. Each must be released by the caller.
// lapped is true when the packet after the last one stored has left the ring; the caller
// then counts a gap and goes on from elsewhere. It does not allocate. Any goroutine.
func (r *Ring) Take(from uint64, dst []*Slab) (n int, lapped bool) {
	tail := r.tail.Load()
	for ; n < len(dst) && from+uint64(n) < tail; n++ {
		s := r.take(from + uint64(n))
		if s == nil {
			return n, true
		}
		dst[n] = s
	}
	return n, false
}

// take retains the packet with a sequence, or returns nil when it is not in the ring.
func (r *Ring) take(seq uint64) *Slab {
	slot := &r.slots[seq&r.mask]
	s := slot.Load()
	if s == nil || !s.tryRetain() {
		return nil
	}
	// Between the load and the reference the slab may have been evicted and recycled.
	// If the slot still has it, the ring's reference was there all the time.
	if slot.Load() != s || s.seq != seq {
		s.Release()
		return nil
	}
	return s
}

// FirstAfter returns the oldest sequence kept, not before from, that arrived at or
// after the monotonic time t (ns): a binary search over the ring.
func (r *Ring) FirstAfter(from uint64, t int64) uint64 {
	lo, hi := max(from, r.head.Load()), r.tail.Load()
	for lo < hi {
		mid := lo + (hi-lo)/2
		if m, ok := r.Peek(mid); ok && m.Arrived >= t {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
