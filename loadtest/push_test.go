package loadtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

func TestSyntheticStreamIsValidASF(t *testing.T) {
	for _, audio := range []bool{false, true} {
		o, err := PushOptions{URL: "http://h/x", AudioOnly: audio}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		m := newMaterial(o)
		h, err := asf.ParseHeader(m.header)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Validate(); err != nil {
			t.Error(err)
		}
		if !h.Broadcast() || h.PacketSize != 1400 || h.KeyStreams().Empty() != audio {
			t.Errorf("header: broadcast %v, packets of %d, key streams %v", h.Broadcast(), h.PacketSize, h.KeyStreams())
		}
		for i := range 200 {
			p, err := m.appendPacket(nil, int64(i), 123)
			if err != nil {
				t.Fatal(err)
			}
			k, err := asf.ParsePacket(p, h.PacketSize, h.KeyStreams())
			if err != nil || len(p) != 1400 {
				t.Fatalf("packet %d: %d bytes, %v", i, len(p), err)
			}
			st, ok := readStamp(p[stampAt:])
			if !ok || st.number != uint64(i) || st.published != 123 || st.host != hostMark {
				t.Fatalf("packet %d: stamp %+v, %v", i, st, ok)
			}
			if !audio && st.key != k.KeyStart {
				t.Errorf("packet %d: the stamp says key frame %v, ASF %v", i, st.key, k.KeyStart)
			}
			if at := m.due(int64(i)); k.SendTime != uint32(at/1e6) {
				t.Errorf("packet %d: send time %d ms, due at %d ns", i, k.SendTime, at)
			}
		}
	}
}

func TestKeyFramesComeEveryInterval(t *testing.T) {
	o, _ := PushOptions{URL: "http://h/x", Rate: 1_000_000, KeyInterval: 2 * time.Second}.withDefaults()
	m := newMaterial(o)
	last := time.Duration(-1)
	for slot := int64(0); m.due(slot) < int64(20*time.Second); slot++ {
		if _, key := m.kind(slot, m.due(slot)); !key {
			continue
		}
		at := time.Duration(m.due(slot))
		if gap := at - last; last >= 0 && (gap < 1980*time.Millisecond || gap > 2020*time.Millisecond) {
			t.Errorf("key frames %v apart", gap)
		}
		last = at
	}
	if last < 17*time.Second {
		t.Errorf("the last key frame came at %v", last)
	}
}

// The schedule is open: a server that stops reading for a while gets everything afterwards, stamped as due.
func TestSourceCatchesUpAfterAStall(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	o, _ := PushOptions{URL: "http://h/x", Rate: 1_000_000}.withDefaults()
	e := &encoder{o: o, m: newMaterial(o), late: newHistogram(), start: now() - int64(time.Second)}
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, 1<<20)
		n, _ := io.ReadAtLeast(server, b, 80*(o.Packet+mmsh.FrameHeadSize))
		got <- b[:n]
	}()
	n, err := e.publishDue(client, maxPushBatch)
	if err != nil || n < 89 || n > 110 {
		t.Fatalf("published %d packets of a second's 90, %v", n, err)
	}
	var before int64
	for f, err := range mmsh.Decode(append(pushed(t, e.m.header), <-got...), mmsh.PushFraming) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind != mmsh.Packet {
			continue
		}
		st, _ := readStamp(f.Payload[stampAt:])
		if before != 0 && st.published-before < 11_000_000 {
			t.Fatalf("stamps %d ns apart, want those of the schedule", st.published-before)
		}
		before = st.published
	}
	if e.late.Max() < 990_000 {
		t.Errorf("was late %d µs at most, want a second: it must not hide its stall", e.late.Max())
	}
}

func pushed(t *testing.T, header []byte) []byte {
	t.Helper()
	b, err := mmsh.AppendPushHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A body of a PushStart is exactly as long as promised, whatever is left over.
func TestFillerMakesTheBodyWhole(t *testing.T) {
	for left := int64(minPushRemainder); left < 70; left++ {
		var b bytes.Buffer
		if err := fillBody(&b, left); err != nil || int64(b.Len()) != left {
			t.Errorf("%d bytes left, filled %d, %v", left, b.Len(), err)
		}
	}
	for _, left := range []int64{65_534, 65_535, 65_536, 65_537, 65_538, 65_539, 65_540, 65_541, 200_000} {
		var b bytes.Buffer
		if err := fillBody(&b, left); err != nil || int64(b.Len()) != left {
			t.Errorf("%d bytes left, filled %d, %v", left, b.Len(), err)
		}
	}
}

func TestPushIsRefused(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, handling(func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		return true
	}))
	err := Push(t.Context(), PushOptions{URL: s.pushURL()})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want 404", err)
	}
}

// An encoder that loses its connection comes back, and its packets keep their numbers.
func TestFlappingSource(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	const rate, connects = 200_000, 3
	var last Source
	var begun time.Time
	var there time.Duration // from the first connection to the last, without the pauses between
	came := 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Push(ctx, PushOptions{URL: s.pushURL(), Rate: rate, KeyInterval: 100 * time.Millisecond, Flap: 300 * time.Millisecond,
		Report: func(a Source) { last = a },
		Connected: func() {
			switch came++; came {
			case 1:
				begun = time.Now()
			case connects:
				there = time.Since(begun) - (connects-1)*pushPause
				cancel()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Connects < connects || s.asked("setup") < connects {
		t.Errorf("connected %d times, %d setups", last.Connects, s.asked("setup"))
	}
	if due := int(rate/8/1400*there.Seconds()) + 3; int(last.Published) > due {
		t.Errorf("%d packets, of %d that were due: those due while it was away must not be published", last.Published, due)
	}
}

func TestStampSurvivesItsRoundTrip(t *testing.T) {
	want := stamp{host: 1, source: 2, number: 3, published: 4, key: true}
	b := slices.Concat(make([]byte, stampSize), []byte("payload"))
	want.put(b)
	seal(b)
	got, ok := readStamp(b)
	if want.sum = got.sum; !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	if _, ok := readStamp(b[:stampSize-1]); ok {
		t.Error("a stamp cut short was read")
	}
}
