package loadtest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// bodyKind is how packets stand in a body.
type bodyKind uint8

const (
	framedBody bodyKind = iota
	plainBody
)

// leadMax is the longest beginning of a packet that is looked at in one piece: framing, pre-header, stamp.
const leadMax = mmsh.DataHeadSize + stampEnd

// reader follows the body of one connection. It verifies in place whatever pieces the body comes in: a packet's
// beginning is looked at in the caller's buffer, or put together in lead when it is cut; the rest is compared
// with what must be there. It copies nothing else, but while it waits for the header and the first key frame. It belongs
// to the goroutine of its tally.
type reader struct {
	t      *tally
	target int32
	client int32 // from 1
	quiet  bool  // a slow viewer: what it misses is no fault
	kind   bodyKind

	have  uint8         // bytes in cut
	cut   [leadMax]byte // beginning of a packet that came in pieces
	what  byte          // type of the packet that left belongs to
	left  int32         // bytes of it still to come
	size  int32         // bytes of the ASF packet
	place int64         // bytes of the body before the packet

	header  *streamHeader
	gather  []byte // header, or a packet while there is no key frame yet
	changed bool   // $C came: a header may follow

	renumbered bool // there was a $C: LocationId may have begun anew
	ended      bool // $E
	started    bool // key frame received
	data       bool // a data packet came since the header

	stamped bool
	wrong   bool // a byte of the packet at hand is not what was sent
	bad     bool // the packet at hand is not to be counted
	spoilt  bool // there is something wrong with the packet at hand
	st      stamp

	located  bool
	location uint32 // of the packet before
	number   uint64 // of the packet at hand
	base     uint64 // LocationIds unrolled, where there are no stamps

	seg     segment
	opened  int64 // ns, connect was called
	newKey  bool  // a first key frame became whole in this feed
	gapped  bool  // has lost packets, ever
	hole    hole
	got     uint64
	of      uint64 // published, in segments that are over
	missing uint64
	bytes   uint64
}

// segment is a run of packets that are counted together.
type segment struct {
	any         bool
	source      uint32
	first, last uint64
	received    uint64
}

// Faults that end a connection: nothing behind can be trusted.
var (
	errFraming = errors.New("no framing header where one must be")
	errHeader  = errors.New("header not usable")
)

// reset prepares for a new connection; counts of the viewer stay.
func (r *reader) reset(kind bodyKind, opened int64) {
	r.settle(0)
	*r = reader{t: r.t, target: r.target, client: r.client, quiet: r.quiet, kind: kind, opened: opened, gather: r.gather[:0],
		gapped: r.gapped, got: r.got, of: r.of, missing: r.missing, bytes: r.bytes}
}

// feed takes the next piece of the body, received at the time at (ns). An error means that the rest is worthless.
func (r *reader) feed(b []byte, at int64) error {
	r.bytes += uint64(len(b))
	var packet []byte // the packet at hand and what follows, nil when it began in an earlier piece
	for len(b) > 0 {
		if r.left == 0 && r.have == 0 {
			if b = b[r.skim(b, at):]; len(b) == 0 {
				return nil
			}
			packet, r.spoilt = b, false
		}
		if r.left > 0 {
			n := min(int(r.left), len(b))
			r.inside(b[:n])
			b, r.left, r.place = b[n:], r.left-int32(n), r.place+int64(n)
		} else {
			lead, used := r.lead(b)
			b, r.place = b[used:], r.place+int64(used)
			if lead == nil {
				return nil
			}
			if err := r.begin(lead, at); err != nil {
				return err
			}
		}
		if r.left == 0 && r.have == 0 {
			if err := r.whole(at); err != nil {
				return err
			}
			if packet != nil {
				one := packet[:len(packet)-len(b)]
				r.dissect(one)
				r.prove(one, at)
			}
		}
	}
	return nil
}

// lead returns the beginning of the next packet in one piece, nil when it is not all there, and how much of b it took.
func (r *reader) lead(b []byte) (lead []byte, used int) {
	if r.have == 0 {
		if n := r.wanted(b); len(b) >= n {
			return b[:n], n
		}
	}
	for {
		want := r.wanted(r.cut[:r.have])
		if int(r.have) >= want {
			lead, r.have = r.cut[:r.have], 0
			return lead, used
		}
		if used == len(b) {
			return nil, used
		}
		n := copy(r.cut[r.have:want], b[used:])
		r.have, used = r.have+uint8(n), used+n
	}
}

