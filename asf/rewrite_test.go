package asf

import (
	"bytes"
	"testing"
)

func TestSetLiveLeavesALiveHeaderAlone(t *testing.T) {
	b := BuildHeader(encoderSpec())
	if got := SetLive(b); &got[0] != &b[0] {
		t.Error("a live header was copied")
	}
	junk := []byte("no header at all")
	if got := SetLive(junk); &got[0] != &junk[0] {
		t.Error("other bytes were copied")
	}
}

func TestSetLiveOfAFile(t *testing.T) {
	spec := smallSpec()
	spec.Flags, spec.MinPacketSize, spec.MaxBitrate = FlagSeekable, 700, 0
	spec.FileSize, spec.Packets, spec.PlayDuration, spec.SendDuration = 123456, 120, 99, 98
	spec.DataSize, spec.DataPackets = 122930, 120
	b := BuildHeader(spec)
	before := bytes.Clone(b)
	out := SetLive(b)
	if !bytes.Equal(b, before) {
		t.Fatal("the input was written to")
	}
	h := parse(t, out)
	if !h.Broadcast() || h.Flags&FlagSeekable != 0 || h.MinPacketSize != 1024 || h.announcedBitrate != 54000 {
		t.Errorf("flags %#x, sizes %d-%d, bit rate %d", h.Flags, h.MinPacketSize, h.MaxPacketSize, h.announcedBitrate)
	}
	if h.FileSize != uint64(len(b)) || h.Packets != 0xFFFFFFFF || h.PlayDuration != 0 || h.SendDuration != 0 {
		t.Errorf("sizes and durations %d %d %d %d", h.FileSize, h.Packets, h.PlayDuration, h.SendDuration)
	}
	data := out[len(out)-DataHeadSize:]
	if le.Uint64(data[16:]) != 50 || le.Uint64(data[40:]) != 0 {
		t.Errorf("data object % x", data)
	}
	if err := h.Validate(); err != nil || len(h.Warnings()) != 0 {
		t.Errorf("%v, %q", err, h.Warnings())
	}
	if again := SetLive(out); &again[0] != &out[0] {
		t.Error("a second pass changed the header again")
	}
}

func TestSetFileID(t *testing.T) {
	b := BuildHeader(smallSpec())
	id := mustGUID("B60CD906-235F-4E51-8593-09EB83B534A9")
	out := SetFileID(b, id)
	if h := parse(t, out); h.FileID != id || guidAt(out, len(out)-26) != id {
		t.Errorf("file ids %v %v", h.FileID, guidAt(out, len(out)-26))
	}
	if parse(t, b).FileID != testID || !Equivalent(b, out) {
		t.Error("more than the file id changed, or the input")
	}
	if same := SetFileID(b, testID); &same[0] != &b[0] {
		t.Error("a header that has the id was copied")
	}
	if back := SetFileID(out, testID); !bytes.Equal(back, b) {
		t.Error("the way back does not lead to the same bytes")
	}
	if junk := []byte("junk"); &SetFileID(junk, id)[0] != &junk[0] {
		t.Error("other bytes were copied")
	}
}

func TestStripHeaderPadding(t *testing.T) {
	spec := encoderSpec()
	plain := spec
	plain.ExtensionPadding = 0
	spec.Padding = 64
	b := BuildHeader(spec)
	out := StripHeaderPadding(b)
	if !bytes.Equal(out, BuildHeader(plain)) || len(b)-len(out) != 3850+64 {
		t.Errorf("%d bytes became %d, not those of a header built without padding", len(b), len(out))
	}
	if again := StripHeaderPadding(out); &again[0] != &out[0] {
		t.Error("a header without padding was copied")
	}
	junk := []byte("junk")
	if got := StripHeaderPadding(junk); &got[0] != &junk[0] {
		t.Error("other bytes were copied")
	}
}

func TestEquivalentHeaders(t *testing.T) {
	base := encoderSpec()
	for _, c := range []struct {
		name   string
		change func(*HeaderSpec)
		want   bool
	}{
		{"same", func(*HeaderSpec) {}, true},
		{"file id", func(s *HeaderSpec) { s.FileID = GUIDVideo }, true},
		{"creation date", func(s *HeaderSpec) { s.Created++ }, true},
		{"file size", func(s *HeaderSpec) { s.FileSize = 1 << 40 }, true},
		{"packet counts", func(s *HeaderSpec) { s.Packets, s.DataPackets = 5, 6 }, true},
		{"durations", func(s *HeaderSpec) { s.PlayDuration, s.SendDuration = 5, 6 }, true},
		{"data size", func(s *HeaderSpec) { s.DataSize = 0 }, true},
		{"preroll", func(s *HeaderSpec) { s.Preroll++ }, false},
		{"flags", func(s *HeaderSpec) { s.Flags ^= 8 }, false},
		{"packet size", func(s *HeaderSpec) { s.PacketSize++ }, false},
		{"bit rate", func(s *HeaderSpec) { s.MaxBitrate++ }, false},
		{"attribute", func(s *HeaderSpec) { s.Attributes = []Attribute{{"WMFSDKVersion", "12.0.7600.16386"}} }, false},
		{"padding", func(s *HeaderSpec) { s.ExtensionPadding++ }, false},
		{"stream", func(s *HeaderSpec) { s.Streams = s.Streams[:2] }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := base
			c.change(&other)
			a, b := BuildHeader(base), BuildHeader(other)
			if Equivalent(a, b) != c.want || Equivalent(b, a) != c.want {
				t.Errorf("not %v both ways", c.want)
			}
		})
	}
	b := BuildHeader(base)
	reserved := bytes.Clone(b)
	reserved[len(b)-1] ^= 1
	if Equivalent(b, reserved) {
		t.Error("the Data Object's reserved field counts")
	}
	if !Equivalent([]byte("x"), []byte("x")) || Equivalent([]byte("x"), []byte("y")) {
		t.Error("bytes that are no header are equivalent when equal")
	}
}

func TestEndsAt(t *testing.T) {
	for name, c := range map[string]struct {
		b           []byte
		end, strays bool
	}{
		"simple index":       {GUIDSimpleIndex[:], true, false},
		"index":              {GUIDIndex[:], true, false},
		"media object index": {GUIDMediaIndex[:], true, false},
		"timecode index":     {GUIDTimecodeIndex[:], true, false},
		"stray end":          {[]byte{0x24, 0x45, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0}, true, true},
		"packet":             {[]byte{0x82, 0, 0, 0x48, 0x5D, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, false, false},
		"short":              {GUIDSimpleIndex[:15], false, false},
		"nothing":            {nil, false, false},
	} {
		if EndsAt(c.b) != c.end || IsStrayEnd(c.b) != c.strays {
			t.Errorf("%s: end %v, stray %v", name, EndsAt(c.b), IsStrayEnd(c.b))
		}
	}
	if GUIDSimpleIndex[0] != 0x90 {
		t.Error("wire form of the simple index")
	}
}
