package asf

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
)

// maxText bounds a decoded text, in UTF-16 units. Longer texts are cut: they
// are for people to read.
const maxText = 512

// decodeText turns UTF-16LE into a Go string. Malformed pairs become U+FFFD,
// control and other unprintable characters become spaces, a final zero is
// dropped. The result may still hold markup: escape it where it is shown.
func decodeText(b []byte) string {
	units := make([]uint16, 0, min(len(b)/2, maxText))
	for i := 0; i+1 < len(b) && len(units) < maxText; i += 2 {
		u := binary.LittleEndian.Uint16(b[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	if len(units) == 0 {
		return ""
	}
	clean := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}
	return strings.TrimSpace(strings.Map(clean, string(utf16.Decode(units))))
}

// appendText appends s as UTF-16LE with a final zero, which ASF counts.
func appendText(dst []byte, s string) []byte {
	for _, u := range utf16.Encode([]rune(s)) {
		dst = binary.LittleEndian.AppendUint16(dst, u)
	}
	return append(dst, 0, 0)
}

// fourCC renders a codec code: as text when it is printable, as hexadecimal
// digits otherwise.
func fourCC(b []byte) string {
	const digits = "0123456789ABCDEF"
	printable := true
	for _, c := range b {
		printable = printable && c > ' ' && c < 0x7F
	}
	if printable {
		return string(b)
	}
	out := []byte("0x")
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
