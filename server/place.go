package server

import (
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// placeTries bounds how often a place is looked for while the stream changes its header
// at the same moment.
const placeTries = 8

// livePlace returns where a viewer should start now, with the header it needs: the
// newest key frame of the header's epoch, else (no key frames, or none yet) at most
// back before the live edge. header is nil when the stream has none.
func livePlace(s *stream.Stream, back time.Duration) (seq uint64, header *stream.Header) {
	r := s.Ring()
	for range placeTries {
		h := s.Header()
		if h == nil {
			return 0, nil
		}
		start := r.EpochStart()
		seq, ok := r.Key()
		if !ok {
			seq = r.FirstAfter(start, r.Newest()-int64(back))
			if h.KeyFrames {
				seq = max(start, r.Head()) // no picture before the next key frame; give all there is
			}
		}
		// The header is read before and after: a change in between would pair packets
		// with the wrong header.
		m, there := r.Peek(seq)
		fits := !there || m.Kind != ringbuf.Data || m.Epoch == h.Epoch
		if fits && seq >= start && s.Header() == h {
			return seq, h
		}
	}
	return r.Tail(), s.Header()
}

// startPlace returns where a viewer starts: the live place, or where a relay that lost its
// connection stopped, if the ring still has what follows.
func startPlace(t *seat, set *Settings) (seq uint64, header *stream.Header) {
	s := t.stream
	seq, h := livePlace(s, s.BurstMax(set.BurstMax))
	if h == nil || t.from == nil {
		return seq, h
	}
	if at, ok := locate(s.Ring(), *t.from); ok {
		if m, there := s.Ring().Peek(at); !there || m.Epoch == h.Epoch {
			return at, h
		}
	}
	return seq, h
}

// locate returns the sequence of the first packet of the current header epoch whose
// LocationId is not before id; the tail when id is the next to come. It reports false
// when id lies further ahead. LocationIds ascend within an epoch, modulo 2^32.
func locate(r *ringbuf.Ring, id uint32) (uint64, bool) {
	tail := r.Tail()
	lo, hi := max(r.EpochStart(), r.Head()), tail
	for lo < hi {
		mid := lo + (hi-lo)/2
		if at, ok := locationOf(r, mid); !ok || int32(at-id) < 0 { // not media, or just evicted
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < tail {
		return lo, true
	}
	newest, ok := locationOf(r, tail-1)
	return tail, ok && newest+1 == id
}

// locationOf returns the LocationId of the packet with a sequence.
func locationOf(r *ringbuf.Ring, seq uint64) (uint32, bool) {
	var one [1]*ringbuf.Slab
	if n, _ := r.Take(seq, one[:]); n == 0 {
		return 0, false
	}
	defer one[0].Release()
	if one[0].Kind != ringbuf.Data {
		return 0, false
	}
	b := one[0].Bytes()
	h, err := mmsh.ParseFrameHead(b)
	if err != nil {
		return 0, false
	}
	p, err := mmsh.ParsePreHeader(b[mmsh.FrameHeadSize:], h.Length)
	return p.LocationID, err == nil
}

// late tells whether the cursor is further behind than the settings allow, or was lapped.
// A relay may be behind as far as the ring goes: its viewers wait for every packet.
func (c *cursor) late(s *stream.Stream, set *Settings) bool {
	m, there := s.Ring().Peek(c.seq)
	if !there {
		return c.seq < s.Ring().Head() // else at the live edge
	}
	return !c.relay && s.Ring().Newest()-m.Arrived > int64(s.LagMax(set.LagMax))
}

// catchUp moves a cursor ahead that is late. It reports false when the viewer must end
// instead.
func (c *cursor) catchUp(s *stream.Stream, set *Settings) bool {
	return !c.late(s, set) || c.jump(s, s.BurstMax(set.BurstMax))
}

// lag returns how far the cursor is behind the source, in time.
func (c *cursor) lag(r *ringbuf.Ring) time.Duration {
	m, there := r.Peek(max(c.seq, r.Head()))
	if !there {
		return 0
	}
	return time.Duration(max(r.Newest()-m.Arrived, 0))
}

// jump moves a cursor that has fallen behind to the live place. It reports false when
// the viewer must end instead, because the stream has ended in what would be skipped,
// and it leaves the cursor alone when the live place is no further on.
func (c *cursor) jump(s *stream.Stream, back time.Duration) bool {
	r := s.Ring()
	if r.Ended(c.seq) {
		return false
	}
	seq, h := livePlace(s, back)
	if h == nil {
		return false
	}
	if seq <= c.seq {
		return true
	}
	c.skipped += seq - c.seq
	c.leapt = stream.Monotonic()
	s.Metrics().SkippedPackets.Add(seq - c.seq)
	c.seq = seq
	if h.Epoch != c.epoch {
		change := h.Change
		if c.old {
			change = change[h.AltStart:]
		}
		c.pre[0], c.epoch = change, h.Epoch
	}
	return true
}
