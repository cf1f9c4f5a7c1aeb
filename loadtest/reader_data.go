package loadtest

import (
	"bytes"
	"fmt"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// headerHead is how much of a plain ASF body tells the size of its header, in bytes.
const headerHead = 24

// beginPlain looks at the beginning of plain ASF: the header first, then packets of one size.
func (r *reader) beginPlain(lead []byte, at int64) error {
	if r.header != nil {
		r.what, r.left = mmsh.TypeData, int32(r.header.packetSize-len(lead))
		r.beginData(lead, lead, r.header.packetSize)
		return nil
	}
	n, err := asf.HeaderSize(lead)
	if err != nil {
		return r.broken(lead, "header", fmt.Errorf("%w: %w", errHeader, err))
	}
	r.what, r.left, r.gather = mmsh.TypeHeader, int32(n-len(lead)), append(r.gather[:0], lead...)
	return nil
}

// lateMost is by how many packets one may come late and still be taken for one of those; further back, numbers have begun
// anew.
const lateMost = 1024

// locate checks that LocationId goes on by one. A packet that comes late, or again, has the number it should have come with,
// and what follows it goes on from the highest.
func (r *reader) locate(lead []byte, id uint32) {
	step := id - r.location
	switch back := -step; {
	case !r.located:
		r.base, r.number = uint64(id), uint64(id)
	case step == 0 || step > 1<<31:
		r.fault(lead, "order", fmt.Sprintf("LocationId %d after %d", id, r.location))
		if r.number = r.base - min(uint64(back), r.base); back <= lateMost {
			return
		}
		r.number = r.base
	default:
		r.base += uint64(step)
		r.number = r.base
	}
	r.located, r.location = true, id
}

// beginData looks at the beginning of an ASF packet of that size.
func (r *reader) beginData(lead, packet []byte, size int) {
	r.size, r.bad = int32(size), false
	if r.header == nil {
		r.fault(lead, "order", "data before the header")
		return
	}
	if size > r.header.packetSize {
		r.fault(lead, "size", fmt.Sprintf("packet of %d bytes, the header allows %d", size, r.header.packetSize))
	}
	if r.kind == plainBody && !r.stamped {
		r.number++
	}
	var isStamped bool
	if len(packet) >= stampEnd {
		if r.st, isStamped = readStamp(packet[stampAt:]); isStamped {
			r.wrong, r.number = r.st.sum != sumOfStamp(packet[stampAt:]), r.st.number
		}
	}
	if r.stamped && !isStamped {
		r.fault(lead, "torn", "no stamp where every packet has one")
		r.bad = true
		return
	}
	r.stamped = isStamped
	if !r.started {
		r.gather = append(r.gather[:0], packet...)
	}
}

// compare checks bytes of a stamped packet behind its stamp. The comparison runs at the speed of memory.
func (r *reader) compare(b []byte) {
	at := int(r.size-r.left) - stampEnd
	if !bytes.Equal(b, patternOf(r.st.number)[at:at+len(b)]) {
		r.wrong = true
	}
}

// wholeData counts a packet that is complete.
func (r *reader) wholeData(at int64) {
	if r.header == nil || r.bad {
		return
	}
	if r.stamped && r.wrong {
		r.fault(nil, "torn", "not what was sent: the packet is torn or overwritten")
	}
	r.order()
	if !r.started {
		r.waitForKey(at)
	}
	r.data = true
	if r.stamped {
		r.late(at)
	}
}

// dissect looks into an ASF packet without a stamp, as it stands in the body: one that was cut short or overwritten has
// payloads that do not fit. A packet that came in pieces is let pass, so that nothing needs to be copied; so are those equal
// to one that was looked at, which [reader.skim] passes over.
func (r *reader) dissect(packet []byte) {
	if r.what != mmsh.TypeData || r.stamped || r.spoilt || r.header == nil {
		return
	}
	if r.kind == framedBody {
		packet = packet[mmsh.DataHeadSize:]
	}
	if _, err := r.header.starts(packet); err != nil {
		r.fault(nil, "packet", err.Error())
	}
}

// waitForKey looks for the first key frame; it must be the first packet where the source marks them.
func (r *reader) waitForKey(at int64) {
	key, err := r.header.starts(r.gather)
	if err != nil {
		r.fault(nil, "packet", err.Error())
	}
	if !key && !r.data {
		if r.stamped {
			r.fault(nil, "key", "the first packet is not one in which a key frame starts")
		} else {
			r.t.lateKeys++
		}
	}
	if key {
		r.started, r.newKey, r.gather = true, true, nil
	}
}

// order checks the packet's number against the one before and counts what is missing.
func (r *reader) order() {
	s := &r.seg
	if s.any && s.source != r.sourceNow() { // another source took over
		r.settle(0)
	}
	r.t.packets.Add(1)
	n := r.number
	switch {
	case !s.any:
		*s = segment{any: true, source: r.sourceNow(), first: n, last: n, received: 1}
	case n == s.last+1:
		s.last, s.received = n, s.received+1
	case n > s.last:
		r.lost(s.last+1, n)
		s.last, s.received = n, s.received+1
	default:
		if r.stamped {
			r.fault(nil, "order", fmt.Sprintf("packet %d after packet %d", n, s.last))
		}
		r.found(n)
	}
	r.t.newest[r.target].reach(s.source, n)
}

// sourceNow is the source of the packet at hand, 0 without stamps.
func (r *reader) sourceNow() uint32 {
	if !r.stamped {
		return 0
	}
	return r.st.source
}

// lost notes packets from and up to the next one received.
func (r *reader) lost(from, next uint64) {
	n := next - from
	r.missing += n
	r.hole = hole{from: from, next: next, open: n}
	if r.quiet {
		r.t.slowLost.Add(n)
		return
	}
	r.gapped = true
	r.t.lost.Add(n)
	r.t.keep(Fault{Client: int(r.client), Packet: from, Place: r.placeOf(nil), Kind: "lost",
		Text: fmt.Sprintf("packets %d to %d did not come", from, next-1)})
}

// hole is the gap that was found last.
type hole struct {
	from, next uint64
	open       uint64 // packets of it that have not come yet
}

// found takes a packet that came behind its place out of what is missing: it is late, which is an error, but not lost.
func (r *reader) found(n uint64) {
	if h := &r.hole; n >= h.from && n < h.next && h.open > 0 {
		h.open--
		r.missing--
		r.seg.received++
		lost := &r.t.lost
		if r.quiet {
			lost = &r.t.slowLost
		}
		lost.Add(^uint64(0))
	}
}

// late records how old the packet is, if it was published in the window and since this viewer came.
func (r *reader) late(at int64) {
	t := r.t
	t.stamped = true
	if r.st.host != hostMark {
		t.foreign = true
		return
	}
	if !r.quiet {
		t.age(r.st.published, r.opened, at, 1)
	}
}

// settle ends a run of packets: newest is one more than the last packet published while connected, 0 when that is not
// known to be later than the last one received.
func (r *reader) settle(newest uint64) {
	s := &r.seg
	if !s.any {
		return
	}
	end := max(s.last+1, newest)
	r.got += s.received
	r.of += end - s.first
	if !r.quiet && end > s.last+1 {
		r.missing += end - s.last - 1
	}
	*s, r.hole = segment{}, hole{}
}

// delivery is received ÷ published while connected; false when nothing was.
func (r *reader) delivery() (float64, bool) {
	if r.of == 0 {
		return 0, false
	}
	return float64(r.got) / float64(r.of), true
}

// placeOf is where the packet begins in the body.
func (r *reader) placeOf(lead []byte) int64 {
	if lead != nil || r.what != mmsh.TypeData {
		return r.place - int64(len(lead))
	}
	at := r.place - int64(r.size-r.left)
	if r.kind == framedBody {
		at -= mmsh.DataHeadSize
	}
	return at
}

// fault notes that something in the packet at hand must not be. lead is its beginning, nil once it is whole.
func (r *reader) fault(lead []byte, kind, text string) {
	r.spoilt = true
	r.t.fault(Fault{Client: int(r.client), Packet: r.number, Place: r.placeOf(lead), Kind: kind, Text: text})
}

// broken is a fault that ends the connection.
func (r *reader) broken(lead []byte, kind string, err error) error {
	r.fault(lead, kind, err.Error())
	return err
}
