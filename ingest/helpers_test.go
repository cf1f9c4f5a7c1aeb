package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPacket = 512 // bytes, packet size of the test headers

// testHeader is a live header with a video stream 1 and an audio stream 2. Other widths are other headers.
func testHeader(width uint32, change ...func(*asf.HeaderSpec)) []byte {
	spec := asf.HeaderSpec{
		Flags: asf.FlagBroadcast, Preroll: 3000, PacketSize: testPacket, MaxBitrate: 300_000, DataSize: asf.DataHeadSize,
		Streams: []asf.StreamSpec{
			{Number: 1, Kind: asf.Video, FourCC: "WMV3", Width: width, Height: 240, BitrateBPS: 250_000},
			{Number: 2, Kind: asf.Audio, FormatTag: 0x161, Channels: 2, SampleRate: 44100, ByteRate: 6000, BitsPerSample: 16, BitrateBPS: 50_000},
		},
	}
	for _, c := range change {
		c(&spec)
	}
	return asf.BuildHeader(spec)
}

func audioOnly(s *asf.HeaderSpec) { s.Streams = s.Streams[1:] }

// packet is one data packet: whole video object n, a key frame or not, sent at that time. Its bytes depend on all.
func packet(n int, send uint32, key bool) []byte {
	return streamPacket(1, n, send, key)
}

func streamPacket(number uint8, n int, send uint32, key bool) []byte {
	data := bytes.Repeat([]byte{byte(n), byte(n >> 8), 0x55}, 60)
	p, err := asf.AppendPacket(nil, asf.PacketSpec{
		SendTime: send, Duration: 40, Size: testPacket,
		Payloads: []asf.PayloadSpec{{
			Stream: number, Key: key, Object: uint32(n), ObjectSize: uint32(len(data)), PresTime: send + 3000, Data: data,
		}},
	})
	if err != nil {
		panic(err)
	}
	return p
}

// packets are n packets from number first on, 40 ms apart, a key frame in every fifth.
func packets(first, n int) [][]byte {
	var list [][]byte
	for i := first; i < first+n; i++ {
		list = append(list, packet(i, uint32(i*40), i%5 == 0))
	}
	return list
}

// rig is a stream with what feeds it.
type rig struct {
	t    *testing.T
	pool *ringbuf.Pool
	s    *stream.Stream
	tl   *Timeline
	from uint64 // next sequence to read
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, pool: ringbuf.NewPool(64 << 20), tl: NewTimeline(), from: 1}
	r.s = stream.New(stream.Options{
		Path: "x", Pool: r.pool, EndFrame: mmsh.AppendEnd(nil, 0), Metrics: telemetry.NewMetrics().Stream("x"), Hold: time.Hour,
		Ring: ringbuf.Limits{Slots: 1 << 14, Duration: time.Hour},
	})
	t.Cleanup(func() {
		r.s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.s.Discard(ctx); err != nil {
			t.Errorf("discarding the stream: %v", err)
		}
		if n := r.pool.Live(); n != 0 {
			t.Errorf("%d slabs are still referenced", n)
		}
	})
	return r
}

func (r *rig) feed(change ...func(*FeedOptions)) *Feed {
	o := FeedOptions{Stream: r.s, Timeline: r.tl, Claim: stream.Claim{Name: "test"}}
	for _, c := range change {
		c(&o)
	}
	return NewFeed(r.t.Context(), o)
}

// got is one slab, copied.
type got struct {
	ringbuf.Meta
	location uint32
	packet   []byte // bare packet of data
	frame    []byte
}

// take returns what was published since the last call.
func (r *rig) take() []got {
	r.t.Helper()
	var list []got
	var one [1]*ringbuf.Slab
	for ; r.from < r.s.Ring().Tail(); r.from++ {
		n, lapped := r.s.Ring().Take(r.from, one[:])
		if n == 0 || lapped {
			r.t.Fatalf("sequence %d has left the ring", r.from)
		}
		b := bytes.Clone(one[0].Bytes())
		g := got{Meta: one[0].Meta, frame: b}
		if g.Kind == ringbuf.Data {
			g.location, g.packet = binary.LittleEndian.Uint32(b[4:]), b[g.Payload:]
		}
		one[0].Release()
		list = append(list, g)
	}
	return list
}

// data is take without changes and ends, of which there must be none.
func (r *rig) data() []got {
	r.t.Helper()
	list := r.take()
	for i, g := range list {
		if g.Kind != ringbuf.Data {
			r.t.Fatalf("slab %d is of kind %d, want data only", i, g.Kind)
		}
	}
	return list
}

func (r *rig) dropped(reason string) uint64 { return r.s.Metrics().PacketsDropped(reason).Load() }

// give hands packets to a feed, numbered from location on when it is not negative.
func give(t *testing.T, f *Feed, location int64, list ...[]byte) {
	t.Helper()
	for i, p := range list {
		at := Location{}
		if location >= 0 {
			at = Location{ID: uint32(location) + uint32(i), Has: true}
		}
		slab := f.Slab(len(p))
		if slab == nil {
			t.Fatal("no slab")
		}
		copy(slab.Bytes()[headBytes:], p)
		if err := f.Packet(slab, at); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
}

func mustHeader(t *testing.T, f *Feed, raw []byte) {
	t.Helper()
	if err := f.Header(raw); err != nil {
		t.Fatalf("header: %v", err)
	}
}

// sameBytes compares published packets with what the source sent.
func sameBytes(t *testing.T, list []got, want [][]byte) {
	t.Helper()
	if len(list) != len(want) {
		t.Fatalf("%d packets were published, want %d", len(list), len(want))
	}
	for i := range want {
		if !bytes.Equal(list[i].packet, want[i]) {
			t.Fatalf("packet %d is not byte-identical to the source's", i)
		}
	}
}

func sendTime(t *testing.T, p []byte) uint32 {
	t.Helper()
	v, err := asf.SendTime(p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fixture reads a captured file, and skips the test where the captures are not at hand.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	dirs := []string{os.Getenv("STREAM_PUMP_FIXTURES"), "../../shared/fixtures"}
	for _, d := range dirs {
		if b, err := os.ReadFile(filepath.Join(d, "mmsh", name)); d != "" && err == nil {
			return b
		}
	}
	t.Skipf("capture %s is not at hand: set STREAM_PUMP_FIXTURES to the folder that holds mmsh/", name)
	return nil
}
