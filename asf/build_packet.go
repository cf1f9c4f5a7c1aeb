package asf

import "encoding/binary"

// PacketSpec describes one data packet to be built. The zero value of every
// field gives what all known live encoders send.
type PacketSpec struct {
	SendTime uint32 // ms
	Duration uint16 // ms

	Payloads []PayloadSpec // 1-63
	Multiple bool          // payload flags even for a single payload

	// Size is the packet size in bytes: a shorter content is followed by
	// announced padding up to it. 0 writes no padding.
	Size int
	// Stripped leaves the padding out; the packet is then as short as its
	// content.
	Stripped bool

	// NoErrorCorrection leaves the error correction bytes out.
	NoErrorCorrection bool
	// ErrorCorrection are these bytes, flags included; nil means 82 00 00.
	ErrorCorrection []byte

	// Width codes (0 absent, 1, 2 and 3 for 8, 16 and 32 bits).
	LengthWidth   uint8 // Packet Length
	SequenceWidth uint8 // Sequence
	PaddingWidth  uint8 // Padding Length; chosen when 0 and there is padding

	Sequence uint32
	Property byte // property flags; 0 means 0x5D: object 8, offset 32, replicated 8 bits
}

// PayloadSpec describes one payload of a PacketSpec.
type PayloadSpec struct {
	Stream uint8 // 1-127
	Key    bool

	Object     uint32
	Offset     uint32 // bytes into the object; unused when compressed
	ObjectSize uint32 // bytes
	PresTime   uint32 // ms

	// Extension is the replicated data behind size and time.
	Extension []byte
	// NoReplicated leaves all replicated data out.
	NoReplicated bool
	// Compressed writes a compressed payload: Data is then a list of objects,
	// each behind a length byte, and TimeDelta their distance in ms.
	Compressed bool
	TimeDelta  uint8

	Data []byte
}

const defaultProperty = 0x5D

var defaultCorrection = [...]byte{0x82, 0, 0}

// AppendPacket appends the packet to dst. It allocates only when dst must
// grow. ErrNoRoom is returned, with dst as it was, when the content does not
// fit into Size or a number not into its field, ErrField when the payload
// count is not 1-63.
func AppendPacket(dst []byte, spec PacketSpec) ([]byte, error) {
	var plan packetPlan
	if err := plan.make(&spec); err != nil {
		return dst, err
	}
	dst = append(dst, plan.correction...)
	dst = append(dst, plan.flags(), plan.property)
	dst = appendWidth(dst, plan.length, uint32(plan.total))
	dst = appendWidth(dst, plan.sequence, spec.Sequence)
	dst = appendWidth(dst, plan.padding, uint32(plan.pad))
	dst = binary.LittleEndian.AppendUint32(dst, spec.SendTime)
	dst = binary.LittleEndian.AppendUint16(dst, spec.Duration)
	if plan.multiple {
		dst = append(dst, byte(len(spec.Payloads))|widthWord<<6)
	}
	for i := range spec.Payloads {
		dst = plan.appendPayload(dst, &spec.Payloads[i])
	}
	return appendZeros(dst, plan.pad), nil
}

// packetPlan is what is settled about a packet before its first byte is
// written.
type packetPlan struct {
	correction                []byte
	length, sequence, padding byte // width codes
	property                  byte
	multiple                  bool
	pad                       int // zeros at the end, bytes
	total                     int // bytes, zeros included
}

func (w *packetPlan) flags() byte {
	f := w.sequence<<1 | w.padding<<paddingShift | w.length<<lengthShift
	if w.multiple {
		f |= 1
	}
	return f
}

// make fixes widths and sizes, or says why the packet cannot be built.
func (w *packetPlan) make(s *PacketSpec) error {
	n := len(s.Payloads)
	if n < 1 || n > 63 {
		return &Error{Object: "packet", Bound: 63, Value: uint64(n), Reason: "number of payloads", Kind: ErrField}
	}
	*w = packetPlan{length: s.LengthWidth & 3, sequence: s.SequenceWidth & 3, padding: s.PaddingWidth & 3,
		property: s.Property, multiple: s.Multiple || n > 1}
	switch {
	case s.NoErrorCorrection:
	case s.ErrorCorrection == nil:
		w.correction = defaultCorrection[:]
	default:
		w.correction = s.ErrorCorrection
	}
	if w.property == 0 {
		w.property = defaultProperty
	}
	content, err := w.content(s)
	if err != nil {
		return err
	}
	return w.fill(s, content)
}

// content is the size of the packet without padding.
func (w *packetPlan) content(s *PacketSpec) (int, error) {
	size := len(w.correction) + 2 + int(widths[w.length]) + int(widths[w.sequence]) + int(widths[w.padding]) + 6
	if w.multiple {
		size++
	}
	for i := range s.Payloads {
		pl := &s.Payloads[i]
		if pl.Stream == 0 || pl.Stream > 127 {
			return 0, &Error{Object: "payload", Offset: size, Bound: 127, Value: uint64(pl.Stream),
				Reason: "stream number", Kind: ErrField}
		}
		replicated, offset := pl.replicated(), pl.offset()
		if !fitsWidth(w.property, uint64(replicated)) {
			return 0, noRoom("replicated data length", size, w.property, uint64(replicated))
		}
		if !fitsWidth(w.property>>2, uint64(offset)) {
			return 0, noRoom("offset into media object", size, w.property>>2, uint64(offset))
		}
		if w.multiple && len(pl.Data) > 0xFFFF {
			return 0, noRoom("payload length", size, widthWord, uint64(len(pl.Data)))
		}
		size += w.payloadHead() + replicated + len(pl.Data)
	}
	return size, nil
}

