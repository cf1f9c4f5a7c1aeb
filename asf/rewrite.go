package asf

import (
	"bytes"
	"encoding/binary"
)

// span is a byte range of a header.
type span struct{ from, to int }

// checkFrame returns where the Data Object begins in a whole live header.
func checkFrame(b []byte) (int, bool) {
	size, err := HeaderSize(b)
	if err != nil || size != len(b) || guidAt(b, size-DataHeadSize) != GUIDData {
		return 0, false
	}
	return size - DataHeadSize, true
}

// findTop returns the first top-level object of that kind.
func findTop(b []byte, id GUID) (object, bool) {
	end, ok := checkFrame(b)
	if !ok {
		return object{}, false
	}
	for at := headerFixed; at < end; {
		o, err := objectAt(b, at, end)
		if err != nil {
			return object{}, false
		}
		if o.id == id {
			return o, true
		}
		at += o.size
	}
	return object{}, false
}

// findFileProperties returns where a whole File Properties Object begins.
func findFileProperties(b []byte) (int, bool) {
	o, ok := findTop(b, GUIDFileProperties)
	return o.at, ok && o.size >= fileProperties
}

// Equivalent says whether b describes the same streams as a: both are whole
// live headers that differ at most in File ID, file size, creation date,
// packet counts and durations, and in the Data Object's File ID, size and
// packet count. A source that comes back with an equivalent header may go on
// without a stream change.
func Equivalent(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	at, ok := findFileProperties(a)
	if !ok {
		return bytes.Equal(a, b)
	}
	data := len(a) - DataHeadSize
	from := 0
	for _, s := range [...]span{{at + 24, at + 80}, {data + 16, data + 48}} {
		if !bytes.Equal(a[from:s.from], b[from:s.from]) {
			return false
		}
		from = s.to
	}
	return bytes.Equal(a[from:], b[from:])
}

// SetFileID returns a copy of the header with id as File ID, in File
// Properties and in the Data Object; b itself when it has that id already or
// is no whole live header.
func SetFileID(b []byte, id GUID) []byte {
	at, ok := findFileProperties(b)
	data := len(b) - DataHeadSize
	if !ok || guidAt(b, at+24) == id && guidAt(b, data+24) == id {
		return b
	}
	out := bytes.Clone(b)
	copy(out[at+24:], id[:])
	copy(out[data+24:], id[:])
	return out
}

// SetLive returns a copy of the header as a live encoder would send it:
// broadcast set and seekable cleared, minimum packet size raised to the
// maximum (packets must then be delivered with their padding), sizes, counts
// and durations that no live source knows made invalid, the Data Object open,
// and a maximum bit rate of 0 replaced by the sum of the streams' rates. It
// returns b itself when nothing is to be changed or b does not parse.
func SetLive(b []byte) []byte {
	h, err := ParseHeader(b)
	if err != nil {
		return b
	}
	out := bytes.Clone(b)
	le, at, data := binary.LittleEndian, h.fileAt(), len(b)-DataHeadSize
	live := h.Broadcast()
	if !live || h.FileSize > uint64(len(b)) {
		le.PutUint64(out[at+40:], uint64(len(b)))
	}
	if !openCount(h.Packets) {
		le.PutUint64(out[at+56:], 0xFFFFFFFF)
	}
	if !live || h.PlayDuration/10_000 > h.Preroll {
		le.PutUint64(out[at+64:], 0)
	}
	le.PutUint64(out[at+72:], 0)
	le.PutUint32(out[at+88:], h.Flags&^FlagSeekable|FlagBroadcast)
	le.PutUint32(out[at+92:], h.MaxPacketSize)
	le.PutUint32(out[at+100:], h.MaxBitrate)
	if le.Uint64(out[data+16:]) > DataHeadSize {
		le.PutUint64(out[data+16:], DataHeadSize)
	}
	if !openCount(le.Uint64(out[data+40:])) {
		le.PutUint64(out[data+40:], 0)
	}
	if bytes.Equal(out, b) {
		return b
	}
	return out
}

// openCount says whether a packet count is one that live encoders send.
func openCount(n uint64) bool { return n == 0 || n == 0xFFFFFFFF || n == 1<<64-1 }

// StripHeaderPadding returns a copy of the header without its Padding Objects,
// at top level and inside the Header Extension, with the sizes and the object
// count corrected [ASF 3.17]. It returns b itself when there is none or b does
// not parse.
func StripHeaderPadding(b []byte) []byte {
	if _, err := ParseHeader(b); err != nil {
		return b
	}
	end := len(b) - DataHeadSize
	le := binary.LittleEndian
	out := append(make([]byte, 0, len(b)), b[:headerFixed]...)
	removed := uint32(0)
	budget := maxObjects
	err := walkObjects(b, headerFixed, end, &budget, func(o object) error {
		switch o.id {
		case GUIDPadding:
			removed++
		case GUIDHeaderExtension:
			out = appendExtension(out, b, o)
		default:
			out = append(out, b[o.at:o.at+o.size]...)
		}
		return nil
	})
	if err != nil || len(out) == end {
		return b
	}
	le.PutUint64(out[16:], uint64(len(out)))
	if count := le.Uint32(out[24:]); count >= removed {
		le.PutUint32(out[24:], count-removed)
	}
	return append(out, b[end:]...)
}

// appendExtension appends the Header Extension o of b without padding. The
// caller has parsed b, so that every size inside is known to fit.
func appendExtension(out, b []byte, o object) []byte {
	const fixed = 46
	le, start := binary.LittleEndian, len(out)
	dataEnd := o.at + fixed + int(le.Uint32(b[o.at+42:]))
	out = append(out, b[o.at:o.at+fixed]...)
	for at := o.at + fixed; at < dataEnd; {
		inner, err := objectAt(b, at, dataEnd)
		if err != nil {
			return append(out[:start], b[o.at:o.at+o.size]...)
		}
		if inner.id != GUIDPadding {
			out = append(out, b[at:at+inner.size]...)
		}
		at += inner.size
	}
	le.PutUint32(out[start+42:], uint32(len(out)-start-fixed))
	out = append(out, b[dataEnd:o.at+o.size]...)
	le.PutUint64(out[start+16:], uint64(len(out)-start))
	return out
}
