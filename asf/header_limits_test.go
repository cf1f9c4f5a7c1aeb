package asf

import (
	"bytes"
	"errors"
	"testing"
)

// A lie is one field of a header that does not fit what is there.
type lie struct {
	name   string
	change func(t *testing.T, b []byte) []byte
	kind   error
	object string
	offset func(t *testing.T, b []byte) int
	bound  func(b []byte) int
}

func fixed(n int) func([]byte) int { return func([]byte) int { return n } }

// in is the place rel bytes into the n-th object of that kind.
func in(id GUID, n, rel int) func(*testing.T, []byte) int {
	return func(t *testing.T, b []byte) int { t.Helper(); return at(t, b, id, n) + rel }
}

func put16(id GUID, n, rel int, v uint16) func(*testing.T, []byte) []byte {
	return func(t *testing.T, b []byte) []byte { t.Helper(); le.PutUint16(b[at(t, b, id, n)+rel:], v); return b }
}

func put32(id GUID, n, rel int, v uint32) func(*testing.T, []byte) []byte {
	return func(t *testing.T, b []byte) []byte { t.Helper(); le.PutUint32(b[at(t, b, id, n)+rel:], v); return b }
}

func put64(id GUID, n, rel int, v uint64) func(*testing.T, []byte) []byte {
	return func(t *testing.T, b []byte) []byte { t.Helper(); le.PutUint64(b[at(t, b, id, n)+rel:], v); return b }
}

// MUST-R4, MUST-S6: every length, count and number of a header that lies is
// refused by name, offset and bound.
func TestHeaderRefusesLies(t *testing.T) {
	for _, c := range append(headerLies(), objectLies()...) {
		t.Run(c.name, func(t *testing.T) {
			b := BuildHeader(lyingSpec())
			parse(t, b)
			offset, bound := c.offset(t, b), 0
			b = c.change(t, b)
			bound = c.bound(b)
			h, err := ParseHeader(b)
			if h != nil {
				t.Error("a header came with the error")
			}
			wantError(t, err, c.kind, c.object, offset, bound)
		})
	}
}

// lyingSpec has every object that the parser reads.
func lyingSpec() HeaderSpec {
	spec := encoderSpec()
	spec.Title = "t"
	spec.Padding = 24
	spec.Exclusive = []uint8{1, 2}
	spec.Scripts = []Script{{0, "URL", "u"}}
	spec.Streams[1].Name = "v"
	return spec
}

func headerLies() []lie {
	rest := func(id GUID) func([]byte) int {
		return func(b []byte) int { return len(b) - DataHeadSize - bytes.Index(b, id[:]) }
	}
	start := in(GUIDHeader, 0, 16)
	return []lie{
		{"header size below 30", put64(GUIDHeader, 0, 16, 29), ErrHeaderSize, "header object", start, fixed(30)},
		{"header size beyond one push packet", put64(GUIDHeader, 0, 16, 65478), ErrHeaderSize, "header object", start, fixed(65477)},
		{"header size 2^64-1", put64(GUIDHeader, 0, 16, 1<<64-1), ErrHeaderSize, "header object", start, fixed(65477)},
		{"fewer bytes than announced", func(_ *testing.T, b []byte) []byte { return b[:len(b)-1] }, ErrHeaderSize, "header object",
			start, func(b []byte) int { return len(b) - 50 }},
		{"more bytes than announced", func(_ *testing.T, b []byte) []byte { return append(b, 0) }, ErrHeaderSize, "header object",
			start, func(b []byte) int { return len(b) - 50 }},
		{"no data object", put16(GUIDData, 0, 0, 0), ErrNotASF, "data object", in(GUIDData, 0, 0), fixed(16)},
		{"object size 0", put64(GUIDCodecList, 0, 16, 0), ErrObjectSize, "codec list", in(GUIDCodecList, 0, 16), fixed(24)},
		{"object size 23", put64(GUIDCodecList, 0, 16, 23), ErrObjectSize, "codec list", in(GUIDCodecList, 0, 16), fixed(24)},
		{"object size 2^64-1", put64(GUIDCodecList, 0, 16, 1<<64-1), ErrObjectSize, "codec list", in(GUIDCodecList, 0, 16), rest(GUIDCodecList)},
		{"object size beyond the header", put64(GUIDScriptCommand, 0, 16, 5000), ErrObjectSize, "script command",
			in(GUIDScriptCommand, 0, 16), rest(GUIDScriptCommand)},
		{"tail too short for an object", put64(GUIDScriptCommand, 0, 16, 80), ErrObjectSize, "object head",
			in(GUIDPadding, 1, 18), fixed(24)},
		{"extension object beyond its parent", put64(GUIDExtStreamProperties, 0, 16, 1<<40), ErrObjectSize, "extended stream properties",
			in(GUIDExtStreamProperties, 0, 16), func(b []byte) int { return int(le.Uint32(b[bytes.Index(b, GUIDHeaderExtension[:])+42:])) }},
		{"file properties cut short", put64(GUIDFileProperties, 0, 16, 80), ErrObjectSize, "file properties",
			in(GUIDFileProperties, 0, 16), fixed(104)},
		{"no file properties", put16(GUIDFileProperties, 0, 0, 0), ErrMissing, "file properties", in(GUIDData, 0, 0), fixed(1)},
		{"second file properties", func(t *testing.T, b []byte) []byte {
			copy(b[at(t, b, GUIDScriptCommand, 0):], GUIDFileProperties[:])
			return b
		}, ErrDuplicate, "file properties", in(GUIDScriptCommand, 0, 0), fixed(1)},
		{"second header extension", func(t *testing.T, b []byte) []byte {
			copy(b[at(t, b, GUIDPadding, 1):], GUIDHeaderExtension[:])
			return b
		}, ErrDuplicate, "header extension", in(GUIDPadding, 1, 0), fixed(1)},
		{"minimum packet size 0", put32(GUIDFileProperties, 0, 92, 0), ErrPacketSize, "file properties", in(GUIDFileProperties, 0, 92), fixed(64)},
		{"maximum packet size 0", put32(GUIDFileProperties, 0, 96, 0), ErrPacketSize, "file properties", in(GUIDFileProperties, 0, 96), fixed(64)},
		{"packet size 63", put32(GUIDFileProperties, 0, 92, 63), ErrPacketSize, "file properties", in(GUIDFileProperties, 0, 92), fixed(64)},
		{"packet size 65528", put32(GUIDFileProperties, 0, 96, 65528), ErrPacketSize, "file properties", in(GUIDFileProperties, 0, 96), fixed(65527)},
		{"packet size 2^32-1", put32(GUIDFileProperties, 0, 92, 1<<32-1), ErrPacketSize, "file properties", in(GUIDFileProperties, 0, 92), fixed(65527)},
	}
}

