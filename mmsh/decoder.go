package mmsh

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Role is who sends the body.
type Role uint8

// Roles.
const (
	Pull Role = iota // a server: order is not checked beyond "header first"
	Push             // an encoder: the order of [Order] is enforced
)

// MaxHeaderBytes bounds an ASF header collected from fragments.
const MaxHeaderBytes = 256 << 10

// Decoder follows the packets of one body. It does no I/O and never touches the payload of $D, so that the caller can
// read it straight to where it will stay:
//
//	for {
//		io.ReadFull(body, d.Buffer())
//		ev, err := d.Next()
//		switch ev.Kind {
//		case mmsh.Packet:
//			io.ReadFull(body, slab[:ev.Length])
//		default:
//			… use ev.Header, ev.Reason; pass over ev.Length bytes
//		}
//	}
//
// A data packet costs no allocation. Memory is bounded by [MaxHeaderBytes]; nothing is allocated for more than 64 KiB
// beyond what was received. A decoder belongs to one goroutine. After an error it stays failed.
type Decoder struct {
	framing Framing
	role    Role
	state   decoderState
	order   Order

	head   [DataHeadSize]byte
	want   []byte // what the caller fills next
	frame  FrameHead
	ev     Event
	header []byte // collected so far
	first  uint32 // LocationID of the header's first fragment
	offset int64  // body bytes before the packet at hand
	taken  int64  // body bytes handed to or left to the caller so far

	maxPacket    int
	seen         bool // a header was seen
	collecting   bool // inside a fragmented header
	changing     bool // $C without header: $H must follow
	located      bool
	lastLocation uint32
	pairs        pairState

	counters Counters
	err      error
}

type decoderState uint8

const (
	atHead decoderState = iota
	atPreHeader
	atReason
	atHeader
	atPair
	atScan
)

// NewDecoder returns a decoder for a body in [PushFraming] or [PullFraming]; with any other framing its first Next
// errs with [ErrUnknownBody].
func NewDecoder(framing Framing, role Role) *Decoder {
	d := &Decoder{framing: framing, role: role, maxPacket: MaxPayload}
	if framing != PushFraming && framing != PullFraming {
		d.err = fmt.Errorf("decoder for %s: %w", framing, ErrUnknownBody)
	}
	d.want = d.head[:FrameHeadSize]
	return d
}

// Continue makes the decoder expect a body that continues a session whose header is known: a later PushStart, which
// begins with $D, $C, $F or $E. Call it before the first Next.
func (d *Decoder) Continue() {
	d.order = ContinuedOrder()
	d.seen = true
}

// SetPacketSize tells the packet size of the ASF header in force. A longer $D is an error from then on; without it
// the bound is [MaxPayload], which no size exceeds.
func (d *Decoder) SetPacketSize(n int) {
	if n > 0 {
		d.maxPacket = min(n, MaxPayload)
	}
}

// Buffer is what the caller must fill wholly from the body before it calls Next. It is never empty and stays valid
// until then.
func (d *Decoder) Buffer() []byte { return d.want }

// Counters of everything met so far.
func (d *Decoder) Counters() Counters { return d.counters }

// Offset is the number of body bytes in front of the packet at hand.
func (d *Decoder) Offset() int64 { return d.offset }

// EndOfBody judges a body that ended after got bytes of Buffer. The end between two packets is fine, and one to three
// stray bytes there are what [MS-WMHTTP] leaves over behind filler; anything else wraps [io.ErrUnexpectedEOF].
func (d *Decoder) EndOfBody(got int) error {
	if d.err != nil {
		return d.err
	}
	if d.state == atHead && !d.collecting && got < FrameHeadSize {
		return nil
	}
	if d.state == atHead {
		return d.errorf(io.ErrUnexpectedEOF, "body ends inside a header of several packets")
	}
	return d.errorf(io.ErrUnexpectedEOF, "body ends inside a $%c of %d bytes", d.frame.Type, d.frame.Length)
}

// Next takes the filled Buffer and says what it completed. Errors wrap [ErrNotFramed], [ErrSize] or [ErrOrder] and
// name the offset in the body.
func (d *Decoder) Next() (Event, error) {
	if d.err != nil {
		return Event{}, d.err
	}
	d.taken += int64(len(d.want))
	ev, err := d.step()
	if err != nil {
		d.err = err
		return Event{}, err
	}
	d.taken += int64(ev.Length)
	if ev.Kind == Skip {
		d.counters.SkippedBytes += uint64(ev.Length)
	}
	return ev, nil
}

func (d *Decoder) step() (Event, error) {
	switch d.state {
	case atHead:
		return d.frameHead()
	case atPreHeader:
		return d.preHeader()
	case atReason:
		return d.reason()
	case atPair:
		return d.pair()
	case atScan:
		return d.scan()
	}
	return d.headerPart()
}

// await sets the next buffer.
func (d *Decoder) await(s decoderState, buf []byte) {
	d.state, d.want = s, buf
}

// finish goes back to the packet boundary.
func (d *Decoder) finish(ev Event) (Event, error) {
	d.await(atHead, d.head[:FrameHeadSize])
	return ev, nil
}

func (d *Decoder) frameHead() (Event, error) {
	d.offset = d.taken - FrameHeadSize
	f, err := ParseFrameHead(d.head[:])
	if err != nil || (d.pairs.pending && !d.pairs.follows(f)) {
		if d.pairs.pending {
			return d.startScan()
		}
		return Event{}, fmt.Errorf("body offset %d: %w", d.offset, err)
	}
	d.frame = f
	d.ev = Event{Type: f.Type, B: f.B}
	if f.B {
		d.counters.BBits++
	}
	return d.dispatch()
}

