package asf

import (
	"bytes"
	"errors"
	"testing"
)

func TestPacketRoundTrip(t *testing.T) {
	none := strippedMulti()
	none.NoErrorCorrection, none.SequenceWidth, none.Sequence = true, 3, 77
	odd := strippedSingle()
	odd.ErrorCorrection = []byte{0x83, 1, 2, 3}
	padded := strippedMulti()
	padded.Stripped, padded.PaddingWidth = false, 2
	bare := PacketSpec{Size: 64, Payloads: []PayloadSpec{{Stream: 9, NoReplicated: true, Data: filled(5)}}}
	wide := PacketSpec{Property: 0x7F, Payloads: []PayloadSpec{{Stream: 9, Object: 70000, ObjectSize: 5, Data: filled(5)}}}
	for name, spec := range map[string]PacketSpec{"single": strippedSingle(), "multi": strippedMulti(), "padded": padded,
		"compressed": compressedPacket(), "no error correction": none, "long error correction": odd,
		"no replicated data": bare, "wide fields": wide} {
		t.Run(name, func(t *testing.T) {
			p := build(t, spec)
			back, err := DescribePacket(p, 0)
			if err != nil {
				t.Fatal(err)
			}
			if q := build(t, back); !bytes.Equal(p, q) {
				t.Errorf("% x\nbecame\n% x", p, q)
			}
		})
	}
}

func TestAppendPacketPadsToSize(t *testing.T) {
	payload := []PayloadSpec{{Stream: 2, ObjectSize: 60, Data: filled(60)}}
	content := len(build(t, PacketSpec{Payloads: payload}))
	for missing := range 600 {
		p := build(t, PacketSpec{Payloads: payload, Size: content + missing})
		k, err := ParsePacket(p, content+missing, video)
		if err != nil || len(p) != content+missing || k.ContentEnd+k.PaddingLength != len(p) {
			t.Fatalf("%d missing: %d bytes, %+v, %v", missing, len(p), k, err)
		}
		if got := contents(t, p, 0); !bytes.Equal(got[0], filled(60)) {
			t.Fatalf("%d missing: payload % x", missing, got[0])
		}
	}
}

func TestAppendPacketRefuses(t *testing.T) {
	one := func(change func(*PayloadSpec)) []PayloadSpec {
		pl := PayloadSpec{Stream: 1, Data: filled(10)}
		change(&pl)
		return []PayloadSpec{pl}
	}
	same := func(*PayloadSpec) {}
	for _, c := range []struct {
		name string
		spec PacketSpec
		kind error
	}{
		{"no payload", PacketSpec{}, ErrField},
		{"64 payloads", PacketSpec{Payloads: make([]PayloadSpec, 64)}, ErrField},
		{"stream 0", PacketSpec{Payloads: one(func(p *PayloadSpec) { p.Stream = 0 })}, ErrField},
		{"stream 128", PacketSpec{Payloads: one(func(p *PayloadSpec) { p.Stream = 128 })}, ErrField},
		{"content beyond size", PacketSpec{Size: 30, Payloads: one(same)}, ErrNoRoom},
		{"payload beyond 16 bits", PacketSpec{Multiple: true, Payloads: one(func(p *PayloadSpec) { p.Data = filled(65536) })}, ErrNoRoom},
		{"replicated data beyond 8 bits", PacketSpec{Payloads: one(func(p *PayloadSpec) { p.Extension = filled(248) })}, ErrNoRoom},
		{"offset beyond its field", PacketSpec{Property: 0x55, Payloads: one(func(p *PayloadSpec) { p.Offset = 256 })}, ErrNoRoom},
		{"padding beyond its field", PacketSpec{Size: 400, PaddingWidth: 1, Payloads: one(same)}, ErrNoRoom},
		{"length beyond its field", PacketSpec{Size: 400, LengthWidth: 1, Payloads: one(same)}, ErrNoRoom},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst, err := AppendPacket([]byte("kept"), c.spec)
			var e *Error
			if !errors.Is(err, c.kind) || !errors.As(err, &e) || string(dst) != "kept" {
				t.Errorf("%q, %v", dst, err)
			}
		})
	}
}

func TestDescribePacketRefuses(t *testing.T) {
	if _, err := DescribePacket([]byte{0x82}, 0); !errors.Is(err, ErrPacket) {
		t.Error(err)
	}
}
