package asf

import (
	"bytes"
	"encoding/binary"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText bounds a decoded text, in characters. Longer texts are cut: they
// are for people to read.
const maxText = 512

// decodeText turns UTF-16LE into a Go string. Malformed pairs become U+FFFD,
// control and other unprintable characters become spaces, a final zero is
// dropped. The result may still hold markup: escape it where it is shown.
func decodeText(b []byte) string {
	var buf [maxText * utf8.UTFMax]byte
	out := buf[:0]
	for i, n := 0, 0; i+1 < len(b) && n < maxText; n++ {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		i += 2
		if r == 0 {
			break
		}
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if i+1 < len(b) {
				low = rune(binary.LittleEndian.Uint16(b[i:]))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				i += 2
			}
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		out = utf8.AppendRune(out, r)
	}
	return string(bytes.TrimSpace(out))
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
