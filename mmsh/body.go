package mmsh

import (
	"bytes"
	"fmt"
)

// Framing is the form of a body: how its packets are told apart.
type Framing uint8

// The forms of a body.
const (
	FramingUnknown Framing = iota
	PlainASF               // an ASF file, header first
	PushFraming            // MMSH packets without pre-header: Windows encoders
	PullFraming            // MMSH packets with pre-header: servers, and FFmpeg's asf_stream muxer
)

var framingNames = [...]string{"unknown", "plain ASF", "push framing", "pull framing"}

// String names the framing for people.
func (f Framing) String() string {
	if int(f) < len(framingNames) {
		return framingNames[f]
	}
	return fmt.Sprintf("framing %d", uint8(f))
}

// asfMark is the beginning of the ASF Header Object GUID.
var asfMark = []byte{0x30, 0x26, 0xB2, 0x75}

// DetectBytes is the largest number of bytes that [DetectFraming] asks for.
const DetectBytes = DataHeadSize + 4

// DetectFraming tells a pushed body's form by its first bytes: an ASF header, or a $H packet with the ASF header 4 or
// 12 bytes in. need is 0 when it is decided; else it is how many bytes first must hold in all before it can be (never
// above [DetectBytes]), and f is [FramingUnknown]. A body that begins otherwise errs with [ErrUnknownBody], as early as
// that shows. A body that continues a push session may begin with $D or $C, which do not tell the form: keep the
// session's.
func DetectFraming(first []byte) (f Framing, need int, err error) {
	if partOf(first, asfMark) {
		return wanted(first, 0, PlainASF)
	}
	if len(first) == 0 {
		return FramingUnknown, len(asfMark), nil
	}
	if (first[0] != frameMark && first[0] != frameMarkB) || (len(first) > 1 && first[1] != TypeHeader) {
		return FramingUnknown, 0, bodyError(first)
	}
	if len(first) < FrameHeadSize+len(asfMark) {
		return FramingUnknown, FrameHeadSize + len(asfMark), nil
	}
	if bytes.HasPrefix(first[FrameHeadSize:], asfMark) {
		return PushFraming, 0, nil
	}
	if len(first) >= DataHeadSize && !partOf(first[DataHeadSize:], asfMark) && len(first) > DataHeadSize {
		return FramingUnknown, 0, bodyError(first)
	}
	return wanted(first, DataHeadSize, PullFraming)
}

func wanted(first []byte, at int, f Framing) (Framing, int, error) {
	if need := at + len(asfMark); len(first) < need {
		return FramingUnknown, need, nil
	}
	return f, 0, nil
}

// partOf reports whether b begins like mark, as far as b goes; an empty b does not.
func partOf(b, mark []byte) bool {
	n := min(len(b), len(mark))
	return n > 0 && bytes.Equal(b[:n], mark[:n])
}

func bodyError(first []byte) error {
	return fmt.Errorf("body begins with % x: %w", first[:min(len(first), DetectBytes)], ErrUnknownBody)
}
