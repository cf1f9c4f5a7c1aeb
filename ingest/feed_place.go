package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

const (
	maxBack      = 2000    // ms; a send time that is further back begins anew
	maxMissing   = 100_000 // packets; LocationIds further ahead are not a gap but another count
	wrapMargin   = 120_000 // ms; from here on, the next key frame begins a new epoch, before times wrap
	wrapRestart  = 1000    // ms; where times begin then: nothing in a packet is that much before its send time
	longestWait  = 15_000  // ms of a source's time without a key frame after which a viewer gets what there is
	longestBurst = 5 * time.Second
	shortBurst   = time.Second // not judged by its pace
	longestSkip  = 20_000      // packets, the same
	wrapFrom     = 1<<32 - wrapMargin
	headBytes    = mmsh.DataHeadSize
	locationAt   = mmsh.FrameHeadSize
)

// gate holds packets back until a key frame starts.
type gate struct {
	shut    bool
	skipped int
	since   uint32 // ms, send time of the first one skipped
}

func (g *gate) arm(shut bool) { *g = gate{shut: shut} }

// open tells whether a packet may pass, which then all that follow may. A source that never marks a key frame is
// let through after a while.
func (g *gate) open(p *asf.Packet) bool {
	if !g.shut {
		return true
	}
	if g.skipped == 0 {
		g.since = p.SendTime
	}
	g.skipped++
	g.shut = !p.KeyStart && g.skipped < longestSkip && asf.TimeDiff(p.SendTime, g.since) < longestWait
	return !g.shut
}

// place finds number and time of a packet that parses, and publishes it.
func (f *Feed) place(slab *ringbuf.Slab, p *asf.Packet, at Location) error {
	if f.mode == resuming || f.mode == catching {
		done, err := f.rejoin(slab, p, at)
		if done || err != nil {
			return err
		}
	} else if !f.gate.open(p) {
		f.drop(slab, dropBeforeKey)
		return nil
	}
	f.renumber(at)
	if err := f.retime(p); err != nil {
		slab.Release()
		return err
	}
	return f.publish(slab, p, at)
}

// rejoin places the first packets of a source under a header that is in force. It returns true when the packet was
// dropped, and leaves mode flowing when it was not.
func (f *Feed) rejoin(slab *ringbuf.Slab, p *asf.Packet, at Location) (done bool, err error) {
	if ahead := f.ahead(at); at.Has && f.t.located {
		switch {
		case ahead <= 0 && f.opts.Repeats && f.known(slab, at) && f.burst(p):
			f.drop(slab, dropDuplicate)
			f.mode = catching
			return true, nil
		case ahead > 0 && f.mode == catching, ahead == 1 && f.goesOn(p.SendTime+f.t.delta):
			f.gate.arm(false) // nothing is missing, or only what the source itself had skipped
		}
	}
	if !f.gate.open(p) {
		f.drop(slab, dropBeforeKey)
		return true, nil
	}
	if !f.goesOn(p.SendTime+f.t.delta) && f.goesOn(p.SendTime) {
		f.t.delta = 0 // the clock of the source that was before the last one
	}
	f.mode, f.rejoined = flowing, true
	return false, nil
}

// burst tells whether a source that repeats itself does so in a burst, as a server does that is asked again: more media
// than time goes by. One that has begun its programme anew repeats itself in real time, and viewers would wait for it.
func (f *Feed) burst(p *asf.Packet) bool {
	if f.caught.IsZero() {
		f.caught, f.caughtAt = time.Now(), p.SendTime
	}
	elapsed := time.Since(f.caught)
	media := time.Duration(asf.TimeDiff(p.SendTime, f.caughtAt)) * time.Millisecond
	return elapsed < shortBurst || elapsed < longestBurst && media >= 2*elapsed
}

// ahead is how far a source's number is ahead of the newest packet's; 1 for the next packet.
func (f *Feed) ahead(at Location) int32 { return int32(at.ID + f.t.offset - f.t.location) }

// goesOn tells whether a packet sent at that time (ms) follows the newest one without an interruption of the clock.
func (f *Feed) goesOn(send uint32) bool {
	ahead := asf.TimeDiff(send, f.t.send)
	return ahead >= 0 && int64(ahead) <= f.opts.MaxGap.Milliseconds()
}

// renumber makes the source's numbers count on when they do not by themselves.
func (f *Feed) renumber(at Location) {
	switch {
	case !at.Has:
	case !f.t.located:
		f.t.offset = 0
	default:
		if ahead := f.ahead(at); ahead <= 0 || ahead > maxMissing {
			f.t.offset = f.t.location + 1 - at.ID
		}
	}
}