func objectLies() []lie {
	const esp = "extended stream properties"
	return []lie{
		{"stream number 0", put16(GUIDStreamProperties, 0, 72, 0), ErrField, "stream properties", in(GUIDStreamProperties, 0, 72), fixed(1)},
		{"stream declared twice", put16(GUIDStreamProperties, 1, 72, 1), ErrDuplicate, "stream properties", in(GUIDStreamProperties, 1, 72), fixed(1)},
		{"type-specific length T", put32(GUIDStreamProperties, 0, 64, 1<<32-1), ErrField, "stream properties", in(GUIDStreamProperties, 0, 78), fixed(36)},
		{"error correction length E", put32(GUIDStreamProperties, 0, 68, 9), ErrField, "stream properties", in(GUIDStreamProperties, 0, 106), fixed(8)},
		{"stream properties cut short", put64(GUIDStreamProperties, 2, 16, 70), ErrField, "stream properties", in(GUIDStreamProperties, 2, 68), fixed(2)},
		{"audio format cut short", put32(GUIDStreamProperties, 0, 64, 17), ErrField, "stream properties", in(GUIDStreamProperties, 0, 94), fixed(1)},
		{"audio extra beyond format", put16(GUIDStreamProperties, 0, 94, 11), ErrField, "stream properties", in(GUIDStreamProperties, 0, 96), fixed(10)},
		{"video format cut short", put32(GUIDStreamProperties, 1, 64, 10), ErrField, "stream properties", in(GUIDStreamProperties, 1, 87), fixed(1)},
		{"video format beyond T", put16(GUIDStreamProperties, 1, 87, 46), ErrField, "stream properties", in(GUIDStreamProperties, 1, 89), fixed(45)},
		{"video format below its head", put16(GUIDStreamProperties, 1, 87, 39), ErrField, "stream properties", in(GUIDStreamProperties, 1, 87), fixed(40)},
		{"extension data size", put32(GUIDHeaderExtension, 0, 42, 1<<31), ErrField, "header extension", in(GUIDHeaderExtension, 0, 46),
			func(b []byte) int { return int(le.Uint64(b[bytes.Index(b, GUIDHeaderExtension[:])+16:])) - 46 }},
		{"extended stream number 0", put16(GUIDExtStreamProperties, 0, 72, 0), ErrField, esp, in(GUIDExtStreamProperties, 0, 72), fixed(127)},
		{"extended stream number 128", put16(GUIDExtStreamProperties, 0, 72, 128), ErrField, esp, in(GUIDExtStreamProperties, 0, 72), fixed(127)},
		{"stream name count", put16(GUIDExtStreamProperties, 0, 84, 1), ErrField, esp, in(GUIDExtStreamProperties, 0, 88), fixed(0)},
		{"stream name length", put16(GUIDExtStreamProperties, 1, 90, 999), ErrField, esp, in(GUIDExtStreamProperties, 1, 92), fixed(48)},
		{"extension system count", put16(GUIDExtStreamProperties, 1, 86, 3), ErrField, esp, in(GUIDExtStreamProperties, 1, 140), fixed(0)},
		{"extension info length", put32(GUIDExtStreamProperties, 1, 136, 1), ErrField, esp, in(GUIDExtStreamProperties, 1, 140), fixed(0)},
		{"bitrate record count", put16(GUIDStreamBitrates, 0, 24, 4), ErrField, "stream bitrate properties", in(GUIDStreamBitrates, 0, 44), fixed(0)},
		{"codec count", put32(GUIDCodecList, 0, 40, 1<<32-1), ErrField, "codec list",
			func(t *testing.T, b []byte) int { o := at(t, b, GUIDCodecList, 0); return o + int(le.Uint64(b[o+16:])) }, fixed(0)},
		{"codec name counts characters", put16(GUIDCodecList, 0, 46, 60000), ErrField, "codec list", in(GUIDCodecList, 0, 48),
			func(b []byte) int { return int(le.Uint64(b[bytes.Index(b, GUIDCodecList[:])+16:])) - 48 }},
		{"title length", put16(GUIDContentDescription, 0, 24, 0xFFFF), ErrField, "content description", in(GUIDContentDescription, 0, 34), fixed(12)},
		{"attribute count", put16(GUIDExtContentDescription, 0, 24, 2), ErrField, "extended content description",
			func(t *testing.T, b []byte) int {
				o := at(t, b, GUIDExtContentDescription, 0)
				return o + int(le.Uint64(b[o+16:]))
			}, fixed(0)},
		{"attribute name length", put16(GUIDExtContentDescription, 0, 26, 0xFFFF), ErrField, "extended content description",
			in(GUIDExtContentDescription, 0, 28), func(b []byte) int { return int(le.Uint64(b[bytes.Index(b, GUIDExtContentDescription[:])+16:])) - 28 }},
		{"exclusion count", put16(GUIDBitrateExclusion, 0, 40, 3), ErrField, "bitrate mutual exclusion", in(GUIDBitrateExclusion, 0, 46), fixed(0)},
		{"script type count", put16(GUIDScriptCommand, 0, 42, 9999), ErrField, "script command", in(GUIDPadding, 1, 0), fixed(0)},
		{"script command length", put16(GUIDScriptCommand, 0, 58, 2), ErrField, "script command", in(GUIDScriptCommand, 0, 60), fixed(2)},
	}
}

