package asf

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestHeaderOfAWindowsEncoder(t *testing.T) {
	b := BuildHeader(encoderSpec())
	if n, err := HeaderSize(b[:24]); err != nil || n != len(b) {
		t.Fatalf("HeaderSize = %d, %v; want %d", n, err, len(b))
	}
	h := parse(t, b)
	checkEncoderHeader(t, h)
	if h.FileID != testID || &h.Raw[0] != &b[0] {
		t.Error("file id or raw bytes are not those of the input")
	}
	if got := h.Streams[0].CodecInfo; got != "192 kbps" {
		t.Errorf("codec info %q", got)
	}
}

// checkEncoderHeader states what the captured headers and the one built after
// them have in common.
func checkEncoderHeader(t *testing.T, h *Header) {
	t.Helper()
	if h.PacketSize != 8223 || h.MinPacketSize != 8223 || h.Preroll != 3000 || h.MaxBitrate != 556489 || h.Flags != 9 {
		t.Errorf("size %d-%d, preroll %d, bit rate %d, flags %#x", h.MinPacketSize, h.PacketSize, h.Preroll, h.MaxBitrate, h.Flags)
	}
	if h.Packets != 0xFFFFFFFF || h.PlayDuration != 0 || h.SendDuration != 0 || !h.Broadcast() || h.Encrypted {
		t.Errorf("packets %d, durations %d %d", h.Packets, h.PlayDuration, h.SendDuration)
	}
	if len(h.Streams) != 3 || h.Stream(3) != nil {
		t.Fatalf("streams %v", h.Streams)
	}
	a, v, c := h.Stream(1), h.Stream(2), h.Stream(4)
	if a.Kind != Audio || a.FormatTag != 0x161 || a.Channels != 2 || a.SampleRate != 48000 || a.ByteRate != 24000 ||
		a.BlockAlign != 8192 || a.BitsPerSample != 16 || a.BufferMS != 1451 || a.MaxObjectSize != 8192 {
		t.Errorf("audio %+v", *a)
	}
	if v.Kind != Video || v.FourCC != "WMV3" || v.Width != 320 || v.Height != 240 || v.FrameTime != 333333 || v.Replicated != 12 {
		t.Errorf("video %+v", *v)
	}
	if c.Kind != Command || a.CodecName != "Windows Media Audio 9.2" || v.CodecName != "VC-1" {
		t.Errorf("command %+v, codecs %q %q", *c, a.CodecName, v.CodecName)
	}
	if a.BitrateBPS != 193195 || v.BitrateBPS != 357137 || c.BitrateBPS != 6157 || h.StreamsBitrate() != 556489 {
		t.Errorf("rates %d %d %d", a.BitrateBPS, v.BitrateBPS, c.BitrateBPS)
	}
	if key := h.KeyStreams(); !key.Has(2) || key.Has(1) || key.Has(4) {
		t.Errorf("key streams %v", key)
	}
	if err := h.Validate(); err != nil {
		t.Error(err)
	}
	if w := h.Warnings(); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
}

func TestHeaderObjectsInAnyOrder(t *testing.T) {
	for _, late := range []bool{false, true} {
		spec := smallSpec()
		spec.FilePropertiesLate = late
		h := parse(t, BuildHeader(spec))
		if h.PacketSize != 1024 || len(h.Streams) != 2 || h.Streams[0].FourCC != "WMV2" {
			t.Errorf("late %v: %+v", late, h)
		}
	}
}