// retime makes the source's times go on when they do not by themselves, and begins a new epoch before they wrap.
func (f *Feed) retime(p *asf.Packet) error {
	if f.t.timed {
		ahead := asf.TimeDiff(p.SendTime+f.t.delta, f.t.send)
		if ahead < -maxBack || int64(ahead) > f.opts.MaxGap.Milliseconds() || (ahead < 0 && f.rejoined) {
			f.t.delta = f.t.send + f.t.step() - p.SendTime
		}
	}
	out := p.SendTime + f.t.delta
	switch {
	case !f.t.timed && out >= wrapFrom:
		f.t.delta = wrapRestart - p.SendTime
	case !f.t.timed:
	case out >= wrapFrom && (p.KeyStart || f.keys.Empty()), out < f.t.send && asf.TimeDiff(out, f.t.send) >= 0:
		if err := f.announce(); err != nil {
			return err
		}
		f.t.delta = wrapRestart - p.SendTime
	}
	f.mode, f.rejoined = flowing, false
	return nil
}

// publish frames the packet and gives it to the stream.
func (f *Feed) publish(slab *ringbuf.Slab, p *asf.Packet, at Location) error {
	packet := slab.Bytes()[headBytes:]
	if f.t.delta != 0 {
		if err := asf.Rebase(packet, f.header.PacketSize, f.t.delta); err != nil {
			return f.refuse(slab, err)
		}
	}
	if f.pad && len(packet) < f.header.PacketSize {
		if slab = f.padded(slab); slab == nil {
			return nil
		}
		packet = slab.Bytes()[headBytes:]
	}
	location := f.t.location + 1
	if at.Has {
		location = at.ID + f.t.offset
	}
	mmsh.PutDataHead(slab.Bytes(), location, 0, len(packet))
	before := *f.t
	f.t.located, f.t.location = true, location
	f.t.advance(p.SendTime+f.t.delta, p.Duration)
	slab.Kind, slab.Key, slab.Payload, slab.Time = ringbuf.Data, p.KeyStart, headBytes, f.t.clock
	if err := f.pub.Publish(slab); err != nil {
		*f.t = before // the next holder of the role goes on behind what was really published
		return fmt.Errorf("publishing: %w", err)
	}
	f.bad, f.newest = 0, at
	if f.packets++; f.packets == 1 && f.opts.OnLive != nil {
		f.opts.OnLive()
	}
	return nil
}

// padded returns a slab with the packet at the header's packet size, nil when there is none. It takes slab over.
func (f *Feed) padded(slab *ringbuf.Slab) *ringbuf.Slab {
	full := f.Slab(f.header.PacketSize)
	if full == nil {
		slab.Release()
		return nil
	}
	out, err := asf.Pad(full.Bytes()[headBytes:headBytes], slab.Bytes()[headBytes:], f.header.PacketSize)
	slab.Release()
	if err != nil || len(out) != f.header.PacketSize {
		f.drop(full, dropMalformed)
		return nil
	}
	return full
}

// known tells whether the ring still has this packet under this number, byte for byte: then the source repeats what
// viewers have. The slab is as it was afterwards.
func (f *Feed) known(slab *ringbuf.Slab, at Location) bool {
	packet := slab.Bytes()[headBytes:]
	if f.t.delta != 0 {
		if asf.Rebase(packet, f.header.PacketSize, f.t.delta) != nil {
			return false
		}
		defer func() { _ = asf.Rebase(packet, f.header.PacketSize, -f.t.delta) }() // as it went the other way just now
	}
	return f.inRing(at.ID+f.t.offset, packet)
}

// inRing looks for a packet of the current epoch by its LocationId. Numbers ascend in the ring, with gaps, so it is
// at most as far behind the newest one as their difference; each search goes on where the last one stopped.
func (f *Feed) inRing(location uint32, packet []byte) bool {
	ring := f.opts.Stream.Ring()
	tail := ring.Tail()
	from := max(ring.Head(), ring.EpochStart(), f.cursor)
	if behind := uint64(f.t.location-location) + 1; behind < tail {
		from = max(from, tail-behind)
	}
	var one [1]*ringbuf.Slab
	for seq := from; seq < tail; seq++ {
		if n, _ := ring.Take(seq, one[:]); n == 0 {
			continue
		}
		b := one[0].Bytes()
		isData := one[0].Kind == ringbuf.Data
		past, same := int32(-1), false
		if isData {
			past = int32(binary.LittleEndian.Uint32(b[locationAt:]) - location)
			same = past == 0 && bytes.Equal(b[headBytes:], packet)
		}
		one[0].Release()
		if past >= 0 {
			f.cursor = seq + 1
			return same
		}
	}
	return false
}
