package asf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// video is the key set used by packet tests: stream 2.
var video = StreamSet{1 << 2}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacketSinglePayloadOfAWindowsEncoder(t *testing.T) {
	p := build(t, strippedSingle())
	head := mustHex(t, "820000 485D 1715 00 B5224C00 1200 02 16 DB390000 0A CA9E0000 A8294C00 C800")
	if !bytes.HasPrefix(p, head) || len(p) != 5399 {
		t.Fatalf("%d bytes, % x", len(p), p[:len(head)])
	}
	k, err := ParsePacket(p, 5456, video)
	if err != nil {
		t.Fatal(err)
	}
	want := Packet{SendTime: 4989621, Duration: 18, Streams: video, KeyStartPayload: -1, Payloads: 1,
		PacketLength: 5399, PayloadsStart: 14, ContentEnd: 5399}
	if k != want {
		t.Errorf("%+v\nwant %+v", k, want)
	}
	w := Payloads(p, 5456)
	if !w.Next() {
		t.Fatal(w.Err())
	}
	if pl := w.Payload; pl.Stream != 2 || pl.Key || pl.Object != 22 || pl.Offset != 14811 || pl.ObjectSize != 40650 ||
		pl.PresTime != 4991400 || pl.Replicated != 10 || pl.End-pl.Start != 5368 {
		t.Errorf("%+v", pl)
	}
	if w.Next() || w.Err() != nil {
		t.Errorf("a second payload, or %v", w.Err())
	}
}

func TestPacketKeyFrameBehindOtherPayloads(t *testing.T) {
	p := build(t, strippedMulti())
	if head := mustHex(t, "820000 095D 00 31344C00 9400 83 01 02 00000000 08 E8020000 93394C00 E802"); !bytes.HasPrefix(p, head) {
		t.Fatalf("% x", p[:len(head)])
	}
	k, err := ParsePacket(p, 5456, video)
	if err != nil {
		t.Fatal(err)
	}
	want := Packet{SendTime: 4994097, Duration: 148, Streams: StreamSet{1<<1 | 1<<2}, KeyStart: true, KeyStartPayload: 2,
		KeyTime: 4996000, Payloads: 3, Multiple: true, PayloadsStart: 13, ContentEnd: len(p)}
	if k != want {
		t.Errorf("%+v\nwant %+v", k, want)
	}
}

// MUST-P2: only a payload of a key stream that carries the bit at the object's
// first byte starts a key frame.
func TestPacketKeyStart(t *testing.T) {
	key := func(change func(*PayloadSpec)) PayloadSpec {
		pl := PayloadSpec{Stream: 2, Key: true, ObjectSize: 5000, PresTime: 77, Data: filled(20)}
		change(&pl)
		return pl
	}
	start := key(func(*PayloadSpec) {})
	later := key(func(p *PayloadSpec) { p.Offset = 100 })
	audio := key(func(p *PayloadSpec) { p.Stream = 1 })
	plain := key(func(p *PayloadSpec) { p.Key = false })
	packed := key(func(p *PayloadSpec) { p.Compressed, p.Data, p.PresTime = true, []byte{1, 9}, 0 })
	bare := key(func(p *PayloadSpec) { p.NoReplicated = true })
	for _, c := range []struct {
		name     string
		payloads []PayloadSpec
		at       int
	}{
		{"first payload", []PayloadSpec{start}, 0},
		{"behind audio and a tail", []PayloadSpec{audio, later, start}, 2},
		{"the first of two", []PayloadSpec{plain, start, start}, 1},
		{"without replicated data", []PayloadSpec{bare}, 0},
		{"continuation fragment", []PayloadSpec{later}, -1},
		{"audio with the key bit", []PayloadSpec{audio}, -1},
		{"no key bit", []PayloadSpec{plain}, -1},
		{"compressed payload", []PayloadSpec{packed}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, PacketSpec{Payloads: c.payloads})
			k, err := ParsePacket(p, 0, video)
			if err != nil || k.KeyStart != (c.at >= 0) || k.KeyStartPayload != c.at {
				t.Errorf("%+v, %v; want payload %d", k, err, c.at)
			}
			if none, err := ParsePacket(p, 0, StreamSet{}); err != nil || none.KeyStart {
				t.Errorf("a key frame without key streams: %+v, %v", none, err)
			}
		})
	}
}

