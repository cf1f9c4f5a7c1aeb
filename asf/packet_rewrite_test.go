package asf

import (
	"bytes"
	"testing"
)

// contents lists the payload bytes of a packet, one after the other.
func contents(t testing.TB, p []byte, nominal int) [][]byte {
	t.Helper()
	var out [][]byte
	w := Payloads(p, nominal)
	for w.Next() {
		out = append(out, p[w.Payload.Start:w.Payload.End])
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func sameContents(a, b [][]byte) bool {
	for i := range a {
		if i >= len(b) || !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestRebaseChangesTimesOnly(t *testing.T) {
	mixed := strippedMulti()
	mixed.Payloads = append(mixed.Payloads, compressedPacket().Payloads[0], PayloadSpec{Stream: 3, NoReplicated: true, Data: filled(9)})
	for name, spec := range map[string]PacketSpec{"single": strippedSingle(), "multi": strippedMulti(),
		"compressed": compressedPacket(), "mixed": mixed} {
		for _, delta := range []uint32{1, 0xFFFFFFFF, 4989621, 1 << 31} {
			p := build(t, spec)
			before := bytes.Clone(p)
			if err := Rebase(p, 0, delta); err != nil {
				t.Fatal(name, err)
			}
			want := spec
			want.SendTime += delta
			want.Payloads = append([]PayloadSpec(nil), spec.Payloads...)
			for i := range want.Payloads {
				want.Payloads[i].PresTime += delta
			}
			if !bytes.Equal(p, build(t, want)) {
				t.Errorf("%s, %d: not the packet built with these times", name, delta)
			}
			if err := Rebase(p, 0, -delta); err != nil || !bytes.Equal(p, before) {
				t.Errorf("%s, %d: the way back is no identity (%v)", name, delta, err)
			}
		}
	}
}

func TestRebaseRefusesNarrowTimes(t *testing.T) {
	spec := compressedPacket()
	spec.Property = 0x59 // 16-bit offsets
	p := build(t, spec)
	before := bytes.Clone(p)
	wantError(t, Rebase(p, 0, 1), ErrNoRoom, "compressed payload", 14, 3)
	if !bytes.Equal(p, before) {
		t.Error("the packet was changed")
	}
}

// Restored padding is announced in every case, so that no reader takes it for
// payload.
func TestPadAnnounces(t *testing.T) {
	one := []PayloadSpec{{Stream: 2, ObjectSize: 1000, Data: filled(60)}}
	two := append(one[:1:1], PayloadSpec{Stream: 1, ObjectSize: 40, Data: filled(40)})
	for _, c := range []struct {
		name    string
		spec    PacketSpec
		add     int  // bytes missing to the packet size
		ltf     byte // length type flags afterwards
		padding int  // announced afterwards
	}{
		{"full", PacketSpec{Payloads: one}, 0, 0x00, 0},
		{"packet length present", PacketSpec{Payloads: one, LengthWidth: 2, PaddingWidth: 1}, 300, 0x48, 0},
		{"8-bit field with room", PacketSpec{Payloads: two, PaddingWidth: 1}, 255, 0x09, 255},
		{"8-bit field without room", PacketSpec{Payloads: two, PaddingWidth: 1}, 256, 0x11, 255},
		{"8-bit field, much missing", PacketSpec{Payloads: one, PaddingWidth: 1}, 4000, 0x10, 3999},
		{"16-bit field", PacketSpec{Payloads: one, PaddingWidth: 2}, 4000, 0x10, 4000},
		{"32-bit field", PacketSpec{Payloads: one, PaddingWidth: 3}, 4000, 0x18, 4000},
		{"no field, 1 missing", PacketSpec{Payloads: one}, 1, 0x08, 0},
		{"no field, 2 missing", PacketSpec{Payloads: one}, 2, 0x10, 0},
		{"no field, 3 missing", PacketSpec{Payloads: two}, 3, 0x11, 1},
		{"no field, much missing", PacketSpec{Payloads: one}, 4000, 0x10, 3998},
		{"sequence present", PacketSpec{Payloads: one, SequenceWidth: 1, Sequence: 7}, 10, 0x12, 8},
		{"no error correction", PacketSpec{Payloads: one, NoErrorCorrection: true}, 10, 0x10, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, c.spec)
			size := len(p) + c.add
			out, err := Pad([]byte("before"), p, size)
			if err != nil || !bytes.HasPrefix(out, []byte("before")) {
				t.Fatal(err)
			}
			out = out[len("before"):]
			k, err := ParsePacket(out, size, video)
			if err != nil || len(out) != size || k.PaddingLength != c.padding {
				t.Fatalf("%d bytes of %d, %+v, %v", len(out), size, k, err)
			}
			ltf := out[3]
			if c.spec.NoErrorCorrection {
				ltf = out[0]
			}
			if ltf != c.ltf {
				t.Errorf("length type flags %#x, want %#x", ltf, c.ltf)
			}
			if !sameContents(contents(t, p, 0), contents(t, out, size)) {
				t.Error("payload bytes changed")
			}
		})
	}
}

func TestPadFullPacketIsAsItWas(t *testing.T) {
	p := build(t, strippedMulti())
	if out, err := Pad(nil, p, len(p)); err != nil || !bytes.Equal(out, p) {
		t.Error(err)
	}
}

// A packet length that was nonsense at the received size must not become
// believable at the padded one.
func TestPadCorrectsWrongPacketLength(t *testing.T) {
	spec := strippedSingle()
	for _, announced := range []uint16{0, 5430} {
		p := build(t, spec)
		le.PutUint16(p[5:], announced)
		out, err := Pad(nil, p, 5456)
		if err != nil || !sameContents(contents(t, p, 0), contents(t, out, 5456)) {
			t.Errorf("announced %d: payload changed or %v", announced, err)
		}
	}
}

func TestPadRefuses(t *testing.T) {
	p := build(t, strippedMulti())
	dst := []byte("kept")
	out, err := Pad(dst, p, len(p)-1)
	wantError(t, err, ErrPacketSize, "packet", 0, len(p)-1)
	if string(out) != "kept" {
		t.Errorf("%q", out)
	}
}

// MUST-P7: a stripped single-payload packet announces its length, and what
// cannot be stripped safely keeps its padding.
func TestStrip(t *testing.T) {
	one := []PayloadSpec{{Stream: 2, ObjectSize: 1000, Data: filled(60)}}
	two := append(one[:1:1], PayloadSpec{Stream: 1, ObjectSize: 40, Data: filled(40)})
	for _, c := range []struct {
		name           string
		spec           PacketSpec
		kept           bool
		ltf            byte
		length, ending int // packet length announced afterwards, extra bytes in front
	}{
		{"multi, 8-bit padding", PacketSpec{Payloads: two, Size: 300}, false, 0x09, 0, 0},
		{"multi, 16-bit padding", PacketSpec{Payloads: two, Size: 1000}, false, 0x11, 0, 0},
		{"multi, no padding", PacketSpec{Payloads: two}, true, 0x01, 0, 0},
		{"single, 16-bit padding", PacketSpec{Payloads: one, Size: 1000}, false, 0x40, 88, 0},
		{"single, 8-bit padding", PacketSpec{Payloads: one, Size: 200}, true, 0x08, 0, 0},
		{"single, 16-bit padding, sequence", PacketSpec{Payloads: one, Size: 1000, SequenceWidth: 1}, true, 0x12, 0, 0},
		{"single, packet length", PacketSpec{Payloads: one, Size: 1000, LengthWidth: 2}, false, 0x50, 90, 0},
		{"single, 8-bit packet length", PacketSpec{Payloads: one, Size: 200, LengthWidth: 1}, false, 0x28, 88, 0},
		{"bytes behind the packet length", PacketSpec{Payloads: one, LengthWidth: 2}, false, 0x40, 88, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := append(build(t, c.spec), make([]byte, c.ending)...)
			before := contents(t, p, 0)
			for i := range before {
				before[i] = bytes.Clone(before[i])
			}
			q, err := Strip(p, 0)
			if err != nil || (len(q) == len(p)) != c.kept || q[3] != c.ltf {
				t.Fatalf("%d of %d bytes left, flags %#x, %v", len(q), len(p), q[3], err)
			}
			k, err := ParsePacket(q, 0, video)
			if err != nil || k.PacketLength != c.length || !c.kept && (k.PaddingLength != 0 || k.ContentEnd != len(q)) {
				t.Errorf("%+v, %v", k, err)
			}
			if !sameContents(before, contents(t, q, 0)) {
				t.Error("payload bytes changed")
			}
		})
	}
}
