package asf

import "encoding/binary"

// HeaderSpec describes a live header to be built. The zero value of a field
// leaves the matching object or text out, unless said otherwise.
type HeaderSpec struct {
	FileID  GUID
	Flags   uint32 // FlagBroadcast and others, written as they are
	Created uint64 // 100 ns since 1601

	FileSize, Packets          uint64
	PlayDuration, SendDuration uint64 // 100 ns
	Preroll                    uint64 // ms

	PacketSize    int    // bytes, minimum and maximum; 0 means 4096
	MinPacketSize int    // bytes, when it is to differ from PacketSize
	MaxBitrate    uint32 // bit/s

	Streams []StreamSpec

	Title, Author, Copyright, Description, Rating string

	Attributes []Attribute // extended content description, as strings
	Scripts    []Script    // script command object

	// FilePropertiesLate puts Codec List and Stream Bitrate Properties in front
	// of File Properties and the stream declarations behind the Header
	// Extension, the order of the Windows encoders.
	FilePropertiesLate bool
	// Extended writes Extended Stream Properties for every stream.
	Extended bool

	Padding          int // bytes of a top-level Padding Object, 24 or more
	ExtensionPadding int // bytes of a Padding Object in the extension, 24 or more

	Exclusive []uint8 // bitrate mutual exclusion of these streams

	DataSize    uint64 // size field of the Data Object; 0 as it is, live often 50
	DataPackets uint64 // packet count of the Data Object
}

// StreamSpec describes one stream of a HeaderSpec.
type StreamSpec struct {
	Number   uint8 // 1-127
	Kind     StreamKind
	Reserved uint32 // Stream Properties' reserved field

	FormatTag     uint16 // audio
	Channels      uint16 // audio
	SampleRate    uint32 // audio: Hz
	ByteRate      uint32 // audio: bytes/s
	BlockAlign    uint16 // audio: bytes
	BitsPerSample uint16 // audio

	FourCC        string // video: 4 characters
	Width, Height uint32 // video: pixels

	CodecData []byte // behind the fixed format of audio or video

	BitrateBPS uint32 // stream bitrate record; 0 writes none
	CodecName  string // codec list entry; "" writes none
	CodecInfo  string

	Encrypted     bool
	NoCleanPoints bool // makes the stream extended
	Embedded      bool // declared inside Extended Stream Properties only

	Name       string // stream name; makes the stream extended
	BufferMS   uint32
	MaxObject  uint32 // bytes
	FrameTime  uint64 // 100 ns
	Extensions []ExtensionSystem
}

// ExtensionSystem declares a payload extension system [ASF 4.1].
type ExtensionSystem struct {
	ID   GUID
	Size uint16 // bytes in every payload; 0xFFFF variable
}

// BuildHeader makes a live header: Header Object and the first 50 bytes of the
// Data Object. Nothing is checked: tests build wrong headers with it, too.
func BuildHeader(spec HeaderSpec) []byte {
	b := headerBuilder{spec: &spec}
	b.out = append(b.out, GUIDHeader[:]...)
	b.out = append(b.out, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2)
	if spec.FilePropertiesLate {
		b.codecList()
		b.bitrates()
		b.fileProperties()
		b.extension()
		b.streams()
	} else {
		b.fileProperties()
		b.extension()
		b.content()
		b.streams()
		b.codecList()
		b.bitrates()
	}
	if spec.FilePropertiesLate {
		b.content()
	}
	b.attributes()
	b.exclusion()
	b.scripts()
	b.padding(spec.Padding)
	binary.LittleEndian.PutUint64(b.out[16:], uint64(len(b.out)))
	binary.LittleEndian.PutUint32(b.out[24:], b.objects)
	return b.dataHead()
}

// headerBuilder appends object after object.
type headerBuilder struct {
	spec    *HeaderSpec
	out     []byte
	objects uint32 // finished at the current level
}

// begin starts an object and returns where.
func (b *headerBuilder) begin(id GUID) int {
	at := len(b.out)
	b.out = append(append(b.out, id[:]...), 0, 0, 0, 0, 0, 0, 0, 0)
	return at
}

