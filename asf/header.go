package asf

import (
	"encoding/binary"
	"time"
)

const (
	// DataHeadSize is the fixed part of the Data Object, which follows the
	// Header Object in every live header, in bytes [ASF 5.1].
	DataHeadSize = 50
	// MaxHeaderSize bounds Header Object plus data head, in bytes: what one
	// stream-change packet of a push can carry [MS-WMHTTP] 2.2.3.2.
	MaxHeaderSize = 65527
	// PlayerHeaderSize is what the strictest common players read, in bytes.
	// Bigger headers are legal and worth a warning.
	PlayerHeaderSize = 16384
	// MinPacketSize and MaxPacketSize bound the packet size a header may
	// announce, in bytes.
	MinPacketSize = 64
	MaxPacketSize = 65527
	// MaxPreroll bounds the preroll used for own decisions.
	MaxPreroll = 60 * time.Second

	headerFixed    = 30 // Header Object without its objects
	fileProperties = 104
)

// Flags of the File Properties Object [ASF 3.2].
const (
	FlagBroadcast uint32 = 1 << 0
	FlagSeekable  uint32 = 1 << 1
)

// Header is a parsed live header. Its fields are copies; only Raw refers to
// the bytes it was parsed from.
type Header struct {
	// Raw is the input of ParseHeader, not copied: whoever keeps the Header
	// leaves these bytes unchanged.
	Raw []byte

	FileID       GUID
	Flags        uint32
	FileSize     uint64    // bytes; meaningless when broadcast
	Packets      uint64    // meaningless when broadcast
	PlayDuration uint64    // 100 ns, preroll included; meaningless when broadcast
	SendDuration uint64    // 100 ns; meaningless when broadcast
	Created      time.Time // zero when the header holds 0

	PacketSize    int    // bytes, = MaxPacketSize
	MinPacketSize uint32 // bytes
	MaxPacketSize uint32 // bytes
	Preroll       uint64 // ms as announced; see PrerollDuration
	MaxBitrate    uint32 // bit/s; sum of the streams' when the header holds 0

	Streams   []Stream    // by number, ascending
	Exclusive []StreamSet // sets of which a client takes one stream
	Encrypted bool        // protected content: reflect untouched

	Title, Author, Copyright, Description, Rating string

	Attributes []Attribute // extended content description, the first of many
	Scripts    []Script    // script command object, the first of many

	announcedBitrate uint32
}

// Attribute is one entry of the Extended Content Description [ASF 3.11].
type Attribute struct{ Name, Value string }

// Script is one entry of the Script Command Object [ASF 3.6]. Its text comes
// from the source and is not to be trusted.
type Script struct {
	Time          uint32 // ms
	Type, Command string
}

// IsHeader says whether b (16 bytes or more) starts with the Header Object.
func IsHeader(b []byte) bool { return len(b) >= 16 && guidAt(b, 0) == GUIDHeader }

// HeaderSize returns, from the first 24 bytes of a Header Object, how many
// bytes the live header has: the object and DataHeadSize. It refuses what is
// no header (ErrNotASF), fewer than 24 bytes (ErrShort) and sizes below 30 or
// beyond MaxHeaderSize (ErrHeaderSize).
func HeaderSize(b []byte) (int, error) {
	if len(b) < objectHead {
		return 0, &Error{Object: "header object", Bound: objectHead, Value: uint64(len(b)),
			Reason: "bytes at hand", Kind: ErrShort}
	}
	if !IsHeader(b) {
		return 0, &Error{Object: "header object", Bound: 16, Value: uint64(b[0]),
			Reason: "first bytes are not its guid", Kind: ErrNotASF}
	}
	size := binary.LittleEndian.Uint64(b[16:])
	if size < headerFixed {
		return 0, &Error{Object: "header object", Offset: 16, Bound: headerFixed, Value: size,
			Reason: "size below fixed part", Kind: ErrHeaderSize}
	}
	if size > MaxHeaderSize-DataHeadSize {
		return 0, &Error{Object: "header object", Offset: 16, Bound: MaxHeaderSize - DataHeadSize, Value: size,
			Reason: "size", Kind: ErrHeaderSize}
	}
	return int(size) + DataHeadSize, nil
}

