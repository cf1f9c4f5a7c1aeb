package ingest

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

func TestFeedPassesPacketsUnchanged(t *testing.T) { // MUST-P7
	r := newRig(t)
	f := r.feed()
	raw, want := testHeader(320), packets(0, 12)
	mustHeader(t, f, raw)
	give(t, f, -1, want...)
	f.Lost()
	list := r.data()
	sameBytes(t, list, want)
	for i, g := range list {
		if g.Key != (i%5 == 0) || g.Payload != mmsh.DataHeadSize || g.Time != int64(i*40) {
			t.Errorf("packet %d: key %v, payload at %d, time %d", i, g.Key, g.Payload, g.Time)
		}
		framed, err := mmsh.AppendData(nil, uint32(i+1), 0, want[i])
		if err != nil || !bytes.Equal(g.frame, framed) {
			t.Errorf("packet %d is framed % x…", i, g.frame[:12])
		}
	}
	h := r.s.Header()
	if !bytes.Equal(h.Raw, raw) || !bytes.Equal(h.Frame, mmsh.AppendHeader(nil, raw)) || h.PacketSize != testPacket || !h.KeyFrames {
		t.Errorf("header: %d bytes, framed %d, packets of %d, key frames %v", len(h.Raw), len(h.Frame), h.PacketSize, h.KeyFrames)
	}
	if _, ok := h.Info.(*asf.Header); !ok {
		t.Errorf("header is described by a %T", h.Info)
	}
}

func TestFeedLocationIDs(t *testing.T) { // MUST-P4
	type run struct {
		at int64 // first LocationId of the source, negative: it has none
		n  int
	}
	for _, c := range []struct {
		name string
		runs []run
		want []uint32
	}{
		{"without numbers they count from 1", []run{{-1, 3}}, []uint32{1, 2, 3}},
		{"a source's numbers pass through, gaps and all", []run{{50291, 2}, {50300, 2}}, []uint32{50291, 50292, 50300, 50301}},
		{"they wrap at 2^32", []run{{0xFFFFFFFE, 4}}, []uint32{0xFFFFFFFE, 0xFFFFFFFF, 0, 1}},
		{"numbers that go back are counted on", []run{{1000, 2}, {3, 2}}, []uint32{1000, 1001, 1002, 1003}},
		{"so are numbers that leap", []run{{1000, 2}, {900_000, 2}}, []uint32{1000, 1001, 1002, 1003}},
		{"a source without numbers goes on counting", []run{{1000, 2}, {-1, 2}}, []uint32{1000, 1001, 1002, 1003}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.feed()
			mustHeader(t, f, testHeader(320, audioOnly))
			sent := 0
			for _, run := range c.runs {
				for range run.n {
					at := run.at
					if at >= 0 {
						run.at++
					}
					give(t, f, at, streamPacket(2, sent, uint32(sent*40), false))
					sent++
				}
			}
			f.Lost()
			for i, g := range r.data() {
				if g.location != c.want[i] {
					t.Errorf("packet %d has LocationId %d, want %d", i, g.location, c.want[i])
				}
			}
		})
	}
}

