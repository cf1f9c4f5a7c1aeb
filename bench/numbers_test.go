package bench

import (
	"runtime"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/server"
)

const viewers = 1000

// egresses are the ways out that this machine has.
func egresses(tb testing.TB) []string {
	s, err := server.New(server.Options{Egress: server.EgressAuto, Loops: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Shutdown(tb.Context()) //nolint:errcheck // nobody is connected
	if s.Egress() == server.EgressURing {
		return []string{server.EgressWritev, server.EgressURing}
	}
	tb.Log("no io_uring here: only writev is measured")
	return []string{server.EgressWritev}
}

// BenchmarkPublish is one packet into a ring that nobody reads.
func BenchmarkPublish(b *testing.B) {
	pool, ring := ringbuf.NewPool(0), ringbuf.NewRing(ringbuf.Limits{})
	b.ReportAllocs()
	for b.Loop() {
		ring.Publish(pool.Get(mmsh.DataHeadSize + packetSize))
	}
}

// BenchmarkParse is one MMSH-framed packet taken from a push body.
func BenchmarkParse(b *testing.B) {
	d := mmsh.NewDecoder(mmsh.PushFraming, mmsh.Push)
	d.Continue()
	packet := framed(packetSize)
	b.ReportAllocs()
	b.SetBytes(int64(len(packet)))
	for b.Loop() {
		parse(b, d, packet)
	}
}

func parse(tb testing.TB, d *mmsh.Decoder, packet []byte) {
	for rest := packet; ; {
		n := copy(d.Buffer(), rest)
		rest = rest[n:]
		ev, err := d.Next()
		if err != nil {
			tb.Fatal(err)
		}
		if ev.Kind == mmsh.Packet {
			return
		}
	}
}

// BenchmarkFlush is one packet to 1,000 viewers that are up to date, on one loop.
func BenchmarkFlush(b *testing.B) {
	for _, egress := range egresses(b) {
		b.Run(egress, func(b *testing.B) { benchmarkFlush(b, newRig(b, egress)) })
		b.Run(egress+", TLS", func(b *testing.B) { benchmarkFlush(b, newRigBehind(b, egress, true)) })
	}
}

func benchmarkFlush(b *testing.B, r *rig) {
	r.seat(b, viewers)
	m := r.stream.Metrics()
	calls := m.WriteCalls.Load()
	b.ReportAllocs()
	for b.Loop() {
		r.flush(b)
	}
	b.ReportMetric(float64(m.WriteCalls.Load()-calls)/float64(b.N)/viewers, "writes/viewer")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/viewers, "ns/viewer")
}

// BenchmarkViewer is the Go memory of one viewer that is up to date.
func BenchmarkViewer(b *testing.B) {
	bytes := viewerMemory(b, false)
	for b.Loop() { // the figure is of 1,000 viewers, however often it is asked for
	}
	b.ReportMetric(bytes, "B/viewer")
	b.ReportMetric(0, "ns/op")
}

func viewerMemory(tb testing.TB, secure bool) float64 {
	r := newRigBehind(tb, server.EgressWritev, secure)
	r.seat(tb, 10) // what is made once
	before := heap()
	r.seat(tb, viewers)
	after := heap()
	r.close(tb)
	return float64(after-before) / viewers
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestNumbers holds what is exact.
func TestNumbers(t *testing.T) {
	if n := testing.AllocsPerRun(1000, publisher()); n != 0 {
		t.Errorf("publishing a packet allocates %v times, want 0", n)
	}
	d := mmsh.NewDecoder(mmsh.PushFraming, mmsh.Push)
	d.Continue()
	packet := framed(packetSize)
	if n := testing.AllocsPerRun(1000, func() { parse(t, d, packet) }); n != 0 {
		t.Errorf("parsing a framed packet allocates %v times, want 0", n)
	}
	for _, egress := range egresses(t) {
		t.Run("flush "+egress, func(t *testing.T) { testFlush(t, newRig(t, egress)) })
		t.Run("flush "+egress+", TLS", func(t *testing.T) {
			if poolsLeak {
				t.Skip("crypto/tls allocates under the race detector; the short benchmarks run this without")
			}
			testFlush(t, newRigBehind(t, egress, true))
		})
	}
}

func publisher() func() {
	pool, ring := ringbuf.NewPool(0), ringbuf.NewRing(ringbuf.Limits{Slots: 64})
	publish := func() { ring.Publish(pool.Get(mmsh.DataHeadSize + packetSize)) }
	for range 200 {
		publish()
	}
	return publish
}

func testFlush(t *testing.T, r *rig) {
	r.seat(t, viewers)
	for range 50 {
		r.flush(t)
	}
	const flushes = 200
	m := r.stream.Metrics()
	calls := m.WriteCalls.Load()
	allocs := testing.AllocsPerRun(flushes, func() { r.flush(t) })
	if allocs != 0 {
		t.Errorf("a flush to %d viewers allocates %v times, want 0", viewers, allocs)
	}
	// AllocsPerRun runs the function once more, to warm up.
	if got, want := m.WriteCalls.Load()-calls, uint64((flushes+1)*viewers); got != want {
		t.Errorf("%d writes for %d flushes to %d viewers, want %d: one a viewer and flush", got, flushes+1, viewers, want)
	}
	if skipped := m.SkippedPackets.Load(); skipped != 0 {
		t.Errorf("%d packets were skipped", skipped)
	}
}

// TestViewerMemory holds the bounds on the Go memory of a viewer.
func TestViewerMemory(t *testing.T) {
	for name, c := range map[string]struct {
		secure bool
		most   float64
	}{"plain": {false, 4096}, "TLS": {true, 20 << 10}} {
		got := viewerMemory(t, c.secure)
		t.Logf("%s: %.0f bytes a viewer, its test client's side included", name, got)
		if got > c.most {
			t.Errorf("%s: a viewer costs %.0f bytes of Go memory, want at most %.0f", name, got, c.most)
		}
	}
}

// BenchmarkJoin is one viewer from connect to its first key frame written, one at a time.
func BenchmarkJoin(b *testing.B) {
	r := newRig(b, server.EgressWritev)
	joined := r.stream.Metrics().Join
	b.ReportAllocs()
	for b.Loop() {
		want := joined.Count() + 1
		c := r.audience.dial(b, r.address)
		waitFor(b, "the viewer to join", func() bool { return joined.Count() >= want })
		_ = c.Close()
	}
}