func TestHeaderSizeRefuses(t *testing.T) {
	b := BuildHeader(smallSpec())
	_, err := HeaderSize(b[:23])
	wantError(t, err, ErrShort, "header object", 0, 24)
	_, err = HeaderSize(b[1:])
	wantError(t, err, ErrNotASF, "header object", 0, 16)
	if _, err = ParseHeader(nil); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
}

func TestHeaderSizeAtTheLimit(t *testing.T) {
	spec := smallSpec()
	spec.Padding = MaxHeaderSize - len(BuildHeader(spec))
	b := BuildHeader(spec)
	if h := parse(t, b); len(b) != MaxHeaderSize || len(h.Warnings()) != 1 {
		t.Errorf("%d bytes, warnings %q", len(b), h.Warnings())
	}
}

func TestHeaderObjectCount(t *testing.T) {
	many := func(objects int) []byte {
		spec := smallSpec()
		b := BuildHeader(spec)
		end := len(b) - DataHeadSize
		pad := append(append([]byte{}, GUIDPadding[:]...), 24, 0, 0, 0, 0, 0, 0, 0)
		out := append(bytes.Clone(b[:end]), bytes.Repeat(pad, objects)...)
		le.PutUint64(out[16:], uint64(len(out)))
		return append(out, b[end:]...)
	}
	const own = 5 // file properties, extension, two streams, bitrates
	parse(t, many(maxObjects-own))
	b := many(maxObjects - own + 1)
	_, err := ParseHeader(b)
	wantError(t, err, ErrObjectCount, "padding", len(b)-DataHeadSize-24, maxObjects)
}

func TestHeaderIgnoresAnnouncedObjectCount(t *testing.T) {
	for _, n := range []uint32{0, 1, 1<<32 - 1} {
		b := BuildHeader(smallSpec())
		le.PutUint32(b[24:], n)
		if h := parse(t, b); len(h.Streams) != 2 {
			t.Errorf("count %d: streams %v", n, h.Streams)
		}
	}
}

// What the Data Object and the informational numbers of File Properties say is
// not used, so any value passes.
func TestHeaderAcceptsWildNumbers(t *testing.T) {
	spec := smallSpec()
	spec.DataSize, spec.DataPackets, spec.FileSize = 1<<64-1, 1<<64-1, 1<<64-1
	spec.Created, spec.Packets, spec.PlayDuration, spec.SendDuration = 1<<64-1, 1<<64-1, 1<<64-1, 1<<64-1
	parse(t, BuildHeader(spec))
}