func TestFeedSourceComesBack(t *testing.T) { // MUST-C3, MUST-X3, MUST-S7
	t.Run("its clock went on: packets stay as they are, from a key frame on", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		give(t, f, -1, packets(0, 10)...)
		f.Lost()
		r.data()
		if r.s.State() != stream.Connecting {
			t.Fatalf("state %v after the loss", r.s.State())
		}
		f = r.feed()
		mustHeader(t, f, testHeader(320, func(s *asf.HeaderSpec) { s.Created, s.FileID = 7, asf.GUID{1} }))
		later := packets(103, 9)
		give(t, f, -1, later...)
		f.Lost()
		list := r.data() // and so: no stream change
		sameBytes(t, list, later[2:])
		if list[0].location != 11 || !list[0].Key {
			t.Errorf("continued with LocationId %d, key %v", list[0].location, list[0].Key)
		}
		if n := r.dropped(dropBeforeKey); n != 2 {
			t.Errorf("%d packets were counted as before the key frame, want 2", n)
		}
	})
	t.Run("its clock began anew: times go on and never back", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		give(t, f, -1, packets(1000, 30)...)
		f.Lost()
		before := r.data()
		f = r.feed()
		mustHeader(t, f, testHeader(320))
		give(t, f, -1, packets(0, 30)...)
		f.Lost()
		last := sendTime(t, before[len(before)-1].packet)
		for i, g := range r.data() {
			want := last + 40*uint32(i+1)
			if got := sendTime(t, g.packet); got != want || g.Time != int64(want) {
				t.Fatalf("packet %d is sent at %d (%d), want %d", i, got, g.Time, want)
			}
			w := asf.Payloads(g.packet, testPacket)
			if !w.Next() || w.Payload.PresTime != want+3000 {
				t.Fatalf("packet %d is presented at %d, want %d", i, w.Payload.PresTime, want+3000)
			}
		}
	})
	t.Run("another header is a stream change that begins at a key frame", func(t *testing.T) { // MUST-X1
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		give(t, f, -1, packets(0, 5)...)
		f.Lost()
		r.data()
		f = r.feed()
		raw := testHeader(640)
		mustHeader(t, f, raw)
		give(t, f, -1, packets(3, 5)...)
		f.Lost()
		list := r.take()
		change, alt := mmsh.AppendStreamChange(nil, raw)
		if len(list) != 4 || list[0].Kind != ringbuf.Change || !bytes.Equal(list[0].frame, change) || int(list[0].AltStart) != alt {
			t.Fatalf("%d slabs, the first of kind %d", len(list), list[0].Kind)
		}
		if !list[1].Key || !bytes.Equal(list[1].packet, packets(5, 1)[0]) || list[1].location != 6 {
			t.Errorf("the new header begins with key %v, LocationId %d", list[1].Key, list[1].location)
		}
	})
}

func TestFeedUpstreamRepeatsItsBurst(t *testing.T) {
	r := newRig(t)
	all := packets(0, 40)
	f := r.feed()
	mustHeader(t, f, testHeader(320))
	give(t, f, 7000, all[:22]...)
	f.Lost()
	f = r.feed(func(o *FeedOptions) { o.Repeats = true })
	mustHeader(t, f, testHeader(320))
	give(t, f, 7010, all[10:]...) // a key frame the pump had, then all that came since
	f.Lost()
	list := r.data()
	sameBytes(t, list, all)
	for i, g := range list {
		if g.location != uint32(7000+i) {
			t.Fatalf("packet %d has LocationId %d", i, g.location)
		}
	}
	if n := r.dropped(dropDuplicate); n != 12 {
		t.Errorf("%d duplicates were counted, want 12", n)
	}
}

func TestFeedSourceBeginsItsProgrammeAnew(t *testing.T) {
	all := packets(0, 500) // 20 s
	again := func(r *rig, repeats bool) {
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		give(t, f, 0, all...)
		f.Lost()
		f = r.feed(func(o *FeedOptions) { o.Repeats = repeats })
		mustHeader(t, f, testHeader(320))
		for i, p := range all[:400] {
			give(t, f, int64(i), p)
			time.Sleep(40 * time.Millisecond)
		}
		f.Lost()
	}
	for name, c := range map[string]struct {
		repeats bool
		want    int
	}{"an encoder": {false, 400}, "a server": {true, 400 - 25}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				again(r, c.repeats)
				if n := len(r.data()) - len(all); n != c.want {
					t.Errorf("%d of 400 packets were published again, want %d", n, c.want)
				}
			})
		})
	}
}

func TestFeedUpstreamWithSameNumbersButOtherPackets(t *testing.T) {
	r := newRig(t)
	f := r.feed()
	mustHeader(t, f, testHeader(320))
	give(t, f, 100, packets(0, 10)...)
	f.Lost()
	f = r.feed()
	mustHeader(t, f, testHeader(320))
	give(t, f, 105, packets(500, 10)...)
	f.Lost()
	for i, g := range r.data() {
		if g.location != uint32(100+i) {
			t.Fatalf("packet %d has LocationId %d, want %d", i, g.location, 100+i)
		}
	}
}