// payloadHead is the size of a payload without replicated data and data.
func (w *packetPlan) payloadHead() int {
	n := 1 + int(widths[w.property>>4&3]) + int(widths[w.property>>2&3]) + int(widths[w.property&3])
	if w.multiple {
		n += 2
	}
	return n
}

// fill settles the padding behind that much content.
func (w *packetPlan) fill(s *PacketSpec, content int) error {
	w.total = content
	if s.Size > 0 && content > s.Size {
		return &Error{Object: "packet", Bound: s.Size, Value: uint64(content), Reason: "content size", Kind: ErrNoRoom}
	}
	if s.Size > content && !s.Stripped {
		w.pad, w.total = s.Size-content, s.Size
		if w.padding == widthNone {
			w.padding = widthByte
			if w.pad > 1+0xFF {
				w.padding = widthWord
			}
			w.pad -= int(widths[w.padding])
		}
	}
	if !fitsWidth(w.padding, uint64(w.pad)) {
		return noRoom("padding length", 0, w.padding, uint64(w.pad))
	}
	if w.length != widthNone && !fitsWidth(w.length, uint64(w.total)) {
		return noRoom("packet length", 0, w.length, uint64(w.total))
	}
	return nil
}

// fitsWidth says whether v fits into a field of that width code.
func fitsWidth(code byte, v uint64) bool { return v>>(8*widths[code&3]) == 0 }

func noRoom(what string, at int, code byte, v uint64) error {
	return &Error{Object: "packet", Offset: at, Bound: 1<<(8*widths[code&3]) - 1, Value: v, Reason: what, Kind: ErrNoRoom}
}

// replicated is the length of the payload's replicated data.
func (p *PayloadSpec) replicated() int {
	switch {
	case p.Compressed:
		return 1
	case p.NoReplicated:
		return 0
	}
	return 8 + len(p.Extension)
}

// offset is what the payload's offset field holds.
func (p *PayloadSpec) offset() uint32 {
	if p.Compressed {
		return p.PresTime
	}
	return p.Offset
}

func (w *packetPlan) appendPayload(dst []byte, p *PayloadSpec) []byte {
	stream := p.Stream
	if p.Key {
		stream |= 0x80
	}
	dst = append(dst, stream)
	dst = appendWidth(dst, w.property>>4, p.Object)
	dst = appendWidth(dst, w.property>>2, p.offset())
	dst = appendWidth(dst, w.property, uint32(p.replicated()))
	switch {
	case p.Compressed:
		dst = append(dst, p.TimeDelta)
	case !p.NoReplicated:
		dst = binary.LittleEndian.AppendUint32(dst, p.ObjectSize)
		dst = binary.LittleEndian.AppendUint32(dst, p.PresTime)
		dst = append(dst, p.Extension...)
	}
	if w.multiple {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(p.Data)))
	}
	return append(dst, p.Data...)
}

// appendWidth appends v, cut to the field of that width code.
func appendWidth(dst []byte, code byte, v uint32) []byte {
	switch code & 3 {
	case widthByte:
		return append(dst, byte(v))
	case widthWord:
		return binary.LittleEndian.AppendUint16(dst, uint16(v))
	case widthLong:
		return binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// DescribePacket is the inverse of [AppendPacket]: a spec whose byte slices
// refer to p. Built again it gives p, except that padding comes back as zeros
// and that surplus bytes behind an announced length or behind the last of
// several payloads, and a packet length that is not to be believed, do not come
// back. It allocates.
func DescribePacket(p []byte, nominal int) (PacketSpec, error) {
	w := Payloads(p, nominal)
	s, end := PacketSpec{}, 0
	for w.Next() {
		pl := w.Payload
		spec := PayloadSpec{Stream: pl.Stream, Key: pl.Key, Object: pl.Object, Offset: pl.Offset,
			ObjectSize: pl.ObjectSize, PresTime: pl.PresTime, NoReplicated: pl.Replicated == 0,
			Compressed: pl.Compressed, TimeDelta: pl.TimeDelta, Data: p[pl.Start:pl.End]}
		if pl.Replicated > 8 {
			spec.Extension = p[pl.timeAt+4 : pl.timeAt-4+pl.Replicated]
		}
		s.Payloads = append(s.Payloads, spec)
		end = pl.End
	}
	if err := w.Err(); err != nil {
		return PacketSpec{}, err
	}
	h := &w.head
	s.SendTime = binary.LittleEndian.Uint32(p[h.sendAt:])
	s.Duration = binary.LittleEndian.Uint16(p[h.sendAt+4:])
	s.Multiple = h.ltf&1 != 0
	s.Size = end + h.padding
	s.NoErrorCorrection, s.ErrorCorrection = h.flagsAt == 0, p[:h.flagsAt]
	s.LengthWidth, s.SequenceWidth, s.PaddingWidth = h.ltf>>lengthShift&3, h.ltf>>1&3, h.ltf>>paddingShift&3
	s.Sequence = readWidth(p, h.lengthAt+int(widths[s.LengthWidth]), s.SequenceWidth)
	s.Property = h.property
	s.Stripped = h.padding == 0
	if h.packetLength == 0 {
		s.Size -= int(widths[s.LengthWidth])
		s.LengthWidth = widthNone
	}
	return s, nil
}