// wanted is how long the beginning of a packet is, judged by what is there of it; more may be wanted then.
func (r *reader) wanted(b []byte) int {
	if r.kind == plainBody {
		if r.header == nil {
			return headerHead
		}
		return min(stampEnd, r.header.packetSize)
	}
	if len(b) < mmsh.FrameHeadSize {
		return mmsh.FrameHeadSize
	}
	length := int(binary.LittleEndian.Uint16(b[2:]))
	switch b[1] {
	case mmsh.TypeData:
		return mmsh.FrameHeadSize + min(length, leadMax-mmsh.FrameHeadSize)
	case mmsh.TypeHeader, mmsh.TypeMetadata:
		return mmsh.FrameHeadSize + min(length, mmsh.PreHeaderSize)
	case mmsh.TypeEnd, mmsh.TypeChange:
		return mmsh.FrameHeadSize + min(length, 4)
	}
	return mmsh.FrameHeadSize
}

// begin looks at the beginning of a packet.
func (r *reader) begin(lead []byte, at int64) error {
	if r.kind == plainBody {
		return r.beginPlain(lead, at)
	}
	if lead[0]&0x7F != 0x24 {
		return r.broken(lead, "framing", fmt.Errorf("%w: % x", errFraming, lead[:mmsh.FrameHeadSize]))
	}
	length := int(binary.LittleEndian.Uint16(lead[2:]))
	rest := lead[mmsh.FrameHeadSize:]
	r.what, r.left = lead[1], int32(length-len(rest))
	switch r.what {
	case mmsh.TypeData, mmsh.TypeHeader, mmsh.TypeMetadata:
		if len(rest) < mmsh.PreHeaderSize {
			return r.broken(lead, "framing", fmt.Errorf("%w: $%c of %d bytes has no room for its pre-header", errFraming, r.what, length))
		}
		if size := int(binary.LittleEndian.Uint16(rest[6:])); size != length {
			r.fault(lead, "size", fmt.Sprintf("PacketSize %d in a packet of %d bytes", size, length))
		}
		r.beginMMS(lead, rest, length-mmsh.PreHeaderSize)
	case mmsh.TypeEnd:
		r.endPacket(rest, length)
	case mmsh.TypeChange:
		r.change()
	}
	return nil
}

// beginMMS looks at a packet that has a pre-header. size is that of its payload.
func (r *reader) beginMMS(lead, rest []byte, size int) {
	payload := rest[mmsh.PreHeaderSize:]
	switch r.what {
	case mmsh.TypeHeader:
		if rest[5]&mmsh.AFFirst != 0 || r.header != nil {
			if r.header != nil && !r.changed {
				r.fault(lead, "order", "a header in mid-stream without $C before it")
			}
			r.header, r.gather = nil, r.gather[:0]
		}
	case mmsh.TypeData:
		r.locate(lead, binary.LittleEndian.Uint32(rest))
		r.beginData(lead, payload, size)
	}
}

// endPacket reads $E: reason 1 announces $C, but some servers put a sequence number there and are longer then.
func (r *reader) endPacket(rest []byte, length int) {
	if length == 4 && binary.LittleEndian.Uint32(rest) == mmsh.ReasonEntryEnd {
		return
	}
	r.ended = true
}

// change is $C: numbers and header begin anew.
func (r *reader) change() {
	r.settle(0)
	r.changed, r.renumbered, r.located, r.stamped, r.started = true, true, false, false, false
}

// inside takes bytes of the packet at hand behind its beginning.
func (r *reader) inside(b []byte) {
	switch r.what {
	case mmsh.TypeData:
		if r.stamped {
			r.compare(b)
		}
		if !r.started {
			r.collect(b)
		}
	case mmsh.TypeHeader:
		r.collect(b)
	}
}

func (r *reader) collect(b []byte) {
	if len(r.gather)+len(b) <= mmsh.MaxHeaderBytes {
		r.gather = append(r.gather, b...)
	}
}

// whole is the end of a packet.
func (r *reader) whole(at int64) error {
	switch r.what {
	case mmsh.TypeData:
		r.wholeData(at)
	case mmsh.TypeHeader:
		return r.wholeHeader()
	}
	return nil
}

// wholeHeader parses the header once all of it is there: a fragment that is not the last leaves it incomplete.
func (r *reader) wholeHeader() error {
	if n, err := asf.HeaderSize(r.gather); err == nil && len(r.gather) < n {
		return nil
	}
	h, err := r.t.header(r.gather)
	if err != nil {
		return r.broken(nil, "header", fmt.Errorf("%w: %w", errHeader, err))
	}
	r.header, r.changed, r.data, r.gather = h, false, false, r.gather[:0]
	return nil
}

// fresh says whether nothing of the body has come yet.
func (r *reader) fresh() bool { return r.place == 0 && r.have == 0 }

// torn says whether the body stops inside a packet.
func (r *reader) torn() bool { return r.left > 0 || r.have > 0 }