func TestFeedHeaderInMidStream(t *testing.T) { // MUST-C2
	r := newRig(t)
	f := r.feed()
	mustHeader(t, f, testHeader(320))
	give(t, f, -1, packets(0, 3)...)
	mustHeader(t, f, testHeader(320))
	give(t, f, -1, packets(3, 3)...)
	sameBytes(t, r.data(), packets(0, 6))
	mustHeader(t, f, testHeader(640))
	give(t, f, -1, packets(6, 6)...)
	f.End()
	kinds := []ringbuf.Kind{}
	for _, g := range r.take() {
		kinds = append(kinds, g.Kind)
	}
	if want := []ringbuf.Kind{ringbuf.Change, ringbuf.Data, ringbuf.Data, ringbuf.End}; !equalKinds(kinds, want) {
		t.Errorf("slabs %v, want %v", kinds, want)
	}
}

func equalKinds(a, b []ringbuf.Kind) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestFeedTimesNeverWrap(t *testing.T) { // MUST-X3
	wrap := func(i int) uint32 { return uint32(1<<32 - 130_000 + i*1000) }
	t.Run("a new epoch begins at a key frame before it", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		for i := range 200 {
			give(t, f, -1, packet(i, wrap(i), i%5 == 0))
		}
		f.Lost()
		changes, last := 0, uint32(0)
		clock := int64(0)
		for i, g := range r.take() {
			if g.Kind == ringbuf.Change {
				changes++
				last = 0
				continue
			}
			send := sendTime(t, g.packet)
			if send < last || g.Time <= clock {
				t.Fatalf("slab %d is sent at %d (%d) after %d (%d)", i, send, g.Time, last, clock)
			}
			if changes == 1 && last == 0 && (!g.Key || send != wrapRestart) {
				t.Errorf("the epoch begins with key %v at %d", g.Key, send)
			}
			last, clock = send, g.Time
		}
		if changes != 1 {
			t.Errorf("%d stream changes, want 1", changes)
		}
	})
	t.Run("or where they wrap, when no key frame comes", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320))
		for i := range 200 {
			give(t, f, -1, packet(i, wrap(i), i == 0))
		}
		f.Lost()
		list := r.take()
		changes := 0
		for _, g := range list {
			if g.Kind == ringbuf.Change {
				changes++
			}
		}
		if changes != 1 || len(list) != 201 {
			t.Errorf("%d changes among %d slabs", changes, len(list))
		}
	})
}

func TestFeedRefusesHostileHeaders(t *testing.T) { // MUST-S6
	for _, c := range []struct {
		name string
		raw  []byte
	}{
		{"empty", nil},
		{"garbage", bytes.Repeat([]byte{0x30}, 100)},
		{"cut off", testHeader(320)[:300]},
		{"too large", testHeader(320, func(s *asf.HeaderSpec) { s.Padding = 66_000 })},
		{"packet size 0", testHeader(320, func(s *asf.HeaderSpec) { s.PacketSize = 1 })},
		{"no streams", testHeader(320, func(s *asf.HeaderSpec) { s.Streams = nil })},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.feed()
			if err := f.Header(c.raw); err == nil {
				t.Fatal("the header was taken")
			}
			f.Lost()
			if r.s.Header() != nil || r.s.State() != stream.Offline {
				t.Errorf("header %v, state %v", r.s.Header(), r.s.State())
			}
		})
	}
}

func TestFeedRepairsHeaders(t *testing.T) {
	t.Run("a file's header becomes live", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320, func(s *asf.HeaderSpec) { s.Flags = asf.FlagSeekable }))
		f.Lost()
		h, err := asf.ParseHeader(r.s.Header().Raw)
		if err != nil || !h.Broadcast() || h.Flags&asf.FlagSeekable != 0 {
			t.Errorf("flags %#x, %v", h.Flags, err)
		}
	})
	t.Run("a live header passes byte for byte, whatever else it says", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		raw := testHeader(320, func(s *asf.HeaderSpec) { s.Flags |= asf.FlagSeekable; s.MaxBitrate = 0; s.DataSize = 0 })
		mustHeader(t, f, raw)
		f.Lost()
		if !bytes.Equal(r.s.Header().Raw, raw) {
			t.Error("it was changed")
		}
	})
	t.Run("padding goes when players could not read the header", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320, func(s *asf.HeaderSpec) { s.Padding = 20_000 }))
		f.Lost()
		if n := len(r.s.Header().Raw); n > 2000 {
			t.Errorf("header has %d bytes", n)
		}
	})
	t.Run("two packet sizes become one, packets are padded to it", func(t *testing.T) {
		r := newRig(t)
		f := r.feed()
		mustHeader(t, f, testHeader(320, func(s *asf.HeaderSpec) { s.MinPacketSize = 64 }))
		short, err := asf.AppendPacket(nil, asf.PacketSpec{LengthWidth: 2, Stripped: true, Payloads: []asf.PayloadSpec{
			{Stream: 1, Key: true, ObjectSize: 3, Data: []byte("abc")}}})
		if err != nil {
			t.Fatal(err)
		}
		give(t, f, -1, short)
		f.Lost()
		if list := r.data(); len(list) != 1 || len(list[0].packet) != testPacket {
			t.Errorf("%d packets", len(list))
		}
	})
}

