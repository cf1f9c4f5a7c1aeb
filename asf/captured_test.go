package asf

import (
	"testing"
	"time"
)

// The captured headers are not part of the repository; these tests are skipped
// without them. TestHeaderOfAWindowsEncoder states the same of a built one.
func TestCapturedHeaders(t *testing.T) {
	for _, c := range []struct {
		name, id       string
		size, stripped int
		created        time.Time
		objects        map[GUID][2]int // offset and size
	}{
		{"ee4-pull-header-asf.bin", "88A0BAC0-C6CC-4F02-A1F8-C4E4B55B5CC6", 5487, 1637, time.Date(2011, 1, 20, 22, 8, 46, 0, time.UTC),
			map[GUID][2]int{GUIDCodecList: {30, 246}, GUIDStreamBitrates: {276, 44}, GUIDFileProperties: {320, 104},
				GUIDHeaderExtension: {424, 4519}, GUIDStreamProperties: {4943, 114}, GUIDExtContentDescription: {5269, 168}}},
		{"ee4-push-header-asf.bin", "B60CD906-235F-4E51-8593-09EB83B534A9", 5461, 1611, time.Date(2011, 2, 3, 3, 40, 29, 0, time.UTC),
			map[GUID][2]int{GUIDCodecList: {30, 246}, GUIDStreamBitrates: {276, 44}, GUIDFileProperties: {320, 104},
				GUIDHeaderExtension: {424, 4493}, GUIDStreamProperties: {4917, 114}, GUIDExtContentDescription: {5243, 168}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := captured(t, c.name)
			if n, err := HeaderSize(b); err != nil || n != c.size || len(b) != c.size {
				t.Fatalf("size %d of %d bytes, %v", n, len(b), err)
			}
			h := parse(t, b)
			checkEncoderHeader(t, h)
			if h.FileID.String() != c.id || h.FileSize != uint64(c.size) || !h.Created.Truncate(time.Second).Equal(c.created) {
				t.Errorf("file id %v, size %d, created %v", h.FileID, h.FileSize, h.Created)
			}
			if guidAt(b, len(b)-26) != h.FileID || le.Uint64(b[len(b)-34:]) != 50 || le.Uint64(b[len(b)-10:]) != 0 {
				t.Errorf("data object % x", b[len(b)-50:])
			}
			for id, want := range c.objects {
				if o, ok := findTop(b, id); !ok || o.at != want[0] || o.size != want[1] {
					t.Errorf("%s: %+v, want %v", id.Name(), o, want)
				}
			}
			checkCapturedDetails(t, h)
			checkCapturedRewriting(t, h, c.stripped)
		})
	}
}

func checkCapturedDetails(t *testing.T, h *Header) {
	t.Helper()
	info := h.Stream(1).CodecInfo
	if info != "192 kbps, 48 kHz, stereo 1-pass CBR" || h.Stream(2).CodecInfo != "VC-1 Simple/Main Profile" {
		t.Errorf("codec info %q %q", info, h.Stream(2).CodecInfo)
	}
	want := []Attribute{{"WMFSDKVersion", "12.0.7600.16385"}, {"WMFSDKNeeded", "0.0.0.0000"}, {"IsVBR", "false"}}
	if len(h.Attributes) != 3 {
		t.Fatalf("attributes %v", h.Attributes)
	}
	for _, a := range want {
		found := false
		for _, b := range h.Attributes {
			found = found || a == b
		}
		if !found {
			t.Errorf("no attribute %v in %v", a, h.Attributes)
		}
	}
	for n, reserved := range map[uint8]uint32{1: 8, 2: 12, 4: 8} {
		if s := h.Stream(n); s.Replicated != int(reserved) || s.NoCleanPoints || s.Encrypted || s.Embedded {
			t.Errorf("stream %+v", *s)
		}
	}
}

func checkCapturedRewriting(t *testing.T, h *Header, stripped int) {
	t.Helper()
	if live := SetLive(h.Raw); &live[0] != &h.Raw[0] {
		t.Error("a captured live header was changed")
	}
	small := StripHeaderPadding(h.Raw)
	if len(h.Raw)-len(small) != 3850 || len(small) != stripped {
		t.Errorf("%d bytes without padding, want %d", len(small), stripped)
	}
	checkEncoderHeader(t, parse(t, small))
	if le.Uint32(small[24:]) != 8 {
		t.Errorf("%d objects", le.Uint32(small[24:]))
	}
	if id := SetFileID(h.Raw, GUIDVideo); !Equivalent(id, h.Raw) || Equivalent(small, h.Raw) {
		t.Error("equivalence")
	}
}