func TestHeaderDetails(t *testing.T) {
	full := smallSpec()
	full.Title, full.Author, full.Copyright, full.Description, full.Rating = "Tïtle", "author", "(c)", "words", "PG"
	full.Scripts = []Script{{479, "FILENAME", "http://example.org/"}}
	full.Attributes = []Attribute{{"IsVBR", "no"}}
	full.Exclusive = []uint8{1, 2}
	full.Padding = 100
	full.Streams[0].Name = "main"
	h := parse(t, BuildHeader(full))
	if h.Title != "Tïtle" || h.Author != "author" || h.Copyright != "(c)" || h.Description != "words" || h.Rating != "PG" {
		t.Errorf("content description %q %q %q %q %q", h.Title, h.Author, h.Copyright, h.Description, h.Rating)
	}
	if len(h.Scripts) != 1 || h.Scripts[0] != full.Scripts[0] {
		t.Errorf("scripts %v", h.Scripts)
	}
	if len(h.Attributes) != 1 || h.Attributes[0] != full.Attributes[0] {
		t.Errorf("attributes %v", h.Attributes)
	}
	if len(h.Exclusive) != 1 || !h.Exclusive[0].Has(1) || !h.Exclusive[0].Has(2) || h.Exclusive[0].Has(3) {
		t.Errorf("exclusive %v", h.Exclusive)
	}
	if h.Streams[0].Name != "main" || h.Streams[0].Replicated != 8 {
		t.Errorf("stream %+v", h.Streams[0])
	}
}

func TestHeaderStreamTraits(t *testing.T) {
	spec := smallSpec()
	spec.Streams[0].Embedded, spec.Streams[0].NoCleanPoints = true, true
	spec.Streams[1].Encrypted = true
	spec.Streams = append(spec.Streams, StreamSpec{Number: 127, Kind: Other,
		Extensions: []ExtensionSystem{{GUIDSampleDuration, 0xFFFF}}})
	h := parse(t, BuildHeader(spec))
	if s := h.Stream(1); s == nil || !s.Embedded || s.FourCC != "WMV2" || !s.NoCleanPoints {
		t.Errorf("embedded stream %+v", s)
	}
	if !h.KeyStreams().Empty() {
		t.Error("a stream without clean points is waited for")
	}
	if !h.Encrypted || !h.Stream(2).Encrypted {
		t.Error("encryption is not seen")
	}
	if s := h.Stream(127); s == nil || s.Kind != Other || s.Replicated != -1 {
		t.Errorf("other stream %+v", s)
	}
	if set := h.StreamSet(); !set.Has(1) || !set.Has(2) || !set.Has(127) || set.Has(3) || set.Has(200) {
		t.Errorf("stream set %v", set)
	}
	for want, s := range map[string]Stream{"stream 1 video WMV2 64x48": *h.Stream(1),
		"stream 2 audio 0x0161 1 ch 22050 Hz": *h.Stream(2), "stream 127 other": *h.Stream(127)} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

func TestHeaderContentEncryption(t *testing.T) {
	spec := smallSpec()
	spec.Padding = 40
	b := BuildHeader(spec)
	copy(b[at(t, b, GUIDPadding, 0):], GUIDContentEncryption[:])
	if !parse(t, b).Encrypted {
		t.Error("content encryption object is not seen")
	}
}

func TestHeaderBitrateAndPreroll(t *testing.T) {
	spec := smallSpec()
	spec.MaxBitrate, spec.Preroll, spec.Flags = 0, 1<<63, 0
	h := parse(t, BuildHeader(spec))
	if h.MaxBitrate != 54000 {
		t.Errorf("bit rate %d, want the streams' sum", h.MaxBitrate)
	}
	if d := h.PrerollDuration(); d != MaxPreroll || h.Preroll != 1<<63 {
		t.Errorf("preroll %v", d)
	}
	if d := parse(t, BuildHeader(smallSpec())).PrerollDuration(); d != 3100*time.Millisecond {
		t.Errorf("preroll %v", d)
	}
	if w := strings.Join(h.Warnings(), "\n"); !strings.Contains(w, "broadcast") || !strings.Contains(w, "bit rate") || !strings.Contains(w, "preroll") {
		t.Errorf("warnings %q", w)
	}
}

func TestHeaderCreationDate(t *testing.T) {
	h := parse(t, BuildHeader(encoderSpec()))
	if want := time.Date(2011, 1, 20, 22, 8, 46, 0, time.UTC); !h.Created.Equal(want) {
		t.Errorf("created %v, want %v", h.Created, want)
	}
	if !parse(t, BuildHeader(smallSpec())).Created.IsZero() {
		t.Error("0 became a date")
	}
}

func TestHeaderValidate(t *testing.T) {
	spec := smallSpec()
	spec.MinPacketSize = 512
	h := parse(t, BuildHeader(spec))
	wantError(t, h.Validate(), ErrPacketSize, "file properties", 30+92, 1024)
	if len(h.Warnings()) != 1 {
		t.Errorf("warnings %q", h.Warnings())
	}
	spec = smallSpec()
	spec.Streams = nil
	b := BuildHeader(spec)
	wantError(t, parse(t, b).Validate(), ErrMissing, "stream properties", len(b)-50, 1)
}

func TestHeaderText(t *testing.T) {
	units := func(u ...uint16) []byte {
		var b []byte
		for _, x := range u {
			b = le.AppendUint16(b, x)
		}
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"plain":           {appendText(nil, "ab"), "ab"},
		"pair":            {appendText(nil, "x😀"), "x😀"},
		"lone high":       {units('a', 0xD800, 'b'), "a\uFFFDb"},
		"lone low":        {units(0xDC00), "\uFFFD"},
		"high at the end": {units('a', 0xD83D), "a\uFFFD"},
		"control":         {units('a', '\n', 0x1B, 'b'), "a  b"},
		"direction":       {units('a', 0x202E, 'b'), "a b"},
		"after zero":      {units('a', 0, 'b'), "a"},
		"odd byte":        {[]byte{'a', 0, 'b'}, "a"},
		"empty":           {nil, ""},
		"long":            {appendText(nil, strings.Repeat("字", 2000)), strings.Repeat("字", maxText)},
	} {
		if got := decodeText(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := fourCC([]byte{'W', 0, 1, 0xFF}); got != "0x570001FF" {
		t.Errorf("codec code %q", got)
	}
}

func TestIsHeader(t *testing.T) {
	b := BuildHeader(smallSpec())
	if !IsHeader(b[:16]) || IsHeader(b[:15]) || IsHeader(b[1:]) || IsHeader(nil) {
		t.Error("header is not told from other bytes")
	}
}

// MUST-R4: no header makes the parser allocate more than it received + 64 KiB.
func TestHeaderMemoryIsBounded(t *testing.T) {
	for name, b := range bigHeaders() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h, err := ParseHeader(b)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if got, bound := after.TotalAlloc-before.TotalAlloc, uint64(len(b)+64<<10); got > bound {
				t.Errorf("%d bytes allocated for %d received", got, len(b))
			}
			runtime.KeepAlive(h)
		})
	}
}

