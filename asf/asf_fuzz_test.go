package asf

import (
	"bytes"
	"testing"
)

func FuzzHeader(f *testing.F) {
	f.Add(BuildHeader(encoderSpec()), false)
	f.Add(BuildHeader(smallSpec()), true)
	f.Add(BuildHeader(lyingSpec()), true)
	embedded := smallSpec()
	embedded.Streams[0].Embedded, embedded.Padding = true, 100
	f.Add(BuildHeader(embedded), true)
	for _, s := range samples {
		header, _, _ := readSample(f, s.name)
		f.Add(header, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, frame bool) {
		if frame {
			b = reframe(b)
		}
		before := bytes.Clone(b)
		_, sizeErr := HeaderSize(b)
		h, err := ParseHeader(b)
		live, id, small := SetLive(b), SetFileID(b, testID), StripHeaderPadding(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was written to")
		}
		if !Equivalent(b, b) || !Equivalent(b, id) {
			t.Fatal("a header is not equivalent to itself, or not with another file id")
		}
		if err != nil {
			return
		}
		if sizeErr != nil {
			t.Fatal("parsed, but has no size:", sizeErr)
		}
		checkFuzzedHeader(t, h, live, small)
	})
}

// reframe makes the outermost sizes and GUIDs right, so that more inputs get
// past them.
func reframe(b []byte) []byte {
	if len(b) < headerFixed+DataHeadSize || len(b) > MaxHeaderSize {
		return b
	}
	b = bytes.Clone(b)
	copy(b, GUIDHeader[:])
	le.PutUint64(b[16:], uint64(len(b)-DataHeadSize))
	copy(b[len(b)-DataHeadSize:], GUIDData[:])
	return b
}

func checkFuzzedHeader(t *testing.T, h *Header, live, small []byte) {
	_ = h.Validate()
	_ = h.Warnings()
	l, err := ParseHeader(live)
	if err != nil {
		t.Fatal("live:", err)
	}
	if !l.Broadcast() || l.MinPacketSize != l.MaxPacketSize || len(l.Streams) != len(h.Streams) {
		t.Fatalf("live header %+v", l)
	}
	if again := SetLive(live); &again[0] != &live[0] {
		t.Fatal("a live header was changed again")
	}
	s, err := ParseHeader(small)
	if err != nil || len(small) > len(h.Raw) || len(s.Streams) != len(h.Streams) || s.PacketSize != h.PacketSize {
		t.Fatalf("without padding: %v", err)
	}
	if again := StripHeaderPadding(small); &again[0] != &small[0] {
		t.Fatal("padding was left")
	}
}

// addPackets adds seeds: built packets and those of other muxers.
func addPackets(f *testing.F, add func(p []byte)) {
	for _, spec := range []PacketSpec{strippedSingle(), strippedMulti(), compressedPacket()} {
		p, err := AppendPacket(nil, spec)
		if err != nil {
			f.Fatal(err)
		}
		add(p)
	}
	for _, s := range samples {
		_, packets, _ := readSample(f, s.name)
		add(packets[0])
		add(packets[len(packets)-1])
	}
}

func FuzzPacket(f *testing.F) {
	addPackets(f, func(p []byte) { f.Add(p, 0) })
	f.Fuzz(func(t *testing.T, p []byte, nominal int) {
		p = p[:len(p):len(p)]
		k, err := ParsePacket(p, nominal, StreamSet{1<<64 - 1, 1<<64 - 1})
		w := Payloads(p, nominal)
		end, n := 0, 0
		for w.Next() {
			if pl := w.Payload; pl.Start > pl.End || pl.Head < end || pl.End > w.head.contentEnd || pl.Stream == 0 {
				t.Fatalf("payload %+v", pl)
			}
			end, n = w.Payload.End, n+1
		}
		if (w.Err() == nil) != (err == nil) {
			t.Fatalf("walk %v, parse %v", w.Err(), err)
		}
		if err != nil {
			return
		}
		send, err := SendTime(p)
		if err != nil || send != k.SendTime || n != k.Payloads || k.ContentEnd > len(p) || k.KeyStart != (k.KeyStartPayload >= 0) {
			t.Fatalf("%+v, %d payloads, send time %d, %v", k, n, send, err)
		}
		spec, err := DescribePacket(p, nominal)
		if err != nil {
			t.Fatal(err)
		}
		q, err := AppendPacket(nil, spec)
		if err != nil || !sameContents(contents(t, p, 0), contents(t, q, 0)) {
			t.Fatalf("built again: %v", err)
		}
	})
}

func FuzzRebase(f *testing.F) {
	addPackets(f, func(p []byte) { f.Add(p, uint32(4989621)) })
	f.Fuzz(func(t *testing.T, p []byte, delta uint32) {
		before := bytes.Clone(p)
		if err := Rebase(p, 0, delta); err != nil {
			if !bytes.Equal(p, before) {
				t.Fatal("a refused packet was changed")
			}
			return
		}
		was, _ := SendTime(before)
		if now, err := SendTime(p); err != nil || now != was+delta {
			t.Fatalf("send time %d became %d, %v", was, now, err)
		}
		if err := Rebase(p, 0, -delta); err != nil || !bytes.Equal(p, before) {
			t.Fatalf("the way back is no identity (%v)", err)
		}
	})
}

func FuzzPad(f *testing.F) {
	addPackets(f, func(p []byte) { f.Add(p, uint16(300)) })
	f.Fuzz(func(t *testing.T, p []byte, add uint16) {
		size := min(len(p)+int(add), MaxPacketSize)
		if _, err := ParsePacket(p, size, video); err != nil {
			return
		}
		want := contents(t, p, size)
		for i := range want {
			want[i] = bytes.Clone(want[i])
		}
		out, err := Pad(nil, p, size)
		if err != nil || len(out) != size || !sameContents(want, contents(t, out, size)) {
			t.Fatalf("pad to %d: %d bytes, %v", size, len(out), err)
		}
		out, err = Strip(out, size)
		if err != nil || !sameContents(want, contents(t, out, size)) {
			t.Fatalf("strip: %v", err)
		}
	})
}