// end writes the size of the object begun at that place.
func (b *headerBuilder) end(at int) {
	binary.LittleEndian.PutUint64(b.out[at+16:], uint64(len(b.out)-at))
	b.objects++
}

func (b *headerBuilder) u16(v ...uint16) {
	for _, x := range v {
		b.out = binary.LittleEndian.AppendUint16(b.out, x)
	}
}

func (b *headerBuilder) u32(v ...uint32) {
	for _, x := range v {
		b.out = binary.LittleEndian.AppendUint32(b.out, x)
	}
}

func (b *headerBuilder) u64(v ...uint64) {
	for _, x := range v {
		b.out = binary.LittleEndian.AppendUint64(b.out, x)
	}
}

func (b *headerBuilder) raw(p []byte) { b.out = append(b.out, p...) }

// counted writes a text behind its 16-bit length in units of that many bytes.
func (b *headerBuilder) counted(s string, unit int) {
	text := appendText(nil, s)
	b.u16(uint16(len(text) / unit))
	b.raw(text)
}

func (b *headerBuilder) fileProperties() {
	s, at := b.spec, b.begin(GUIDFileProperties)
	size := s.packetSize()
	minimum := s.MinPacketSize
	if minimum == 0 {
		minimum = size
	}
	b.raw(s.FileID[:])
	b.u64(s.FileSize, s.Created, s.Packets, s.PlayDuration, s.SendDuration, s.Preroll)
	b.u32(s.Flags, uint32(minimum), uint32(size), s.MaxBitrate)
	b.end(at)
}

func (s *HeaderSpec) packetSize() int {
	if s.PacketSize == 0 {
		return 4096
	}
	return s.PacketSize
}

// extension writes the Header Extension, whose objects are not counted in the
// Header Object.
func (b *headerBuilder) extension() {
	at, before := b.begin(GUIDHeaderExtension), b.objects
	b.raw(guidHeaderExtensionReserve[:])
	b.u16(6)
	sizeAt := len(b.out)
	b.u32(0)
	for i := range b.spec.Streams {
		if s := &b.spec.Streams[i]; b.spec.Extended || s.extended() {
			b.extendedStream(s)
		}
	}
	b.padding(b.spec.ExtensionPadding)
	binary.LittleEndian.PutUint32(b.out[sizeAt:], uint32(len(b.out)-sizeAt-4))
	b.objects = before
	b.end(at)
}

func (s *StreamSpec) extended() bool {
	return s.NoCleanPoints || s.Embedded || s.Name != "" || len(s.Extensions) > 0
}

func (b *headerBuilder) extendedStream(s *StreamSpec) {
	at := b.begin(GUIDExtStreamProperties)
	b.u64(0, 0)
	b.u32(s.BitrateBPS, s.BufferMS, 0, s.BitrateBPS, s.BufferMS, 0, s.MaxObject)
	flags, names := uint32(2), uint16(0)
	if s.NoCleanPoints {
		flags |= 4
	}
	if s.Name != "" {
		names = 1
	}
	b.u32(flags)
	b.u16(uint16(s.Number), 0)
	b.u64(s.FrameTime)
	b.u16(names, uint16(len(s.Extensions)))
	if names > 0 {
		b.u16(0)
		b.counted(s.Name, 1)
	}
	for _, x := range s.Extensions {
		b.raw(x.ID[:])
		b.u16(x.Size)
		b.u32(0)
	}
	if s.Embedded {
		b.stream(s)
	}
	b.end(at)
}

func (b *headerBuilder) padding(size int) {
	if size < objectHead {
		return
	}
	at := b.begin(GUIDPadding)
	b.out = appendZeros(b.out, size-objectHead)
	b.end(at)
}

// dataHead appends the first 50 bytes of the Data Object.
func (b *headerBuilder) dataHead() []byte {
	b.raw(GUIDData[:])
	b.u64(b.spec.DataSize)
	b.raw(b.spec.FileID[:])
	b.u64(b.spec.DataPackets)
	return append(b.out, 1, 1)
}
