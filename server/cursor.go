package server

import (
	"syscall"

	"github.com/stream-pump/stream-pump/ringbuf"
)

// cursor is one viewer's place in a stream: what it has not been sent yet begins with
// pre, goes on inside of partial and then with packet seq of the ring. It belongs to
// the viewer's event loop or goroutine.
type cursor struct {
	seq     uint64        // next packet; the one in partial while that is not nil
	partial *ringbuf.Slab // the packet the viewer stopped inside of, with a reference of its own
	off     int           // bytes of partial that are out
	pre     [2][]byte     // bytes in front of the packets: response head, header frame
	epoch   uint32        // header epoch that the viewer has, or will have after pre
	old     bool          // the viewer is of the second class: Change begins at AltStart
	relay   bool          // the viewer is a pump: it may be behind as far as the ring goes
	fixed   bool          // the viewer cannot follow a Change: it ends there
	held    bool          // bytes from before seq are owed that the cursor does not know: those sealed for it
	skipped uint64        // packets jumped over
	leapt   int64         // ns; when that was last, 0 for never
}

// window is the scratch memory of one gathering: the packets, each retained, and the
// vectors that point at what is to be sent of them. It is used again and again.
type window struct {
	slabs [maxVectors - 3]*ringbuf.Slab
	iov   [maxVectors]syscall.Iovec
	n     int  // slabs retained
	iovs  int  // vectors in use
	bytes int  // bytes in the vectors
	end   bool // the last slab is an End
	epoch uint32
}

// fresh tells that nothing but packet seq on is owed: the viewer can share its
// loop's common window.
func (c *cursor) fresh() bool {
	return c.partial == nil && c.pre[0] == nil && !c.held
}

// midPacket tells that the viewer must get the rest of something before it may jump.
func (c *cursor) midPacket() bool {
	return c.partial != nil || c.pre[0] != nil || c.held
}

// gather fills w with what the cursor's viewer is owed, at most limit bytes of packets
// (but always one; with limit 0 only the rest of what it has begun) and none from
// packet until on, and tells whether it was lapped: the next packet has left the ring.
func (c *cursor) gather(r *ringbuf.Ring, w *window, limit int, until uint64) (lapped bool) {
	w.n, w.iovs, w.bytes, w.end, w.epoch = 0, 0, 0, false, c.epoch
	for _, b := range c.pre {
		w.add(b)
	}
	next := c.seq
	if c.partial != nil {
		w.add(c.tail(c.partial)[c.off:])
		if w.end = c.partial.Kind == ringbuf.End; w.end {
			return false
		}
		next++
	}
	if limit == 0 {
		return false
	}
	taken, lapped := r.Take(next, w.slabs[:])
	for i, s := range w.slabs[:taken] {
		if w.end || (w.bytes >= limit && i > 0) || next+uint64(i) >= until {
			release(w.slabs[i:taken])
			return false
		}
		if c.fixed && s.Kind == ringbuf.Change && s.Epoch != c.epoch {
			release(w.slabs[i:taken])
			return false
		}
		w.add(w.bytesFor(s, c.old))
		w.n++
		w.end = s.Kind == ringbuf.End
	}
	return lapped
}

// add appends b to the vectors.
func (w *window) add(b []byte) {
	if len(b) == 0 {
		return
	}
	vector(&w.iov[w.iovs], b)
	w.iovs++
	w.bytes += len(b)
}

// bytesFor returns what a viewer of the class gets of a slab, following the epoch.
func (w *window) bytesFor(s *ringbuf.Slab, old bool) []byte {
	if s.Kind != ringbuf.Change {
		return s.Bytes()
	}
	if s.Epoch == w.epoch { // it joined with this header
		return nil
	}
	w.epoch = s.Epoch
	return classBytes(s, old)
}

// tail returns what the viewer gets of a slab it has begun.
func (c *cursor) tail(s *ringbuf.Slab) []byte {
	if s.Kind == ringbuf.Change {
		return classBytes(s, c.old)
	}
	return s.Bytes()
}

func classBytes(s *ringbuf.Slab, old bool) []byte {
	if old {
		return s.Bytes()[s.AltStart:]
	}
	return s.Bytes()
}

// advance moves the cursor over n bytes of what was gathered into w and tells whether
// an End is wholly out. It keeps a reference on the packet it stops inside of.
func (c *cursor) advance(w *window, n int) (ended bool) {
	for i := range c.pre {
		took := min(n, len(c.pre[i]))
		n -= took
		if took < len(c.pre[i]) {
			c.pre[i] = c.pre[i][took:]
			c.shiftPre()
			return false
		}
		c.pre[i] = nil
	}
	if c.partial != nil {
		rest := len(c.tail(c.partial)) - c.off
		if n < rest {
			c.off += n
			return false
		}
		n -= rest
		ended = c.done(c.partial)
		c.partial.Release()
		c.partial, c.off = nil, 0
	}
	for _, s := range w.slabs[:w.n] {
		size := c.sizeOf(s)
		if n < size {
			if n > 0 {
				s.Retain()
				c.partial, c.off = s, n
			}
			return false
		}
		n -= size
		ended = c.done(s)
	}
	return ended
}

// shiftPre keeps pre[0] non-nil while anything of pre is owed.
func (c *cursor) shiftPre() {
	if len(c.pre[0]) == 0 {
		c.pre[0], c.pre[1] = c.pre[1], nil
	}
}

// sizeOf is the length of bytesFor at the cursor's place.
func (c *cursor) sizeOf(s *ringbuf.Slab) int {
	if s.Kind == ringbuf.Change {
		if s.Epoch == c.epoch {
			return 0
		}
		return len(classBytes(s, c.old))
	}
	return s.Len()
}

// done steps over a packet that is wholly out.
func (c *cursor) done(s *ringbuf.Slab) (ended bool) {
	c.seq++
	if s.Kind == ringbuf.Change {
		c.epoch = s.Epoch
	}
	return s.Kind == ringbuf.End
}

// stopInside notes that the viewer took only n bytes of the slabs of a common window
// that began at its place.
func (c *cursor) stopInside(slabs []*ringbuf.Slab, n int) {
	for _, s := range slabs {
		if n < s.Len() {
			if n > 0 {
				s.Retain()
				c.partial, c.off = s, n
			}
			return
		}
		n -= s.Len()
		c.seq++
	}
}

// drop gives up what the cursor holds.
func (c *cursor) drop() {
	if c.partial != nil {
		c.partial.Release()
		c.partial = nil
	}
	c.pre = [2][]byte{}
}

// release drops the window's references.
func (w *window) release() {
	release(w.slabs[:w.n])
	w.n = 0
}

func release(slabs []*ringbuf.Slab) {
	for i, s := range slabs {
		s.Release()
		slabs[i] = nil
	}
}
