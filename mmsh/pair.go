package mmsh

import "encoding/binary"

// Packet-pair probes ($P) come in threes in front of a Describe body, if at all. Their documented lengths cannot be
// what follows their framing headers ([MS-WMSP] 2.2.3.7), so a decoder passes over what the formula says and then looks
// for the next packet.
const (
	pairReasonMax = 504
	pairLast      = 1048
	maxResync     = 8 << 10 // bytes to look through for the next packet
)

type pairState struct {
	pending bool // a $P was passed: the next packet may be elsewhere than expected
	count   int
	reason  int // R of the first $P
	scanned int
}

// follows reports whether f can be the packet behind a $P.
func (p *pairState) follows(f FrameHead) bool {
	switch f.Type {
	case TypePair:
		return p.count < 3
	case TypeHeader, TypeMetadata:
		return f.Length >= PreHeaderSize
	}
	return false
}

func (d *Decoder) startPair() (Event, error) {
	if d.frame.Length < reasonSize {
		return d.pass(d.frame.Length)
	}
	d.await(atPair, d.head[FrameHeadSize:FrameHeadSize+reasonSize])
	return Event{}, nil
}

// pair has the Reason of a $P: the size of the HTTP head for the first.
func (d *Decoder) pair() (Event, error) {
	p := &d.pairs
	length := pairReasonMax
	switch p.count {
	case 0:
		p.reason = int(min(binary.LittleEndian.Uint32(d.head[FrameHeadSize:]), pairReasonMax))
		length = pairReasonMax - p.reason
	case 2:
		length = pairLast + p.reason
	}
	if p.count > 2 {
		length = d.frame.Length - reasonSize
	}
	p.count++
	p.pending = p.count <= 3
	return d.pass(length)
}

// startScan begins the search for a $H or $M with the four bytes that were none.
func (d *Decoder) startScan() (Event, error) {
	d.counters.Resyncs++
	d.pairs.scanned = 0
	d.await(atScan, d.head[FrameHeadSize:DataHeadSize])
	return Event{}, nil
}

// rescan begins it with twelve bytes, of which the pre-header was wrong.
func (d *Decoder) rescan() (Event, error) {
	d.counters.Resyncs++
	d.pairs.scanned = 0
	return d.slide()
}

// scan looks at a window of a framing header and a pre-header that starts at d.head.
func (d *Decoder) scan() (Event, error) {
	f, err := ParseFrameHead(d.head[:])
	if err == nil && (f.Type == TypeHeader || f.Type == TypeMetadata) {
		if _, err := ParsePreHeader(d.head[FrameHeadSize:], f.Length); err == nil {
			return d.found(f)
		}
	}
	return d.slide()
}

func (d *Decoder) found(f FrameHead) (Event, error) {
	d.offset = d.taken - DataHeadSize
	d.frame, d.ev = f, Event{Type: f.Type, B: f.B}
	d.pairs.pending = false
	if f.Type == TypeMetadata {
		return d.pass(f.Length - PreHeaderSize)
	}
	return d.preHeader()
}

func (d *Decoder) slide() (Event, error) {
	if d.pairs.scanned >= maxResync {
		return Event{}, d.errorf(ErrNotFramed, "no $H or $M within %d bytes behind $P", maxResync)
	}
	d.pairs.scanned++
	d.counters.ResyncBytes++
	copy(d.head[:], d.head[1:])
	d.await(atScan, d.head[DataHeadSize-1:])
	return Event{}, nil
}
