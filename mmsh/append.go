package mmsh

import (
	"encoding/binary"
	"fmt"
)

func appendFrame(dst []byte, typ byte, length int) []byte {
	return append(dst, frameMark, typ, byte(length), byte(length>>8))
}

func appendPre(dst []byte, typ byte, locationID uint32, afFlags uint8, payload int) []byte {
	size := payload + PreHeaderSize
	dst = appendFrame(dst, typ, size)
	dst = binary.LittleEndian.AppendUint32(dst, locationID)
	return append(dst, 0, afFlags, byte(size), byte(size>>8))
}

// PutDataHead writes the framing header and the pre-header of a $D packet into dst[:DataHeadSize]; the ASF packet of
// payload bytes belongs directly behind. It allocates nothing. A payload above [MaxPayload] cannot be framed: that is
// the caller's mistake and panics, as does a short dst.
func PutDataHead(dst []byte, locationID uint32, afFlags uint8, payload int) {
	if payload < 0 || payload > MaxPayload {
		panic("mmsh: data payload out of bounds")
	}
	_ = dst[DataHeadSize-1]
	size := uint16(payload + PreHeaderSize)
	dst[0], dst[1] = frameMark, TypeData
	binary.LittleEndian.PutUint16(dst[2:], size)
	binary.LittleEndian.PutUint32(dst[4:], locationID)
	dst[8], dst[9] = 0, afFlags
	binary.LittleEndian.PutUint16(dst[10:], size)
}

// AppendData appends one whole $D packet of the pull direction. It errs with [ErrSize] when the packet is longer than
// [MaxPayload].
func AppendData(dst []byte, locationID uint32, afFlags uint8, packet []byte) ([]byte, error) {
	if err := within("data packet", len(packet), MaxPayload); err != nil {
		return dst, err
	}
	return append(appendPre(dst, TypeData, locationID, afFlags, len(packet)), packet...), nil
}

// AppendHeader appends an ASF header in the framing of the pull direction: one $H with AFFlags 0x0C where it fits
// (65,527 bytes), else several with first, middle and last flags and LocationId 0, 1, 2 … ([MS-WMSP] 2.2.3.1.2).
// FFmpeg cannot read the latter.
func AppendHeader(dst, asfHeader []byte) []byte {
	flags := AFFirst
	for location := uint32(0); ; location++ {
		part := asfHeader
		if len(part) > MaxPayload {
			part = part[:MaxPayload]
		} else {
			flags |= AFLast
		}
		dst = append(appendPre(dst, TypeHeader, location, flags, len(part)), part...)
		asfHeader = asfHeader[len(part):]
		if flags&AFLast != 0 {
			return dst
		}
		flags = 0
	}
}

// HeaderSize is the length of what [AppendHeader] appends for an ASF header of n bytes.
func HeaderSize(n int) int {
	packets := max(1, (n+MaxPayload-1)/MaxPayload)
	return n + packets*DataHeadSize
}

func appendReason(dst []byte, typ byte, reason uint32) []byte {
	return binary.LittleEndian.AppendUint32(appendFrame(dst, typ, reasonSize), reason)
}

// AppendEnd appends a $E packet of 8 bytes, the same in both directions. [MS-WMSP] 2.2.3.4.
func AppendEnd(dst []byte, reason uint32) []byte { return appendReason(dst, TypeEnd, reason) }

// AppendChange appends a $C packet of the pull direction, 8 bytes; a $H must follow. [MS-WMSP] 2.2.3.2.
func AppendChange(dst []byte, reason uint32) []byte { return appendReason(dst, TypeChange, reason) }

// AppendStreamChange appends what a viewer gets when the stream's header changes: $E(1) $C(0) $H. Clients below
// version 9 do not know $E(1) in mid-stream and begin at out[oldStart:].
func AppendStreamChange(dst, asfHeader []byte) (out []byte, oldStart int) {
	dst = AppendEnd(dst, ReasonEntryEnd)
	oldStart = len(dst)
	return AppendHeader(AppendChange(dst, 0), asfHeader), oldStart
}

// AppendPushHeader appends a $H of the push direction (no pre-header). It errs with [ErrSize] above [MaxPushPayload].
func AppendPushHeader(dst, asfHeader []byte) ([]byte, error) {
	return appendPush(dst, TypeHeader, "header", asfHeader)
}

// AppendPushData appends a $D of the push direction (no pre-header). It errs with [ErrSize] above [MaxPushPayload].
func AppendPushData(dst, packet []byte) ([]byte, error) {
	return appendPush(dst, TypeData, "data packet", packet)
}

func appendPush(dst []byte, typ byte, what string, payload []byte) ([]byte, error) {
	if err := within(what, len(payload), MaxPushPayload); err != nil {
		return dst, err
	}
	return append(appendFrame(dst, typ, len(payload)), payload...), nil
}

// AppendPushChange appends a $C of the push direction, which carries the new header itself ([MS-WMHTTP] 2.2.3.2). It
// errs with [ErrSize] above [MaxPushChange].
func AppendPushChange(dst, asfHeader []byte) ([]byte, error) {
	if err := within("header of a stream change", len(asfHeader), MaxPushChange); err != nil {
		return dst, err
	}
	dst = appendFrame(dst, TypeChange, reasonSize+len(asfHeader))
	return append(binary.LittleEndian.AppendUint32(dst, 0), asfHeader...), nil
}

// AppendFiller appends one $F with n zero bytes behind its framing header. It errs with [ErrSize] when n is negative
// or above [MaxFiller].
func AppendFiller(dst []byte, n int) ([]byte, error) {
	if n < 0 {
		return dst, fmt.Errorf("filler of %d bytes: %w", n, ErrSize)
	}
	if err := within("filler", n, MaxFiller); err != nil {
		return dst, err
	}
	return appendZeros(appendFrame(dst, TypeFiller, n), n), nil
}

func appendZeros(dst []byte, n int) []byte {
	return append(dst, make([]byte, n)...)
}

func within(what string, n, bound int) error {
	if n > bound {
		return fmt.Errorf("%s of %d bytes, at most %d: %w", what, n, bound, ErrSize)
	}
	return nil
}
