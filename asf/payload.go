package asf

import "encoding/binary"

// Payload is one payload of a data packet [ASF 5.2.3].
type Payload struct {
	Stream     uint8 // 1-127
	Key        bool  // key frame bit; also set on later fragments of a key frame
	Compressed bool  // holds whole small objects, each behind a length byte

	Object     uint32 // media object number, wraps at the field's width
	Offset     uint32 // bytes into the media object; 0 when compressed
	ObjectSize uint32 // bytes as announced, 0 unknown; never to be allocated by
	PresTime   uint32 // ms; of the first object when compressed
	TimeDelta  uint8  // ms from object to object when compressed
	Replicated int    // bytes of replicated data: 0, 1 or from 8 on

	Head       int // where the payload begins in the packet
	Start, End int // its data in the packet

	timeAt    int  // presentation time field, -1 when there is none
	timeWidth byte // its width code
}

// StartsKey says whether a key frame begins with this payload.
func (p *Payload) StartsKey() bool { return p.Key && p.Offset == 0 && !p.Compressed }

// HasTime says whether the payload carries a presentation time.
func (p *Payload) HasTime() bool { return p.timeAt >= 0 }

// Walker goes through the payloads of one packet. It belongs to one goroutine
// and needs no allocation:
//
//	w := asf.Payloads(p, size)
//	for w.Next() {
//		use(w.Payload)
//	}
//	if err := w.Err(); err != nil { … }
type Walker struct {
	Payload Payload // valid after Next returned true

	p     []byte
	head  prologue
	at    int // next payload
	left  int // payloads to come
	fault fault
}

// Payloads begins a walk over p; see [ParsePacket] for nominal.
func Payloads(p []byte, nominal int) Walker {
	w := Walker{p: p}
	if w.head.read(p, nominal, &w.fault) {
		w.at, w.left = w.head.payloadsAt, w.head.count
	}
	return w
}

// Err returns the fault that ended the walk, nil when it came to its end.
func (w *Walker) Err() error { return w.fault.error() }

// Next reads the next payload. It returns false at the end and at a fault.
func (w *Walker) Next() bool {
	if w.left == 0 {
		return false
	}
	w.left--
	if !w.payloadHead() || !w.replicatedData() || !w.data() {
		w.left = 0
		return false
	}
	return true
}

// payloadHead reads stream, object number, offset and the length of the
// replicated data, which is left in Payload.Replicated.
func (w *Walker) payloadHead() bool {
	property := w.head.property
	object := w.at + 1
	offset := object + int(widths[property>>4&3])
	length := offset + int(widths[property>>2&3])
	end := length + int(widths[property&3])
	if end > w.head.contentEnd {
		return w.fault.set("payload", "bytes needed", w.at, uint64(end), w.head.contentEnd)
	}
	stream := w.p[w.at]
	if stream&0x7F == 0 {
		return w.fault.set("payload", "stream number", w.at, 0, 1)
	}
	replicated := readWidth(w.p, length, property)
	if uint64(replicated) > uint64(w.head.contentEnd-end) {
		return w.fault.set("payload", "replicated data length", length, uint64(replicated), w.head.contentEnd-end)
	}
	w.Payload = Payload{
		Stream: stream & 0x7F, Key: stream&0x80 != 0,
		Object: readWidth(w.p, object, property>>4), Offset: readWidth(w.p, offset, property>>2),
		Replicated: int(replicated), Head: w.at, timeAt: -1,
	}
	if replicated == 1 {
		w.Payload.Compressed = true
		w.Payload.timeAt, w.Payload.timeWidth = offset, property>>2&3
	}
	w.at = end
	return true
}

// replicatedData reads size and time of the object.
func (w *Walker) replicatedData() bool {
	pl, at := &w.Payload, w.at
	switch r := pl.Replicated; {
	case r == 0:
	case r == 1:
		pl.PresTime, pl.Offset, pl.TimeDelta = pl.Offset, 0, w.p[at]
	case r < 8:
		return w.fault.set("payload", "replicated data length", at, uint64(r), 8)
	default:
		pl.ObjectSize = binary.LittleEndian.Uint32(w.p[at:])
		pl.PresTime = binary.LittleEndian.Uint32(w.p[at+4:])
		pl.timeAt, pl.timeWidth = at+4, 3
		if pl.ObjectSize != 0 && pl.Offset >= pl.ObjectSize {
			return w.fault.set("payload", "offset into media object", pl.Head, uint64(pl.Offset), int(pl.ObjectSize))
		}
	}
	w.at += pl.Replicated
	return true
}

// data finds the end of the payload's data.
func (w *Walker) data() bool {
	end := w.head.contentEnd
	if w.head.ltf&1 != 0 {
		if end-w.at < 2 {
			return w.fault.set("payload", "bytes needed", w.at, uint64(w.at+2), end)
		}
		length := int(binary.LittleEndian.Uint16(w.p[w.at:]))
		if length > end-w.at-2 {
			return w.fault.set("payload", "payload length", w.at, uint64(length), end-w.at-2)
		}
		w.at += 2
		end = w.at + length
	}
	w.Payload.Start, w.Payload.End = w.at, end
	w.at = end
	return !w.Payload.Compressed || w.subPayloads()
}

// subPayloads checks that the length bytes of a compressed payload add up.
func (w *Walker) subPayloads() bool {
	for at := w.Payload.Start; at < w.Payload.End; {
		rest := w.Payload.End - at - 1
		if n := int(w.p[at]); n > rest {
			return w.fault.set("compressed payload", "sub-payload length", at, uint64(n), rest)
		}
		at += 1 + int(w.p[at])
	}
	return true
}
