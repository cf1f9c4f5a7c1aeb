package ringbuf

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	// MaxSlab is the largest number of bytes a slab can hold: a 65,535-byte packet
	// with its framing fits, with room for the two short packets before a header.
	MaxSlab = 65536 + classRoom

	classRoom  = 64      // bytes on top of every class, so that 4096 + framing fits 4096's
	minShift   = 8       // the smallest class holds 256 + classRoom bytes
	classes    = 17      // 256, 384, 512, 768, … 65536
	chunkBytes = 1 << 16 // bytes a chunk aims at
	chunkMax   = 64      // slabs in a chunk at the most
	tableShift = 8       // slabs a page of the table
	tablePages = 1 << 14 // pages: 4 Mi slabs in all
)

// Pool hands out slabs of a few size classes and takes them back. Its memory grows
// with use up to a bound and is then reused for ever. All methods are safe from any
// goroutine; Get and Release take no lock except when the pool grows.
type Pool struct {
	free  [classes]freeList
	live  atomic.Int64 // slabs handed out
	bytes atomic.Int64 // memory held, free or not
	limit int64

	grow  sync.Mutex // guards count and the growth of table
	count uint32
	table [tablePages]atomic.Pointer[[1 << tableShift]*Slab]
}

// freeList is a Treiber stack of slab indices; the upper half of the word is a tag
// that changes with every pop, so that a slab popped and pushed back in between is
// not mistaken for an untouched stack.
type freeList struct {
	head atomic.Uint64 // tag<<32 | index+1
	_    [CacheLinePad - 8]byte
}

// NewPool returns an empty pool that will hold at most limit bytes of slabs;
// limit <= 0 means 1 GiB.
func NewPool(limit int64) *Pool {
	if limit <= 0 {
		limit = 1 << 30
	}
	return &Pool{limit: limit}
}

// Get returns a slab of n bytes with one reference, its Meta zero and its bytes
// undefined; nil when n is out of range or the pool is at its bound.
func (p *Pool) Get(n int) *Slab {
	if n < 0 || n > MaxSlab {
		return nil
	}
	c := classOf(n)
	s := p.pop(c)
	if s == nil {
		if s = p.growClass(c); s == nil {
			return nil
		}
	}
	s.used = uint32(n)
	s.Meta = Meta{}
	s.refs.Store(1)
	p.live.Add(1)
	return s
}

// Live returns the number of slabs that somebody holds a reference to.
func (p *Pool) Live() int { return int(p.live.Load()) }

// Bytes returns the memory held by the pool, in use or free.
func (p *Pool) Bytes() int64 { return p.bytes.Load() }

func (p *Pool) put(s *Slab) {
	if debug {
		for i := range s.buf {
			s.buf[i] = 0xDB
		}
	}
	p.live.Add(-1)
	p.push(s)
}

func (p *Pool) push(s *Slab) {
	head := &p.free[s.class].head
	for {
		old := head.Load()
		s.next.Store(uint32(old))
		if head.CompareAndSwap(old, old&^0xFFFFFFFF|uint64(s.index+1)) {
			return
		}
	}
}

func (p *Pool) pop(class int) *Slab {
	head := &p.free[class].head
	for {
		old := head.Load()
		if uint32(old) == 0 {
			return nil
		}
		s := p.at(uint32(old) - 1)
		next := uint64(s.next.Load())
		if head.CompareAndSwap(old, (old>>32+1)<<32|next) {
			return s
		}
	}
}

func (p *Pool) at(index uint32) *Slab {
	return p.table[index>>tableShift].Load()[index&(1<<tableShift-1)]
}

// growClass adds a chunk of slabs to a class and returns one of them.
func (p *Pool) growClass(class int) *Slab {
	p.grow.Lock()
	defer p.grow.Unlock()
	if s := p.pop(class); s != nil { // somebody else has grown it meanwhile
		return s
	}
	size := classSize(class)
	n := min(max(chunkBytes/size, 1), chunkMax)
	if p.bytes.Load()+int64(n*size) > p.limit {
		if n = 1; p.bytes.Load()+int64(size) > p.limit {
			return nil
		}
	}
	if int(p.count)+n > tablePages<<tableShift {
		return nil
	}
	p.bytes.Add(int64(n * size))
	chunk := make([]byte, n*size)
	slabs := make([]Slab, n)
	for i := range slabs {
		s := &slabs[i]
		s.pool, s.class, s.index = p, uint8(class), p.count
		s.buf = chunk[i*size : (i+1)*size : (i+1)*size]
		p.enter(s)
	}
	for i := range slabs[1:] {
		p.push(&slabs[i+1])
	}
	return &slabs[0]
}

// enter puts a new slab into the table. The caller holds p.grow.
func (p *Pool) enter(s *Slab) {
	page := &p.table[s.index>>tableShift]
	if page.Load() == nil {
		page.Store(new([1 << tableShift]*Slab))
	}
	page.Load()[s.index&(1<<tableShift-1)] = s
	p.count++
}

// classOf returns the smallest class that holds n bytes.
func classOf(n int) int {
	n -= classRoom
	if n <= 1<<minShift {
		return 0
	}
	shift := bits.Len(uint(n-1)) - 1 // 2^shift < n <= 2^(shift+1)
	class := 2 * (shift - minShift)
	if n <= 3<<(shift-1) {
		return class + 1
	}
	return class + 2
}

// classSize returns the bytes that a slab of a class holds.
func classSize(class int) int {
	size := 1 << (minShift + class/2)
	if class&1 == 1 {
		size += size / 2
	}
	return size + classRoom
}
