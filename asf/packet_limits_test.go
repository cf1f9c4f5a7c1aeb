package asf

import (
	"bytes"
	"errors"
	"testing"
)

// MUST-R4: a packet whose numbers do not fit what is there is refused by name,
// offset and bound, and no rewriting touches it.
func TestPacketRefusesLies(t *testing.T) {
	single := PacketSpec{LengthWidth: 2, PaddingWidth: 1, Size: 100, Payloads: []PayloadSpec{
		{Stream: 2, Key: true, ObjectSize: 1000, PresTime: 5, Data: filled(60)}}} // 14 head, 15 payload head, 60 data, 11 padding
	multi := PacketSpec{PaddingWidth: 1, Size: 100, Payloads: []PayloadSpec{
		{Stream: 1, ObjectSize: 10, PresTime: 5, Data: filled(10)},
		{Stream: 2, ObjectSize: 20, PresTime: 6, Data: filled(20)}}} // 13 head, 17+10, 17+20, 23 padding
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(p []byte) []byte { copy(p[at:], v); return p }
	}
	cut := func(n int) func([]byte) []byte { return func(p []byte) []byte { return p[:n] } }
	info := "payload parsing information"
	for _, c := range []struct {
		name          string
		spec          PacketSpec
		change        func([]byte) []byte
		kind          error
		object        string
		offset, bound int
	}{
		{"no bytes", single, cut(0), ErrPacket, "packet", 0, 8},
		{"seven bytes", single, cut(7), ErrPacket, "packet", 0, 8},
		{"cut in the head", single, cut(13), ErrPacket, info, 5, 13},
		{"longer than the packet size", single, func(p []byte) []byte { return append(p, 0) }, ErrPacketSize, "packet", 0, 100},
		{"error correction with opaque data", single, set(0, 0x92), ErrPacket, "error correction", 0, 0x8F},
		{"error correction length type", single, set(0, 0xA2), ErrPacket, "error correction", 0, 0x8F},
		{"error correction longer than the packet", single, func(p []byte) []byte { p[0] = 0x8F; return p[:16] }, ErrPacket, "error correction", 0, 16},
		{"length type flags bit 7", single, set(3, 0xC8), ErrPacket, info, 3, 0x7F},
		{"stream number width", single, set(4, 0x9D), ErrPacket, info, 4, 1},
		{"packet length below the head", single, set(5, 13, 0), ErrPacket, info, 5, 14},
		{"padding beyond the content", single, set(7, 87), ErrPacket, info, 7, 86},
		{"padding leaves half a payload head", single, set(7, 80), ErrPacket, "payload", 14, 20},
		{"stream 0", single, set(14, 0x80), ErrPacket, "payload", 14, 1},
		{"replicated data beyond the content", single, set(20, 69), ErrPacket, "payload", 20, 68},
		{"replicated data of 2 bytes", single, set(20, 2), ErrPacket, "payload", 21, 8},
		{"replicated data of 7 bytes", single, set(20, 7), ErrPacket, "payload", 21, 8},
		{"offset at the object's end", single, set(16, 0xE8, 3), ErrPacket, "payload", 14, 1000},
		{"no payloads", multi, set(12, 0x80), ErrPacket, "payload flags", 12, 1},
		{"8-bit payload lengths", multi, set(12, 0x42), ErrPacket, "payload flags", 12, 2},
		{"absent payload lengths", multi, set(12, 0x02), ErrPacket, "payload flags", 12, 2},
		{"cut before the payload flags", multi, cut(12), ErrPacket, "payload flags", 12, 12},
		{"more payloads than content", multi, func(p []byte) []byte { p[12], p[5] = 0x83, 23; return p }, ErrPacket, "payload", 77, 77},
		{"63 payloads", multi, set(12, 0xBF), ErrPacket, "payload", 77, 77},
		{"payload length beyond the content", multi, set(28, 48), ErrPacket, "payload", 28, 47},
		{"payload length field beyond the content", multi, set(5, 71), ErrPacket, "payload", 28, 29},
		{"padding in a payload", multi, set(5, 24), ErrPacket, "payload", 55, 19},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, c.spec)
			if len(p) != 100 {
				t.Fatalf("%d bytes", len(p))
			}
			p = c.change(p)
			k, err := ParsePacket(p, 100, video)
			wantError(t, err, c.kind, c.object, c.offset, c.bound)
			if k != (Packet{}) {
				t.Errorf("a packet came with the error: %+v", k)
			}
			checkRefused(t, p, 100)
		})
	}
}

// checkRefused makes sure that Rebase and Strip leave a malformed packet alone.
func checkRefused(t *testing.T, p []byte, nominal int) {
	t.Helper()
	before := bytes.Clone(p)
	if err := Rebase(p, nominal, 7); err == nil || !bytes.Equal(p, before) {
		t.Errorf("rebase: %v, bytes kept %v", err, bytes.Equal(p, before))
	}
	if q, err := Strip(p, nominal); err == nil || len(q) != len(p) || !bytes.Equal(p, before) {
		t.Errorf("strip: %v, bytes kept %v", err, bytes.Equal(p, before))
	}
}

func TestPacketRefusesSubPayloadsThatDoNotAddUp(t *testing.T) {
	spec := compressedPacket()
	spec.Payloads[0].Data = []byte{2, 10, 11, 4, 20, 21, 22}
	_, err := ParsePacket(build(t, spec), 200, video)
	wantError(t, err, ErrPacket, "compressed payload", 12+7+1+3, 3)
}

func TestSendTimeRefuses(t *testing.T) {
	p := build(t, strippedSingle())
	_, err := SendTime(p[:13])
	wantError(t, err, ErrPacket, "payload parsing information", 5, 13)
	if _, err = SendTime(nil); !errors.Is(err, ErrPacket) {
		t.Error(err)
	}
}

// Every prefix of a good packet is either refused or read inside its bounds.
func TestPacketPrefixes(t *testing.T) {
	for _, spec := range []PacketSpec{strippedSingle(), strippedMulti(), compressedPacket()} {
		p := build(t, spec)
		for n := range min(len(p), 200) {
			k, err := ParsePacket(p[:n:n], 0, video)
			if err == nil && (k.ContentEnd > n || k.PayloadsStart > k.ContentEnd) {
				t.Fatalf("%d bytes: %+v", n, k)
			}
		}
	}
}
