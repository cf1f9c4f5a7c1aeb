package mmsh

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestParseFrameHead(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     FrameHead
		err      error
	}{
		{"header", "24 48 77 15", FrameHead{Type: 'H', Length: 5495}, nil},
		{"data", "24 44 1f 15", FrameHead{Type: 'D', Length: 5407}, nil},
		{"MUST-C2 B bit", "a4 44 ff ff", FrameHead{B: true, Type: 'D', Length: 65535}, nil},
		{"MUST-S5 unknown type", "24 5a 00 00", FrameHead{Type: 'Z'}, nil},
		{"short", "24 48 77", FrameHead{}, ErrShort},
		{"empty", "", FrameHead{}, ErrShort},
		{"not framing", "25 48 77 15", FrameHead{}, ErrNotFramed},
		{"plain ASF", "30 26 b2 75", FrameHead{}, ErrNotFramed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseFrameHead(unhex(c.in))
			wantErr(t, err, c.err)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestFrameHeadTypes(t *testing.T) {
	for typ := range 256 {
		f := FrameHead{Type: byte(typ)}
		if got, want := f.Known(), strings.IndexByte("HDCEMPTF", byte(typ)) >= 0; got != want {
			t.Errorf("Known(%q) = %v", rune(typ), got)
		}
		if got, want := f.HasPreHeader(), strings.IndexByte("HDM", byte(typ)) >= 0; got != want {
			t.Errorf("HasPreHeader(%q) = %v", rune(typ), got)
		}
	}
}

func TestParsePreHeader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		length   int
		want     PreHeader
		err      error
	}{
		{"encoder's header", "00000000 00 0c 7715", 5495, PreHeader{AFFlags: AFOnly, PacketSize: 5495}, nil},
		{"encoder's data", "73c40000 00 00 1f15", 5407, PreHeader{LocationID: 50291, PacketSize: 5407}, nil},
		{"incarnation", "ffffffff 07 fe 0800", 8, PreHeader{LocationID: 1<<32 - 1, Incarnation: 7, AFFlags: 254, PacketSize: 8}, nil},
		{"sizes differ", "00000000 00 0c 7715", 5494, PreHeader{AFFlags: AFOnly, PacketSize: 5495}, ErrSize},
		{"too small", "00000000 00 0c 0700", 7, PreHeader{AFFlags: AFOnly, PacketSize: 7}, ErrSize},
		{"short", "00000000 00 0c 77", 5495, PreHeader{}, ErrShort},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePreHeader(unhex(c.in), c.length)
			wantErr(t, err, c.err)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestEncodersToTheByte(t *testing.T) {
	asf := unhex("3026b275")
	put := make([]byte, DataHeadSize)
	PutDataHead(put, 0xC473, 0, 8223)
	change, start := AppendStreamChange(nil, asf)
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"MUST-D1 $H", AppendHeader(nil, asf), "24480c00 00000000 000c 0c00 3026b275"},
		{"$D head", put, "24442720 73c40000 00 00 2720"},
		{"$D whole", must(AppendData(nil, 1, 5, []byte{9})), "24440900 01000000 00 05 0900 09"},
		{"MUST-E1 $E(0)", AppendEnd(nil, ReasonEnd), "24450400 00000000"},
		{"$E(1)", AppendEnd(nil, ReasonEntryEnd), "24450400 01000000"},
		{"$C", AppendChange(nil, 0), "24430400 00000000"},
		{"MUST-X1 change for 9.0", change, "24450400 01000000 24430400 00000000 24480c00 00000000 000c 0c00 3026b275"},
		{"MUST-X1 change for old", change[start:], "24430400 00000000 24480c00 00000000 000c 0c00 3026b275"},
		{"push $H", must(AppendPushHeader(nil, asf)), "24480400 3026b275"},
		{"push $D", must(AppendPushData(nil, []byte{1, 2})), "24440200 0102"},
		{"push $C", must(AppendPushChange(nil, asf)), "24430800 00000000 3026b275"},
		{"push $F", must(AppendFiller(nil, 3)), "24460300 000000"},
		{"push $F empty", must(AppendFiller(nil, 0)), "24460000"},
	} {
		t.Run(c.name, func(t *testing.T) { wantBytes(t, c.got, unhex(c.want)) })
	}
}

func TestEncodersRefuseWhatDoesNotFit(t *testing.T) {
	prefix := []byte("kept")
	for _, c := range []struct {
		name   string
		bound  int
		encode func(n int) ([]byte, error)
	}{
		{"data", MaxPayload, func(n int) ([]byte, error) { return AppendData(prefix, 0, 0, make([]byte, n)) }},
		{"push header", 65531, func(n int) ([]byte, error) { return AppendPushHeader(prefix, make([]byte, n)) }},
		{"push data", 65531, func(n int) ([]byte, error) { return AppendPushData(prefix, make([]byte, n)) }},
		{"push change", 65527, func(n int) ([]byte, error) { return AppendPushChange(prefix, make([]byte, n)) }},
		{"filler", 65531, func(n int) ([]byte, error) { return AppendFiller(prefix, n) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.encode(c.bound); err != nil {
				t.Errorf("%d bytes: %v", c.bound, err)
			}
			got, err := c.encode(c.bound + 1)
			wantErr(t, err, ErrSize)
			wantBytes(t, got, prefix)
		})
	}
	_, err := AppendFiller(nil, -1)
	wantErr(t, err, ErrSize)
}

func TestPutDataHeadPanicsOnWhatCannotBeFramed(t *testing.T) {
	for _, c := range []struct {
		name    string
		dst     int
		payload int
	}{{"payload above", 12, MaxPayload + 1}, {"payload below", 12, -1}, {"no room", 11, 1}} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			PutDataHead(make([]byte, c.dst), 0, 0, c.payload)
		})
	}
}

func TestHeaderIsSplitOnlyWhenItMustBe(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		flags []uint8
	}{
		{"encoder's", 5487, []uint8{0x0C}},
		{"largest single", 65527, []uint8{0x0C}},
		{"one more", 65528, []uint8{0x04, 0x08}},
		{"three", 2*65527 + 1, []uint8{0x04, 0x00, 0x08}},
		{"exactly two", 2 * 65527, []uint8{0x04, 0x08}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asf := asfHeader(c.size)
			wire := AppendHeader(nil, asf)
			if len(wire) != HeaderSize(c.size) {
				t.Errorf("HeaderSize says %d, appended %d", HeaderSize(c.size), len(wire))
			}
			var joined []byte
			for i, want := range c.flags {
				f, _ := ParseFrameHead(wire)
				p, err := ParsePreHeader(wire[4:], f.Length)
				if err != nil || p.AFFlags != want || p.LocationID != uint32(i) {
					t.Fatalf("packet %d: %+v, %v, want AFFlags %#x", i, p, err, want)
				}
				joined = append(joined, wire[12:12+p.Payload()]...)
				wire = wire[12+p.Payload():]
			}
			if len(wire) != 0 || !bytes.Equal(joined, asf) {
				t.Errorf("fragments do not add up: %d bytes left", len(wire))
			}
		})
	}
}
