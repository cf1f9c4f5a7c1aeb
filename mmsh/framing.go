package mmsh

import (
	"encoding/binary"
	"fmt"
)

// Sizes of the parts in front of a payload, in bytes.
const (
	FrameHeadSize = 4 // framing header: 0x24, type, u16 length
	PreHeaderSize = 8 // MMS pre-header: LocationId, Incarnation, AFFlags, PacketSize
	DataHeadSize  = FrameHeadSize + PreHeaderSize
	reasonSize    = 4 // Reason of $C, $E, $P
)

// Largest payloads that one packet holds, in bytes.
const (
	MaxFrameLength = 0xFFFF                         // what follows the framing header
	MaxPayload     = MaxFrameLength - PreHeaderSize // ASF bytes in a $H or $D with pre-header
	MaxPushPayload = MaxFrameLength - reasonSize    // ASF bytes in a push $H or $D, [MS-WMHTTP] 2.2.3.3, 2.2.3.6
	MaxPushChange  = MaxPushPayload - reasonSize    // ASF header in a push $C, [MS-WMHTTP] 2.2.3.2
	MaxFiller      = MaxPushPayload                 // bytes in a $F, [MS-WMHTTP] 2.2.3.5
)

// Packet types, the second byte of the framing header. [MS-WMSP] 2.2.3, [MS-WMHTTP] 2.2.3.
const (
	TypeHeader   byte = 'H' // ASF header, or a fragment of it
	TypeData     byte = 'D' // one ASF data packet
	TypeChange   byte = 'C' // a new header follows (pull) or is inside (push)
	TypeEnd      byte = 'E' // end of the stream or of the entry
	TypeMetadata byte = 'M' // description of the entry, only to clients of version 9 and above
	TypePair     byte = 'P' // bandwidth probe
	TypeTest     byte = 'T' // answer to the pipeline test
	TypeFiller   byte = 'F' // push only: bytes to ignore
)

// AFFlags of $H and $M: place of a fragment in the whole. A fragment in the middle has 0. [MS-WMSP] 2.2.3.1.2.
const (
	AFFirst uint8 = 0x04
	AFLast  uint8 = 0x08
	AFOnly  uint8 = AFFirst | AFLast
)

// Reasons of a $E packet. Any other value is an HRESULT. [MS-WMSP] 2.2.3.4.
const (
	ReasonEnd      uint32 = 0 // the stream is over
	ReasonEntryEnd uint32 = 1 // this entry is over, a $C follows
)

const (
	frameMark  byte = 0x24 // first byte of every packet
	frameMarkB byte = 0xA4 // the same with the B bit: the next packet follows without pacing
)

// FrameHead is the four-byte framing header. Length counts the bytes that follow it.
type FrameHead struct {
	B      bool
	Type   byte
	Length int
}

// ParseFrameHead reads the framing header at the start of b, which needs [FrameHeadSize] bytes. Both 0x24 and 0xA4 are
// accepted; a type this package does not know is no error, see [FrameHead.Known]. It errs with [ErrShort] or
// [ErrNotFramed].
func ParseFrameHead(b []byte) (FrameHead, error) {
	if len(b) < FrameHeadSize {
		return FrameHead{}, fmt.Errorf("framing header: %d of %d bytes: %w", len(b), FrameHeadSize, ErrShort)
	}
	if b[0] != frameMark && b[0] != frameMarkB {
		return FrameHead{}, fmt.Errorf("framing header: first byte 0x%02x, not 0x24 or 0xa4: %w", b[0], ErrNotFramed)
	}
	return FrameHead{
		B:      b[0] == frameMarkB,
		Type:   b[1],
		Length: int(binary.LittleEndian.Uint16(b[2:])),
	}, nil
}

// Known reports whether the type is one of the eight defined ones.
func (f FrameHead) Known() bool {
	switch f.Type {
	case TypeHeader, TypeData, TypeChange, TypeEnd, TypeMetadata, TypePair, TypeTest, TypeFiller:
		return true
	}
	return false
}

// HasPreHeader reports whether a packet of this type carries the MMS pre-header in the pull direction. In the push
// direction none does.
func (f FrameHead) HasPreHeader() bool {
	return f.Type == TypeHeader || f.Type == TypeData || f.Type == TypeMetadata
}

// PreHeader is the eight-byte MMS pre-header of the pull direction. PacketSize includes the eight bytes.
// [MS-WMSP] 2.2.3.1.2.
type PreHeader struct {
	LocationID  uint32
	Incarnation uint8
	AFFlags     uint8
	PacketSize  int
}

// ParsePreHeader reads the pre-header at the start of b. The frame's length must equal PacketSize and be at least 8,
// else it errs with [ErrSize]; with fewer than [PreHeaderSize] bytes it errs with [ErrShort].
func ParsePreHeader(b []byte, frameLength int) (PreHeader, error) {
	if len(b) < PreHeaderSize {
		return PreHeader{}, fmt.Errorf("pre-header: %d of %d bytes: %w", len(b), PreHeaderSize, ErrShort)
	}
	p := PreHeader{
		LocationID:  binary.LittleEndian.Uint32(b),
		Incarnation: b[4],
		AFFlags:     b[5],
		PacketSize:  int(binary.LittleEndian.Uint16(b[6:])),
	}
	if frameLength < PreHeaderSize {
		return p, fmt.Errorf("pre-header: frame of %d bytes, at least %d: %w", frameLength, PreHeaderSize, ErrSize)
	}
	if p.PacketSize != frameLength {
		return p, fmt.Errorf("pre-header: packet size %d in a frame of %d: %w", p.PacketSize, frameLength, ErrSize)
	}
	return p, nil
}

// Payload is the number of bytes behind the pre-header.
func (p PreHeader) Payload() int { return p.PacketSize - PreHeaderSize }
