package asf

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var le = binary.LittleEndian

// testID is the File ID of built headers.
var testID = mustGUID("88A0BAC0-C6CC-4F02-A1F8-C4E4B55B5CC6")

// encoderSpec has the traits of a header captured from a Windows encoder:
// objects in its order, File Properties third, streams 1, 2 and 4, a reserved
// field that is not 0, an undocumented flag, and thousands of bytes of padding
// inside the Header Extension.
func encoderSpec() HeaderSpec {
	const reserved = 0x6CCE6200
	spec := HeaderSpec{
		FileID: testID, Flags: FlagBroadcast | 8, Created: 129400349260000000,
		Packets: 0xFFFFFFFF, Preroll: 3000, PacketSize: 8223, MaxBitrate: 556489,
		FilePropertiesLate: true, Extended: true, ExtensionPadding: 3850, DataSize: 50,
		Attributes: []Attribute{{"WMFSDKVersion", "12.0.7600.16385"}},
		Streams: []StreamSpec{
			{Number: 1, Kind: Audio, Reserved: reserved, FormatTag: 0x161, Channels: 2, SampleRate: 48000,
				ByteRate: 24000, BlockAlign: 8192, BitsPerSample: 16, CodecData: []byte{0, 0x88, 0, 0, 15, 0, 0, 0, 0, 0},
				BitrateBPS: 193195, CodecName: "Windows Media Audio 9.2", CodecInfo: "192 kbps", BufferMS: 1451, MaxObject: 8192},
			{Number: 2, Kind: Video, Reserved: reserved, FourCC: "WMV3", Width: 320, Height: 240,
				CodecData: []byte{0x4E, 0x51, 0, 1, 0}, BitrateBPS: 357137, CodecName: "VC-1", CodecInfo: "Simple Profile",
				BufferMS: 3000, FrameTime: 333333,
				Extensions: []ExtensionSystem{{GUIDPixelAspectRatio, 2}, {GUIDSampleDuration, 2}}},
			{Number: 4, Kind: Command, Reserved: reserved, BitrateBPS: 6157},
		},
	}
	spec.FileSize = uint64(len(BuildHeader(spec)))
	return spec
}

// smallSpec is a video stream 1 and an audio stream 2 in the order of ffmpeg.
func smallSpec() HeaderSpec {
	return HeaderSpec{
		FileID: testID, Flags: FlagBroadcast, Preroll: 3100, PacketSize: 1024, MaxBitrate: 54000, DataSize: 50,
		Streams: []StreamSpec{
			{Number: 1, Kind: Video, FourCC: "WMV2", Width: 64, Height: 48, BitrateBPS: 30000},
			{Number: 2, Kind: Audio, FormatTag: 0x161, Channels: 1, SampleRate: 22050, BitrateBPS: 24000},
		},
	}
}

// filled is n bytes that tell their place and are never 0.
func filled(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%251) + 1
	}
	return b
}

// strippedSingle has the traits of a stripped single-payload packet of a
// Windows encoder: LTF 0x48, 16-bit packet length, 8-bit padding length 0.
func strippedSingle() PacketSpec {
	return PacketSpec{
		SendTime: 4989621, Duration: 18, LengthWidth: 2, PaddingWidth: 1, Size: 5456, Stripped: true,
		Payloads: []PayloadSpec{{Stream: 2, Object: 22, Offset: 14811, ObjectSize: 40650, PresTime: 4991400,
			Extension: []byte{0xC8, 0}, Data: filled(5368)}},
	}
}

// strippedMulti has the traits of the stripped packet in which a key frame
// starts behind two other payloads: LTF 0x09, padding length 0.
func strippedMulti() PacketSpec {
	return PacketSpec{
		SendTime: 4994097, Duration: 148, PaddingWidth: 1, Size: 5456, Stripped: true,
		Payloads: []PayloadSpec{
			{Stream: 1, Object: 2, ObjectSize: 744, PresTime: 4995475, Data: filled(744)},
			{Stream: 2, Object: 44, Offset: 8516, ObjectSize: 9000, PresTime: 4997000, Extension: []byte{0xC8, 0}, Data: filled(484)},
			{Stream: 2, Key: true, Object: 45, ObjectSize: 39281, PresTime: 4996000, Extension: []byte{0xC8, 0}, Data: filled(2302)},
		},
	}
}

// compressedPacket holds one compressed payload of three small objects.
func compressedPacket() PacketSpec {
	return PacketSpec{
		SendTime: 1000, Size: 200,
		Payloads: []PayloadSpec{{Stream: 1, Object: 7, PresTime: 3000, Compressed: true, TimeDelta: 20,
			Data: []byte{2, 10, 11, 0, 3, 20, 21, 22}}},
	}
}

// build makes the packet or ends the test.
func build(t testing.TB, spec PacketSpec) []byte {
	t.Helper()
	p, err := AppendPacket(nil, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// parse reads the header or ends the test.
func parse(t testing.TB, b []byte) *Header {
	t.Helper()
	h, err := ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// wantError checks that err is an *Error of that kind that names the object,
// an offset inside n bytes of input and the bound, and says so in its text.
func wantError(t *testing.T, err, kind error, object string, offset, bound int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an *Error", err)
	}
	if !errors.Is(err, kind) || e.Object != object || e.Offset != offset || e.Bound != bound {
		t.Errorf("got %q (%v)\nwant %v of %s, offset %d, bound %d", err, e.Kind, kind, object, offset, bound)
	}
	if e.Reason == "" || !strings.Contains(err.Error(), object) || !strings.Contains(err.Error(), "bound") {
		t.Errorf("error text %q does not name object and bound", err)
	}
}

// at returns where the n-th (from 0) object of that kind begins in b.
func at(t testing.TB, b []byte, id GUID, n int) int {
	t.Helper()
	for i := 0; i+16 <= len(b); i++ {
		if GUID(b[i:i+16]) == id {
			if n == 0 {
				return i
			}
			n--
		}
	}
	t.Fatalf("no %s object", id.Name())
	return 0
}

// captured returns a captured header, or skips the test when the captures are
// not at hand.
func captured(t *testing.T, name string) []byte {
	t.Helper()
	for _, dir := range []string{os.Getenv("STREAM_PUMP_FIXTURES"), "../../shared/fixtures"} {
		if dir == "" {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(dir, "mmsh", name)); err == nil {
			return b
		}
	}
	t.Skipf("captured header %s is not at hand (set STREAM_PUMP_FIXTURES)", name)
	return nil
}
