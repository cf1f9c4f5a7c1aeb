package asf

import (
	"bytes"
	"errors"
	"testing"
)

func TestGUIDTextForm(t *testing.T) {
	wire := []byte{0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C}
	if !bytes.Equal(GUIDHeader[:], wire) {
		t.Errorf("wire order % x", GUIDHeader)
	}
	if s := GUIDHeader.String(); s != "75B22630-668E-11CF-A6D9-00AA0062CE6C" {
		t.Errorf("text form %s", s)
	}
	for _, s := range []string{"75B22630-668E-11CF-A6D9-00AA0062CE6C", "{75b22630-668e-11cf-a6d9-00aa0062ce6c}"} {
		if g, err := ParseGUID(s); err != nil || g != GUIDHeader {
			t.Errorf("ParseGUID(%q) = %v, %v", s, g, err)
		}
	}
	for g, name := range objectNames {
		if back, err := ParseGUID(g.String()); err != nil || back != g {
			t.Errorf("%s does not survive its text form", name)
		}
	}
}

func TestGUIDRefusesOtherText(t *testing.T) {
	for _, s := range []string{"", "75B22630", "75B22630-668E-11CF-A6D9-00AA0062CE6", "75B22630-668E-11CF-A6D9-00AA0062CE6G",
		"75B22630x668E-11CF-A6D9-00AA0062CE6C", "75B22630-668E-11CF-A6D9-00AA00-2CE6C"} {
		if _, err := ParseGUID(s); !errors.Is(err, ErrField) {
			t.Errorf("ParseGUID(%q): %v", s, err)
		}
	}
}

func TestGUIDName(t *testing.T) {
	if n := GUIDFileProperties.Name(); n != "file properties" {
		t.Error(n)
	}
	if n := (GUID{}).Name(); n != "unknown object" {
		t.Error(n)
	}
}
