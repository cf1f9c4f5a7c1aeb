package asf

import "encoding/binary"

// Packet is what a reflector wants to know about one data packet [ASF 5.2].
type Packet struct {
	SendTime uint32 // ms, modulo 2^32
	Duration uint16 // ms

	Streams         StreamSet // streams of all payloads
	KeyStart        bool      // a key frame of a key stream starts here
	KeyStartPayload int       // index of the payload it starts in, -1 when none
	KeyTime         uint32    // ms, presentation time of that key frame
	Payloads        int       // 1-63
	Multiple        bool      // has payload flags

	PacketLength  int // as announced; 0 when absent or not to be believed
	PaddingLength int // as announced
	PayloadsStart int // bytes before the first payload
	ContentEnd    int // end of the bytes that are no announced padding
}

// prologue is the payload parsing information and where its fields stand.
type prologue struct {
	flagsAt       int // Length Type Flags
	lengthAt      int // Packet Length field
	paddingAt     int // Padding Length field
	sendAt        int
	payloadsAt    int
	ltf, property byte
	count         int // payloads
	packetLength  int // effective, 0 absent
	padding       int
	contentEnd    int
}

// widths of the codes 0-3 in bytes.
var widths = [4]uint8{0, 1, 2, 4}

// readWidth reads the little-endian field of that width code at p[at:], which
// the caller has checked.
func readWidth(p []byte, at int, code byte) uint32 {
	switch code & 3 {
	case 1:
		return uint32(p[at])
	case 2:
		return uint32(binary.LittleEndian.Uint16(p[at:]))
	case 3:
		return binary.LittleEndian.Uint32(p[at:])
	}
	return 0
}

// fault is an Error of a packet before it is needed as one, so that walking
// does not allocate.
type fault struct {
	reason    string
	object    string
	at, bound int
	value     uint64
	kind      error
}

func (f *fault) error() error {
	if f.reason == "" {
		return nil
	}
	return &Error{Object: f.object, Offset: f.at, Bound: f.bound, Value: f.value, Reason: f.reason, Kind: f.kind}
}

func (f *fault) set(object, reason string, at int, value uint64, bound int) bool {
	*f = fault{object: object, reason: reason, at: at, value: value, bound: bound, kind: ErrPacket}
	return false
}

// locate finds the fixed fields: everything up to Send Time is known once the
// widths are.
func (h *prologue) locate(p []byte, f *fault) bool {
	if len(p) < 8 {
		return f.set("packet", "bytes at hand", 0, uint64(len(p)), 8)
	}
	o := 0
	if p[0]&0x80 != 0 {
		if p[0]&0x70 != 0 {
			return f.set("error correction", "flags", 0, uint64(p[0]), 0x8F)
		}
		o = 1 + int(p[0]&15)
	}
	if o+2 > len(p) {
		return f.set("error correction", "data length", 0, uint64(o), len(p))
	}
	h.flagsAt, h.ltf, h.property = o, p[o], p[o+1]
	if h.ltf&0x80 != 0 {
		return f.set("payload parsing information", "length type flags", o, uint64(h.ltf), 0x7F)
	}
	if h.property>>6 != 1 {
		return f.set("payload parsing information", "stream number width", o+1, uint64(h.property>>6), 1)
	}
	h.lengthAt = o + 2
	h.paddingAt = h.lengthAt + int(widths[h.ltf>>5&3]) + int(widths[h.ltf>>1&3])
	h.sendAt = h.paddingAt + int(widths[h.ltf>>3&3])
	if h.sendAt+6 > len(p) {
		return f.set("payload parsing information", "bytes needed", h.lengthAt, uint64(h.sendAt+6), len(p))
	}
	return true
}

// read fills the prologue and checks the lengths it announces.
func (h *prologue) read(p []byte, nominal int, f *fault) bool {
	if nominal > 0 && len(p) > nominal {
		f.set("packet", "packet longer than the header's packet size", 0, uint64(len(p)), nominal)
		f.kind = ErrPacketSize
		return false
	}
	if !h.locate(p, f) {
		return false
	}
	h.payloadsAt, h.count = h.sendAt+6, 1
	if h.ltf&1 != 0 && !h.readCount(p, f) {
		return false
	}
	return h.readLengths(p, f)
}

func (h *prologue) readCount(p []byte, f *fault) bool {
	if h.payloadsAt >= len(p) {
		return f.set("payload flags", "bytes needed", h.payloadsAt, uint64(h.payloadsAt+1), len(p))
	}
	flags := p[h.payloadsAt]
	h.count = int(flags & 63)
	if h.count == 0 {
		return f.set("payload flags", "number of payloads", h.payloadsAt, 0, 1)
	}
	if flags>>6 != 2 {
		return f.set("payload flags", "payload length width", h.payloadsAt, uint64(flags>>6), 2)
	}
	h.payloadsAt++
	return true
}

// readLengths finds the end of the content. A Packet Length beyond the bytes
// at hand counts as absent.
func (h *prologue) readLengths(p []byte, f *fault) bool {
	length := readWidth(p, h.lengthAt, h.ltf>>5)
	padding := readWidth(p, h.paddingAt, h.ltf>>3)
	end := len(p)
	if length > 0 && uint64(length) <= uint64(len(p)) {
		h.packetLength, end = int(length), int(length)
		if end < h.payloadsAt {
			return f.set("payload parsing information", "packet length below its head", h.lengthAt, uint64(length), h.payloadsAt)
		}
	}
	if uint64(padding) > uint64(end-h.payloadsAt) {
		return f.set("payload parsing information", "padding length", h.paddingAt, uint64(padding), end-h.payloadsAt)
	}
	h.padding, h.contentEnd = int(padding), end-int(padding)
	return true
}

// SendTime reads a packet's send time in ms without looking at its payloads.
func SendTime(p []byte) (uint32, error) {
	var h prologue
	var f fault
	if !h.locate(p, &f) {
		return 0, f.error()
	}
	return binary.LittleEndian.Uint32(p[h.sendAt:]), nil
}

// TimeDiff is a - b in ms for two send or presentation times, right across
// their wrap after 49.7 days as long as they are less than half of that apart.
func TimeDiff(a, b uint32) int32 { return int32(a - b) }

// ParsePacket walks all payloads of one data packet and says what a reflector
// wants to know. nominal is the header's packet size, 0 when unknown; p may be
// shorter when its padding was removed, never longer. key is
// [Header.KeyStreams]. Malformed packets yield an *Error of kind ErrPacket, too
// long ones ErrPacketSize. It does not allocate unless it fails.
func ParsePacket(p []byte, nominal int, key StreamSet) (Packet, error) {
	w := Payloads(p, nominal)
	k := Packet{KeyStartPayload: -1}
	for i := 0; w.Next(); i++ {
		pl := &w.Payload
		k.Streams.Add(pl.Stream)
		if !k.KeyStart && pl.StartsKey() && key.Has(pl.Stream) {
			k.KeyStart, k.KeyStartPayload, k.KeyTime = true, i, pl.PresTime
		}
	}
	if w.fault.reason != "" {
		return Packet{}, w.fault.error()
	}
	h := &w.head
	k.SendTime = binary.LittleEndian.Uint32(p[h.sendAt:])
	k.Duration = binary.LittleEndian.Uint16(p[h.sendAt+4:])
	k.Payloads, k.Multiple = h.count, h.ltf&1 != 0
	k.PacketLength, k.PaddingLength = h.packetLength, h.padding
	k.PayloadsStart, k.ContentEnd = h.payloadsAt, h.contentEnd
	return k, nil
}
