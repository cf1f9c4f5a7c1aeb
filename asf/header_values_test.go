package asf

import "testing"

func TestAttributeValues(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  uint16
		value []byte
		want  string
	}{
		{"text", 0, appendText(nil, "x"), "x"},
		{"bytes", 1, []byte{1, 2}, ""},
		{"true", 2, []byte{1, 0, 0, 0}, "true"},
		{"false", 2, []byte{0, 0, 0, 0}, "false"},
		{"32 bits", 3, []byte{0, 1, 0, 0}, "256"},
		{"64 bits", 4, []byte{0, 0, 0, 0, 1, 0, 0, 0}, "4294967296"},
		{"16 bits", 5, []byte{0, 2}, "512"},
		{"cut short", 4, []byte{1, 2, 3}, ""},
		{"unknown", 9, []byte{1, 2, 3, 4}, ""},
	} {
		if got := attributeText(c.kind, c.value); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestStreamKindNames(t *testing.T) {
	for kind, want := range map[StreamKind]string{Audio: "audio", Video: "video", Command: "command", Other: "other", 99: "other"} {
		if kind.String() != want {
			t.Errorf("kind %d is %q, want %q", kind, kind, want)
		}
	}
}

// Objects of the Header Extension that matter to a reflector are seen there.
func TestHeaderExtensionObjects(t *testing.T) {
	spec := smallSpec()
	spec.ExtensionPadding = 24 + 16 + 2 + 4
	exclusion := BuildHeader(spec)
	o := at(t, exclusion, GUIDPadding, 0)
	copy(exclusion[o:], GUIDAdvancedExclusion[:])
	copy(exclusion[o+40:], []byte{2, 0, 1, 0, 2, 0})
	if h := parse(t, exclusion); len(h.Exclusive) != 1 || !h.Exclusive[0].Has(1) || !h.Exclusive[0].Has(2) {
		t.Errorf("advanced exclusion %v", h.Exclusive)
	}
	encryption := BuildHeader(spec)
	copy(encryption[at(t, encryption, GUIDPadding, 0):], GUIDAdvContentEncryption[:])
	if !parse(t, encryption).Encrypted {
		t.Error("advanced content encryption is not seen")
	}
}

func TestHeaderRefusesEmbeddedStreamBeyondItsParent(t *testing.T) {
	spec := smallSpec()
	spec.Streams[0].Embedded = true
	b := BuildHeader(spec)
	o := at(t, b, GUIDStreamProperties, 0)
	size := int(le.Uint64(b[o+16:]))
	le.PutUint64(b[o+16:], uint64(size+1))
	_, err := ParseHeader(b)
	wantError(t, err, ErrObjectSize, "stream properties", o+16, size)
}