// ParseHeader reads a live header: b is the Header Object and the first 50
// bytes of the Data Object, nothing more and nothing less. It refuses every
// size, count or length that does not fit, packet sizes outside
// MinPacketSize-MaxPacketSize, stream number 0, and headers without File
// Properties. What is legal but unusable for a live stream is left to
// [Header.Validate].
func ParseHeader(b []byte) (*Header, error) {
	size, err := HeaderSize(b)
	if err != nil {
		return nil, err
	}
	end := size - DataHeadSize
	if size != len(b) {
		return nil, &Error{Object: "header object", Offset: 16, Bound: len(b) - DataHeadSize, Value: uint64(end),
			Reason: "size is not what was received", Kind: ErrHeaderSize}
	}
	if guidAt(b, end) != GUIDData {
		return nil, &Error{Object: "data object", Offset: end, Bound: 16, Value: uint64(b[end]),
			Reason: "bytes after the header are not its guid", Kind: ErrNotASF}
	}
	p := headerParser{b: b, h: &Header{Raw: b}, budget: maxObjects}
	if err := walkObjects(b, headerFixed, end, &p.budget, p.topLevel); err != nil {
		return nil, err
	}
	if !p.seenFile {
		return nil, &Error{Object: "file properties", Offset: end, Bound: 1, Reason: "number of objects", Kind: ErrMissing}
	}
	p.finish()
	return p.h, nil
}

// Broadcast says whether the header calls itself live.
func (h *Header) Broadcast() bool { return h.Flags&FlagBroadcast != 0 }

// Stream returns the stream of that number, nil when it is not declared.
func (h *Header) Stream(n uint8) *Stream {
	for i := range h.Streams {
		if h.Streams[i].Number == n {
			return &h.Streams[i]
		}
	}
	return nil
}

// StreamSet returns all declared streams.
func (h *Header) StreamSet() StreamSet {
	var set StreamSet
	for _, s := range h.Streams {
		set.Add(s.Number)
	}
	return set
}

// KeyStreams returns the video streams that have clean points: a viewer should
// start where a key frame of one of them starts. When it is empty, any packet
// may start a viewer.
func (h *Header) KeyStreams() StreamSet {
	var set StreamSet
	for _, s := range h.Streams {
		if s.Kind == Video && !s.NoCleanPoints {
			set.Add(s.Number)
		}
	}
	return set
}

// StreamsBitrate is the sum of the streams' announced rates in bit/s. Some
// encoders announce a maximum that has nothing to do with it: VLC says 1.
func (h *Header) StreamsBitrate() uint32 {
	var sum uint64
	for _, s := range h.Streams {
		sum += uint64(s.BitrateBPS)
	}
	return uint32(min(sum, 1<<32-1))
}

// PrerollDuration is the announced preroll, at most MaxPreroll.
func (h *Header) PrerollDuration() time.Duration {
	if h.Preroll >= uint64(MaxPreroll/time.Millisecond) {
		return MaxPreroll
	}
	return time.Duration(h.Preroll) * time.Millisecond
}

// Validate says whether players agree on how to read the stream: it refuses
// packet sizes that differ (ErrPacketSize; [SetLive] repairs them when packets
// are delivered padded) and headers that declare no stream (ErrMissing).
func (h *Header) Validate() error {
	if h.MinPacketSize != h.MaxPacketSize {
		return &Error{Object: "file properties", Offset: h.fileAt() + 92, Bound: int(h.MaxPacketSize),
			Value: uint64(h.MinPacketSize), Reason: "minimum packet size is not the maximum", Kind: ErrPacketSize}
	}
	if len(h.Streams) == 0 {
		return &Error{Object: "stream properties", Offset: len(h.Raw) - DataHeadSize, Bound: 1,
			Reason: "number of objects", Kind: ErrMissing}
	}
	return nil
}

// fileAt returns where File Properties begins in Raw.
func (h *Header) fileAt() int {
	at, _ := findFileProperties(h.Raw)
	return at
}

// Warnings lists, for the operator, what some players will not like about the
// header although it is legal.
func (h *Header) Warnings() []string {
	var w []string
	if len(h.Raw) > PlayerHeaderSize {
		w = append(w, "header is larger than 16384 bytes: libmms and xine refuse it")
	}
	if !h.Broadcast() {
		w = append(w, "broadcast flag is not set: players may try to seek or show a length")
	}
	if h.announcedBitrate == 0 {
		w = append(w, "maximum bit rate is 0: some players refuse to play")
	}
	if h.MinPacketSize != h.MaxPacketSize {
		w = append(w, "minimum and maximum packet size differ: players disagree which one counts")
	}
	if h.Preroll > uint64(MaxPreroll/time.Millisecond) {
		w = append(w, "preroll is longer than a minute: players will seem frozen")
	}
	return w
}