// bigHeaders are about as large as a header may be, each with much of one kind.
func bigHeaders() map[string][]byte {
	text := strings.Repeat("字", 300)
	many, streams, codecs, exclusions := smallSpec(), smallSpec(), smallSpec(), smallSpec()
	for range 100 {
		many.Attributes = append(many.Attributes, Attribute{text[:30], text})
	}
	for n := uint8(3); n < 128; n++ {
		streams.Streams = append(streams.Streams, StreamSpec{Number: n, Kind: Video, FourCC: "WMV3",
			Name: "n", CodecName: text[:60], CodecInfo: text[:60], BitrateBPS: 1})
	}
	codecs.Streams[0].CodecName = strings.Repeat("字", 30000)
	b := BuildHeader(exclusions)
	end := len(b) - DataHeadSize
	wide := bytes.Clone(b[:end])
	for range 900 {
		wide = append(append(wide, GUIDBitrateExclusion[:]...), 42, 0, 0, 0, 0, 0, 0, 0)
		wide = append(wide, make([]byte, 18)...)
	}
	le.PutUint64(wide[16:], uint64(len(wide)))
	return map[string][]byte{"attributes": BuildHeader(many), "streams": BuildHeader(streams),
		"codecs": BuildHeader(codecs), "exclusions": append(wide, b[end:]...)}
}