// Every combination of field widths, with and without error correction, reads
// back, and the fast path finds the same send time.
func TestPacketFieldWidths(t *testing.T) {
	for ltf := range 64 {
		for _, bare := range []bool{false, true} {
			spec := PacketSpec{SendTime: 0xFFFFFFF0, Duration: 0xFFFF, NoErrorCorrection: bare, Size: 200,
				Multiple: ltf&1 != 0, SequenceWidth: uint8(ltf >> 1 & 3), PaddingWidth: uint8(ltf >> 3 & 3),
				LengthWidth: uint8(ltf>>5) * 2, Sequence: 9,
				Payloads: []PayloadSpec{{Stream: 127, Object: 3, ObjectSize: 50, PresTime: 5, Data: filled(50)}}}
			p := build(t, spec)
			k, err := ParsePacket(p, 200, StreamSet{})
			if err != nil || len(p) != 200 || k.SendTime != spec.SendTime || k.Duration != spec.Duration ||
				!k.Streams.Has(127) || k.ContentEnd != 200-k.PaddingLength {
				t.Fatalf("ltf %#x, bare %v: %d bytes, %+v, %v", ltf, bare, len(p), k, err)
			}
			if s, err := SendTime(p); err != nil || s != spec.SendTime {
				t.Fatalf("ltf %#x, bare %v: send time %d, %v", ltf, bare, s, err)
			}
			w := Payloads(p, 200)
			if !w.Next() || !bytes.Equal(p[w.Payload.Start:w.Payload.End], filled(50)) {
				t.Fatalf("ltf %#x, bare %v: %+v, %v", ltf, bare, w.Payload, w.Err())
			}
		}
	}
}

func TestPacketPropertyWidths(t *testing.T) {
	for low := range 64 {
		property := byte(0x40 | low)
		pl := PayloadSpec{Stream: 2, Object: 1, ObjectSize: 9, PresTime: 8, Data: filled(9)}
		pl.NoReplicated = low&3 == 0
		p := build(t, PacketSpec{Property: property, Payloads: []PayloadSpec{pl, pl}})
		if k, err := ParsePacket(p, 0, StreamSet{}); err != nil || k.Payloads != 2 || k.ContentEnd != len(p) {
			t.Errorf("property flags %#x: %+v, %v", property, k, err)
		}
	}
}

func TestPacketCompressedPayload(t *testing.T) {
	p := build(t, compressedPacket())
	w := Payloads(p, 200)
	if !w.Next() {
		t.Fatal(w.Err())
	}
	if pl := w.Payload; !pl.Compressed || pl.PresTime != 3000 || pl.TimeDelta != 20 || pl.Offset != 0 || pl.Object != 7 ||
		pl.End-pl.Start != 8 || !pl.HasTime() {
		t.Errorf("%+v", pl)
	}
}

// A packet length beyond the bytes at hand counts as absent; one below them
// ends the packet.
func TestPacketLengthField(t *testing.T) {
	p := build(t, strippedSingle())
	for _, c := range []struct {
		announced           uint16
		length, end, behind int
	}{
		{5399, 5399, 5399, 0}, {5400, 0, 5399, 0}, {0xFFFF, 0, 5399, 0}, {0, 0, 5399, 0}, {5000, 5000, 5000, 0}, {5399, 5399, 5399, 57},
	} {
		q := append(bytes.Clone(p), make([]byte, c.behind)...)
		le.PutUint16(q[5:], c.announced)
		k, err := ParsePacket(q, 5456, video)
		if err != nil || k.PacketLength != c.length || k.ContentEnd != c.end {
			t.Errorf("announced %d: %+v, %v", c.announced, k, err)
		}
	}
}

func TestTimeDiff(t *testing.T) {
	for _, c := range []struct {
		a, b uint32
		want int32
	}{{5, 3, 2}, {3, 5, -2}, {4, 0xFFFFFFFE, 6}, {0xFFFFFFFE, 4, -6}, {7, 7, 0}} {
		if got := TimeDiff(c.a, c.b); got != c.want {
			t.Errorf("TimeDiff(%d, %d) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestPacketPathDoesNotAllocate(t *testing.T) {
	single, multi := strippedSingle(), strippedMulti()
	p, q := build(t, single), build(t, multi)
	dst := make([]byte, 0, 8192)
	var err error
	for name, f := range map[string]func(){
		"parse":  func() { _, err = ParsePacket(q, 5456, video) },
		"time":   func() { _, err = SendTime(p) },
		"rebase": func() { err = Rebase(q, 5456, 1) },
		"pad":    func() { _, err = Pad(dst, q, 5456) },
		"strip":  func() { _, err = Strip(p, 5456) },
		"build":  func() { _, err = AppendPacket(dst, multi) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", name, n, err)
		}
	}
}

func ExamplePayloads() {
	p, _ := AppendPacket(nil, PacketSpec{Payloads: []PayloadSpec{
		{Stream: 1, Object: 8, PresTime: 3000, Data: []byte("sound")},
		{Stream: 2, Key: true, PresTime: 3040, Data: []byte("picture")},
	}})
	w := Payloads(p, 0)
	for w.Next() {
		fmt.Printf("stream %d key %v at %d ms: %s\n", w.Payload.Stream, w.Payload.Key, w.Payload.PresTime, p[w.Payload.Start:w.Payload.End])
	}
	fmt.Println(w.Err())
	// Output:
	// stream 1 key false at 3000 ms: sound
	// stream 2 key true at 3040 ms: picture
	// <nil>
}
