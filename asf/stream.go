package asf

import "fmt"

// StreamKind says what a stream carries.
type StreamKind uint8

// The kinds a reflector tells apart.
const (
	Other StreamKind = iota
	Audio
	Video
	Command
)

// String returns the kind in lower case.
func (k StreamKind) String() string {
	switch k {
	case Audio:
		return "audio"
	case Video:
		return "video"
	case Command:
		return "command"
	}
	return "other"
}

// Stream is one declared stream: its Stream Properties [ASF 3.3] joined with
// its bitrate [ASF 3.12], its codec entry [ASF 3.5] and its Extended Stream
// Properties [ASF 4.1].
type Stream struct {
	Number uint8 // 1-127
	Kind   StreamKind
	Type   GUID // stream type as declared

	FourCC    string // video: codec code, printable
	FormatTag uint16 // audio: wave format tag
	CodecName string // from the codec list, "" when not listed
	CodecInfo string // description from the codec list
	Name      string // first stream name, "" when none

	Width, Height uint32 // video: pixels
	Channels      uint16 // audio
	BitsPerSample uint16 // audio
	SampleRate    uint32 // audio: Hz
	ByteRate      uint32 // audio: bytes/s
	BlockAlign    uint16 // audio: bytes

	BitrateBPS    uint32 // bit/s with packet overhead; 0 unknown
	BufferMS      uint32 // ms the encoder assumed; 0 unknown
	MaxObjectSize uint32 // bytes; 0 unknown, never to be allocated by
	FrameTime     uint64 // average time per frame, 100 ns; 0 unknown

	Encrypted         bool
	NoCleanPoints     bool // no key frames to wait for
	ResendCleanPoints bool // repeat the newest key object to joiners
	Embedded          bool // declared only inside Extended Stream Properties

	// Replicated is the replicated-data length that payloads of the stream
	// carry: 8 plus the payload extension systems, or -1 when one of them is
	// of variable size. 0 when the header does not say.
	Replicated int
}

// String describes the stream in a few words for logs and pages.
func (s Stream) String() string {
	switch s.Kind {
	case Video:
		return fmt.Sprintf("stream %d video %s %dx%d", s.Number, s.FourCC, s.Width, s.Height)
	case Audio:
		return fmt.Sprintf("stream %d audio 0x%04X %d ch %d Hz", s.Number, s.FormatTag, s.Channels, s.SampleRate)
	}
	return fmt.Sprintf("stream %d %s", s.Number, s.Kind)
}

// StreamSet is a set of stream numbers 0-127. The zero value is empty.
type StreamSet [2]uint64

// Has says whether stream n is in the set; false for n > 127.
func (s StreamSet) Has(n uint8) bool { return n < 128 && s[n>>6]>>(n&63)&1 != 0 }

// Add puts stream n into the set; n > 127 is ignored.
func (s *StreamSet) Add(n uint8) {
	if n < 128 {
		s[n>>6] |= 1 << (n & 63)
	}
}

// Empty says whether no stream is in the set.
func (s StreamSet) Empty() bool { return s[0]|s[1] == 0 }
