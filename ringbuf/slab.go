package ringbuf

import "sync/atomic"

// Kind tells what the bytes of a slab are to a viewer.
type Kind uint8

// The kinds of slab.
const (
	Data   Kind = iota // one whole media packet, framed
	Change             // the stream's header changes here
	End                // the stream ends here
)

// Meta describes a slab. The producer fills it in before publishing; afterwards it is
// as immutable as the bytes.
type Meta struct {
	Kind     Kind
	Key      bool   // a key frame starts in this packet: a viewer may join here
	Epoch    uint32 // header epoch that the packet belongs to (a Change begins it)
	AltStart uint16 // bytes; where viewers of the second class begin, 0 for all alike
	Payload  uint16 // bytes of framing in front of the bare media packet
	Time     int64  // ms, the source's send time, never wrapping
	Arrived  int64  // ns, monotonic, when the pump had it whole
}

// Slab is a reference-counted run of bytes that is immutable once published. See the
// package comment for who may hold and drop references.
type Slab struct {
	Meta

	refs  atomic.Int32
	next  atomic.Uint32 // free list: index+1 of the next free slab
	used  uint32        // bytes
	index uint32        // place in the pool's table
	class uint8
	seq   uint64 // sequence in its ring, set by Publish
	buf   []byte // whole capacity, a piece of a pointer-free chunk
	pool  *Pool
}

// Bytes returns the slab's bytes. Only the producer may write to them, and only
// before publishing.
func (s *Slab) Bytes() []byte { return s.buf[:s.used:s.used] }

// Len returns the number of bytes in use.
func (s *Slab) Len() int { return int(s.used) }

// Seq returns the slab's sequence number in its ring. Valid while a reference to a
// published slab is held.
func (s *Slab) Seq() uint64 { return s.seq }

// Truncate shortens the slab to n bytes. Producer only, before publishing.
func (s *Slab) Truncate(n int) {
	if n < int(s.used) {
		s.used = uint32(n)
	}
}

// Retain adds a reference. The caller must already hold one.
func (s *Slab) Retain() {
	if s.refs.Add(1) < 2 && debug {
		panic("ringbuf: Retain on a slab without references")
	}
}

// Release drops one reference; the last one returns the slab to its pool. Safe from
// any goroutine; the caller must not touch the slab afterwards.
func (s *Slab) Release() {
	switch n := s.refs.Add(-1); {
	case n > 0:
	case n == 0:
		s.pool.put(s)
	case debug:
		panic("ringbuf: Release on a slab without references")
	}
}

// tryRetain adds a reference unless the slab has none left.
func (s *Slab) tryRetain() bool {
	for {
		n := s.refs.Load()
		if n <= 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
