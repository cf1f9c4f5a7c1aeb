package mmsh

import (
	"strconv"
	"strings"
)

// What a SwitchEntry wants of a stream. [MS-WMSP] 2.2.1.4.27.
const (
	SwitchAll       uint8 = 0
	SwitchKeyFrames uint8 = 1
	SwitchOff       uint8 = 2
)

// SwitchNone is the source of an entry that switches a stream on instead of replacing one.
const SwitchNone uint16 = 0xFFFF

// SwitchEntry is one src:dst:thin of a stream-switch-entry token. The numbers are hexadecimal by the document and for
// VLC and MPlayer, decimal for FFmpeg and libmms, so both readings are kept.
type SwitchEntry struct {
	Source  uint16 // hexadecimal
	Stream  uint16 // hexadecimal
	Decimal uint16 // Stream read as decimal; the same as Stream where it is no decimal number
	Thin    uint8
}

// Resolve is the stream that is meant: the hexadecimal reading if such a stream exists, else the decimal one if that
// does.
func (e SwitchEntry) Resolve(exists func(stream uint16) bool) (stream uint16, ok bool) {
	if exists(e.Stream) {
		return e.Stream, true
	}
	return e.Decimal, exists(e.Decimal)
}

func (r *Request) hasSwitch() bool {
	return r.Tokens.Has("stream-switch-entry") || r.Tokens.Has("switch-stream-entry")
}

// switchEntries reads the last stream-switch-entry token; the document's examples also spell it the other way round.
// Malformed entries are left out.
func switchEntries(t Tokens) []SwitchEntry {
	value, ok := t.Get("stream-switch-entry")
	if !ok {
		if value, ok = t.Get("switch-stream-entry"); !ok {
			return nil
		}
	}
	var list []SwitchEntry
	for field := range strings.FieldsSeq(value) {
		if e, ok := switchEntry(field); ok && len(list) < maxSwitchEntry {
			list = append(list, e)
		}
	}
	return list
}

func switchEntry(field string) (SwitchEntry, bool) {
	source, rest, _ := strings.Cut(field, ":")
	stream, thin, ok := strings.Cut(rest, ":")
	if !ok {
		return SwitchEntry{}, false
	}
	src, err1 := strconv.ParseUint(source, 16, 16)
	hex, err2 := strconv.ParseUint(stream, 16, 16)
	mode, err3 := strconv.ParseUint(thin, 16, 8)
	if err1 != nil || err2 != nil || err3 != nil {
		return SwitchEntry{}, false
	}
	dec, err := strconv.ParseUint(stream, 10, 16)
	if err != nil {
		dec = hex
	}
	return SwitchEntry{Source: uint16(src), Stream: uint16(hex), Decimal: uint16(dec), Thin: uint8(mode)}, true
}
