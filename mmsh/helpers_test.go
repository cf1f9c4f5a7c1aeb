package mmsh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asfHeader builds n bytes that begin and end as an encoder's ASF header does: Header Object with its GUID, size and
// object count, zero padding, then the first 50 bytes of a Data Object.
func asfHeader(n int) []byte {
	b := make([]byte, n)
	copy(b, []byte{0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C})
	binary.LittleEndian.PutUint64(b[16:], uint64(n-50))
	copy(b[24:], []byte{8, 0, 0, 0, 1, 2})
	data := b[n-50:]
	copy(data, []byte{0x36, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C})
	data[16], data[48], data[49] = 50, 1, 1
	return b
}

func asfPacket(n int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, n)
	copy(b, []byte{0x82, 0, 0})
	return b
}

// fixture reads a captured file, or skips: captures are not part of this repository.
func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	folders := []string{os.Getenv("STREAM_PUMP_FIXTURES"), "../../shared/fixtures", "../../../shared/fixtures"}
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(folder, "mmsh", name)); err == nil {
			return b
		}
	}
	tb.Skipf("captured fixture mmsh/%s is not here; set STREAM_PUMP_FIXTURES to a folder that has it", name)
	return nil
}

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// must unwraps an encoder's result.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// decodeAll collects the frames up to the first error.
func decodeAll(b []byte, framing Framing, role Role) ([]Frame, error) {
	var list []Frame
	for f, err := range DecodeAs(b, framing, role) {
		if err != nil {
			return list, err
		}
		list = append(list, f)
	}
	return list, nil
}

// kinds writes frames as one word each.
func kinds(list []Frame) string {
	var words []string
	for _, f := range list {
		words = append(words, f.Kind.String())
	}
	return strings.Join(words, " ")
}

// encode writes frames in a framing, leaving out what is skipped: the inverse of decoding.
func encode(tb testing.TB, list []Frame, framing Framing) []byte {
	tb.Helper()
	var out []byte
	var err error
	for _, f := range list {
		if framing == PushFraming {
			out, err = encodePush(out, f)
		} else {
			out, err = encodePull(out, f)
		}
		if err != nil {
			tb.Fatalf("encode a decoded %s: %v", f.Kind, err)
		}
	}
	return out
}

func encodePush(out []byte, f Frame) ([]byte, error) {
	switch f.Kind {
	case Header:
		return AppendPushHeader(out, f.Header)
	case Packet:
		return AppendPushData(out, f.Payload)
	case Change:
		return AppendPushChange(out, f.Header)
	case End:
		return appendEndLike(out, f), nil
	}
	return out, nil
}

func encodePull(out []byte, f Frame) ([]byte, error) {
	switch f.Kind {
	case Header:
		return AppendHeader(out, f.Header), nil
	case Packet:
		return AppendData(out, f.LocationID, f.AFFlags, f.Payload)
	case Change:
		return AppendChange(out, f.Reason), nil
	case End:
		return appendEndLike(out, f), nil
	}
	return out, nil
}

// crlf turns the line ends of a raw string literal into those of HTTP.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that wraps %q", err, want)
	}
}

func wantBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes %s, want %d bytes %s", len(got), excerpt(got), len(want), excerpt(want))
	}
}

func excerpt(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b[:min(len(b), 32)] {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// appendEndLike keeps a $E long that was longer than its Reason.
func appendEndLike(out []byte, f Frame) []byte {
	if !f.long {
		return AppendEnd(out, f.Reason)
	}
	out = appendFrame(out, TypeEnd, reasonSize+len(f.Payload))
	return append(binary.LittleEndian.AppendUint32(out, f.Reason), f.Payload...)
}
