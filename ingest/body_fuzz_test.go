package ingest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// FuzzReadBody: whatever comes in, nothing panics, every slab is given back, and what viewers get is framed packets
// that count on, with times that go on.
func FuzzReadBody(f *testing.F) {
	raw, list := testHeader(320), packets(0, 4)
	for _, seed := range [][]byte{
		pushBody(raw, list...), pullBody(raw, 9, list...), plainBody(raw, list...), join(plainBody(raw, list...), index),
		join(pushBody(raw, list[:2]...), mmsh.AppendEnd(nil, 1), pushChange(testHeader(640)), pushData(list[2:]...), filler(9)),
		join(pullBody(raw, 9, list...), mmsh.AppendChange(nil, 0), pullBody(testHeader(640), 3, list...), mmsh.AppendEnd(nil, 0)),
		join(pullBody(raw, 0xFFFFFFFE, list...), pullBody(raw, 0, packet(1, 0xFFFFFFF0, true))),
		{0x24, 0x48, 0xFF, 0xFF}, []byte("[Reference]"),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, pull bool) {
		pool := ringbuf.NewPool(8 << 20)
		s := stream.New(stream.Options{Path: "x", Pool: pool, EndFrame: mmsh.AppendEnd(nil, 0), Hold: time.Hour})
		feed := NewFeed(t.Context(), FeedOptions{Stream: s, Timeline: NewTimeline()})
		role := mmsh.Push
		if pull {
			role = mmsh.Pull
		}
		if _, err := ReadBody(bytes.NewReader(body), feed, BodyOptions{Role: role}); err == nil && s.Header() == nil && len(body) > 64 {
			t.Log("a body without a header was fine")
		}
		feed.Lost()
		checkRing(t, s)
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Discard(ctx); err != nil || pool.Live() != 0 {
			t.Fatalf("%d slabs are left, %v", pool.Live(), err)
		}
	})
}

// checkRing looks at everything in a stream's ring.
func checkRing(t *testing.T, s *stream.Stream) {
	t.Helper()
	var one [1]*ringbuf.Slab
	last := int64(-1)
	for seq := s.Ring().Head(); seq < s.Ring().Tail(); seq++ {
		if n, _ := s.Ring().Take(seq, one[:]); n == 0 {
			continue
		}
		b, meta := bytes.Clone(one[0].Bytes()), one[0].Meta
		one[0].Release()
		if meta.Kind != ringbuf.Data {
			continue
		}
		head, err := mmsh.ParseFrameHead(b)
		if err != nil || head.Type != mmsh.TypeData || head.Length != len(b)-mmsh.FrameHeadSize {
			t.Fatalf("sequence %d: %+v, %v", seq, head, err)
		}
		if meta.Time < last-maxBack {
			t.Fatalf("sequence %d: time %d after %d", seq, meta.Time, last)
		}
		last = meta.Time
	}
}
