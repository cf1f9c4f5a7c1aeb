package asf

import "encoding/binary"

// Rebase adds delta (modulo 2^32) to the send time of p and to the presentation
// time of every payload, in place, and changes nothing else. nominal is as for
// [ParsePacket]. When p is malformed, or holds a time in a field narrower than
// 32 bits (ErrNoRoom), it is left as it was.
func Rebase(p []byte, nominal int, delta uint32) error {
	check := Payloads(p, nominal)
	for check.Next() {
		if pl := &check.Payload; pl.HasTime() && pl.timeWidth != 3 {
			return &Error{Object: "compressed payload", Offset: pl.timeAt, Bound: 3, Value: uint64(pl.timeWidth),
				Reason: "width code of the presentation time", Kind: ErrNoRoom}
		}
	}
	if err := check.Err(); err != nil {
		return err
	}
	addTime(p, check.head.sendAt, delta)
	w := Payloads(p, nominal)
	for w.Next() {
		if w.Payload.HasTime() {
			addTime(p, w.Payload.timeAt, delta)
		}
	}
	return nil
}

func addTime(p []byte, at int, delta uint32) {
	binary.LittleEndian.PutUint32(p[at:], binary.LittleEndian.Uint32(p[at:])+delta)
}

// Width codes and where they stand in the Length Type Flags.
const (
	widthNone, widthByte, widthWord, widthLong = 0, 1, 2, 3

	paddingShift = 3
	lengthShift  = 5
)

// Pad appends p to dst, brought to nominal bytes in such a way that the added
// zeros are announced and no reader takes them for payload. A packet of
// nominal bytes is appended as it is. A packet that announces its own length
// gets zeros only; otherwise its padding length grows, its field being widened
// or inserted where needed. Payload bytes are never changed. Malformed and too
// long packets are refused, dst is then returned as it was.
func Pad(dst, p []byte, nominal int) ([]byte, error) {
	var h prologue
	var f fault
	if !h.read(p, nominal, &f) {
		return dst, f.error()
	}
	n := nominal - len(p)
	code, length := h.ltf>>paddingShift&3, h.ltf>>lengthShift&3
	switch {
	case n <= 0:
		return append(dst, p...), nil
	case h.packetLength > 0:
		return appendZeros(append(dst, p...), n), nil
	case length != widthNone && (length != widthByte || len(p) <= 0xFF):
		// A length field that announced nonsense must not come true.
		start := len(dst)
		dst = append(dst, p...)
		putWidth(dst[start+h.lengthAt:], length, uint32(len(p)))
		return appendZeros(dst, n), nil
	case code == widthByte && h.padding+n <= 0xFF, code == widthWord, code == widthLong:
		start := len(dst)
		dst = append(dst, p...)
		putWidth(dst[start+h.paddingAt:], code, uint32(h.padding+n))
		return appendZeros(dst, n), nil
	}
	return insertPadding(dst, p, &h, n), nil
}

// insertPadding writes p with a padding length field that is wider than its
// own by one or two bytes, followed by what is then left of n zeros.
func insertPadding(dst, p []byte, h *prologue, n int) []byte {
	start := len(dst)
	old := int(widths[h.ltf>>paddingShift&3])
	code := byte(widthWord)
	if old == 0 && n == 1 {
		code = widthByte
	}
	n -= int(widths[code]) - old
	dst = append(dst, p[:h.paddingAt]...)
	dst[start+h.flagsAt] = h.ltf&^(3<<paddingShift) | code<<paddingShift
	dst = append(dst, 0, 0)[:len(dst)+int(widths[code])]
	putWidth(dst[start+h.paddingAt:], code, uint32(h.padding+n))
	dst = append(dst, p[h.paddingAt+old:]...)
	return appendZeros(dst, n)
}

// Strip removes the announced padding of p in place, as far as that is safe
// with players that append zeros again, and returns the shortened packet, or p
// itself, unchanged, when there is none or it must stay in: a single payload
// keeps its padding unless the packet announces its length or has a 16-bit
// padding field that can be turned into one [MS-WMSP] 2.2.3.3. Bytes behind an
// announced packet length are cut off as well.
func Strip(p []byte, nominal int) ([]byte, error) {
	w := Payloads(p, nominal)
	for w.Next() {
		continue
	}
	if err := w.Err(); err != nil {
		return p, err
	}
	h := &w.head
	end, padding, length := h.contentEnd, h.ltf>>paddingShift&3, h.ltf>>lengthShift&3
	switch {
	case h.padding == 0:
		return p[:end], nil
	case length != widthNone:
		if length == widthByte && end > 0xFF {
			return p, nil
		}
		putWidth(p[h.lengthAt:], length, uint32(end))
	case h.ltf&1 != 0:
	case padding == widthWord && h.ltf>>1&3 == widthNone:
		p[h.flagsAt] = h.ltf&^(3<<paddingShift) | widthWord<<lengthShift
		binary.LittleEndian.PutUint16(p[h.paddingAt:], uint16(end))
		return p[:end], nil
	default:
		return p, nil
	}
	putWidth(p[h.paddingAt:], padding, 0)
	return p[:end], nil
}

// putWidth writes v in the field of that width code.
func putWidth(b []byte, code byte, v uint32) {
	switch code {
	case widthByte:
		b[0] = byte(v)
	case widthWord:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case widthLong:
		binary.LittleEndian.PutUint32(b, v)
	}
}

// zeros is what padding is copied from.
var zeros [512]byte

func appendZeros(dst []byte, n int) []byte {
	for n > 0 {
		k := min(n, len(zeros))
		dst = append(dst, zeros[:k]...)
		n -= k
	}
	return dst
}