func (d *Decoder) dispatch() (Event, error) {
	length := d.frame.Length
	switch d.frame.Type {
	case TypeHeader, TypeData:
		if err := d.whole(); err != nil {
			return Event{}, err
		}
		if d.framing == PushFraming {
			return d.payload(length)
		}
		d.await(atPreHeader, d.head[FrameHeadSize:DataHeadSize])
		return Event{}, nil
	case TypeChange, TypeEnd:
		if err := d.whole(); err != nil {
			return Event{}, err
		}
		if length < reasonSize {
			return Event{}, d.errorf(ErrSize, "$%c of %d bytes, at least %d", d.frame.Type, length, reasonSize)
		}
		d.await(atReason, d.head[FrameHeadSize:FrameHeadSize+reasonSize])
		return Event{}, nil
	case TypePair:
		if d.framing == PullFraming {
			return d.startPair()
		}
	case TypeMetadata:
		d.pairs.pending = false
	}
	return d.pass(length)
}

// whole refuses what may not stand between the fragments of a header.
func (d *Decoder) whole() error {
	if d.collecting && d.frame.Type != TypeHeader {
		return d.errorf(ErrOrder, "$%c inside a header of several packets", d.frame.Type)
	}
	return nil
}

// pass leaves a packet without meaning to the caller.
func (d *Decoder) pass(length int) (Event, error) {
	if d.role == Push {
		if err := d.inOrder(0); err != nil {
			return Event{}, err
		}
	}
	d.countPassed()
	d.ev.Kind, d.ev.Length = Skip, length
	return d.finish(d.ev)
}

func (d *Decoder) countPassed() {
	switch d.frame.Type {
	case TypeMetadata:
		d.counters.Metadata++
	case TypePair:
		d.counters.Pairs++
	case TypeTest:
		d.counters.Tests++
	case TypeFiller:
		d.counters.Fillers++
	default:
		d.counters.Unknown++
	}
}

func (d *Decoder) preHeader() (Event, error) {
	p, err := ParsePreHeader(d.head[FrameHeadSize:], d.frame.Length)
	if err != nil {
		if d.pairs.pending {
			return d.rescan()
		}
		return Event{}, d.errorf(err, "$%c", d.frame.Type)
	}
	d.pairs.pending = false
	d.ev.AFFlags = p.AFFlags
	d.ev.HasLocation, d.ev.LocationID = true, p.LocationID
	return d.payload(p.Payload())
}

// payload begins the ASF bytes of a $H or $D.
func (d *Decoder) payload(n int) (Event, error) {
	if d.frame.Type == TypeHeader {
		return d.collect(n)
	}
	if err := d.dataAllowed(n); err != nil {
		return Event{}, err
	}
	if d.ev.HasLocation {
		d.follow(d.ev.LocationID)
	}
	d.counters.Packets++
	d.ev.Kind, d.ev.Length = Packet, n
	return d.finish(d.ev)
}

func (d *Decoder) dataAllowed(n int) error {
	if err := d.inOrder(0); err != nil {
		return err
	}
	if !d.seen || d.changing {
		return d.errorf(ErrOrder, "$D before its $H")
	}
	if n == 0 || n > d.maxPacket {
		return d.errorf(ErrSize, "$D with %d bytes of ASF packet, 1 to %d", n, d.maxPacket)
	}
	return nil
}

// follow counts what a LocationId says about lost packets, modulo 2^32.
func (d *Decoder) follow(location uint32) {
	if d.located {
		switch ahead := int32(location - d.lastLocation - 1); {
		case ahead > 0:
			d.counters.Gaps++
			d.counters.Missing += uint64(ahead)
		case ahead < 0:
			d.counters.Backward++
		}
	}
	d.located, d.lastLocation = true, location
}

// reason has the four bytes of $C or $E.
func (d *Decoder) reason() (Event, error) {
	d.ev.Reason = binary.LittleEndian.Uint32(d.head[FrameHeadSize:])
	rest := d.frame.Length - reasonSize
	d.ev.long = rest > 0
	if d.frame.Type == TypeEnd {
		return d.end(rest)
	}
	if err := d.inOrder(0); err != nil {
		return Event{}, err
	}
	if d.framing == PushFraming {
		if rest == 0 {
			return Event{}, d.errorf(ErrSize, "$C without a header in it")
		}
		return d.collect(rest)
	}
	d.changing, d.located = true, false
	d.counters.Changes++
	d.ev.Kind, d.ev.Length = Change, rest
	return d.finish(d.ev)
}

func (d *Decoder) end(rest int) (Event, error) {
	d.ev.Kind, d.ev.Length = End, rest
	reason := ReasonEnd
	if d.ev.EntryEnd() {
		reason = ReasonEntryEnd
	}
	if err := d.inOrder(reason); err != nil {
		return Event{}, err
	}
	d.counters.Ends++
	return d.finish(d.ev)
}

// inOrder applies the push order to the packet at hand.
func (d *Decoder) inOrder(reason uint32) error {
	if d.role != Push {
		return nil
	}
	if err := d.order.Check(d.frame.Type, reason); err != nil {
		return fmt.Errorf("body offset %d: %w", d.offset, err)
	}
	return nil
}

func (d *Decoder) errorf(err error, format string, args ...any) error {
	return fmt.Errorf("body offset %d: %s: %w", d.offset, fmt.Sprintf(format, args...), err)
}