func TestFeedDropsBadPackets(t *testing.T) { // MUST-R4
	good := packets(0, 1)[0]
	r := newRig(t)
	f := r.feed(func(o *FeedOptions) { o.MaxBad = 3 })
	mustHeader(t, f, testHeader(320))
	garbage := bytes.Repeat([]byte{0xFF}, 40)
	give(t, f, -1, good, garbage, append(bytes.Clone(good), 0), streamPacket(9, 1, 40, false), good, garbage, garbage)
	if n := len(r.data()); n != 2 {
		t.Errorf("%d packets were published, want 2", n)
	}
	for reason, want := range map[string]uint64{dropMalformed: 3, dropOversized: 1, dropUndeclared: 1} {
		if n := r.dropped(reason); n != want {
			t.Errorf("%d packets counted as %s, want %d", n, reason, want)
		}
	}
	slab := f.Slab(len(garbage))
	copy(slab.Bytes()[headBytes:], garbage)
	if err := f.Packet(slab, Location{}); !errors.Is(err, ErrBadPackets) {
		t.Errorf("the third in a row: %v", err)
	}
	f.Lost()
}

func TestFeedTrialTakesOverBetweenPictures(t *testing.T) {
	r := newRig(t)
	revoked := make(chan struct{})
	old := r.feed(func(o *FeedOptions) { o.OnRevoke = func() { close(revoked) }; o.Claim.Fallback = true })
	mustHeader(t, old, testHeader(320))
	give(t, old, -1, packets(0, 8)...)
	next := r.feed(func(o *FeedOptions) { o.Trial = true })
	mustHeader(t, next, testHeader(320))
	give(t, next, -1, packets(203, 2)...)
	if next.Live() || r.s.State() != stream.Fallback {
		t.Fatalf("the trial is live before its key frame: state %v", r.s.State())
	}
	go func() { <-revoked; old.Lost() }()
	give(t, next, -1, packets(205, 3)...)
	next.Lost()
	list := r.data()
	if len(list) != 11 || !list[8].Key {
		t.Fatalf("%d packets, the ninth is a key frame: %v", len(list), list[8].Key)
	}
	for i, g := range list {
		if g.location != uint32(i+1) {
			t.Errorf("packet %d has LocationId %d", i, g.location)
		}
	}
}

func TestFeedPublisherRevoked(t *testing.T) {
	r := newRig(t)
	f := r.feed()
	mustHeader(t, f, testHeader(320))
	r.s.Kick()
	slab := f.Slab(testPacket)
	copy(slab.Bytes()[headBytes:], packet(0, 0, true))
	if err := f.Packet(slab, Location{}); !errors.Is(err, stream.ErrRevoked) {
		t.Errorf("publishing after a kick: %v", err)
	}
	f.Lost()
}

func TestFeedAllocatesNothingPerPacket(t *testing.T) {
	r := newRig(t)
	f := r.feed()
	mustHeader(t, f, testHeader(320))
	p, n := packet(0, 0, true), uint32(0)
	if avg := testing.AllocsPerRun(2000, func() {
		slab := f.Slab(len(p))
		copy(slab.Bytes()[headBytes:], p)
		n++
		if f.Packet(slab, Location{ID: n, Has: true}) != nil {
			t.Fatal("refused")
		}
	}); avg > 0.1 {
		t.Errorf("%.2f allocations for a packet", avg)
	}
	f.Lost()
}
