package telemetry

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

func page(t *testing.T, m *Metrics) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// own returns the lines of families that begin with prefix.
func own(page, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), prefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestExposition(t *testing.T) {
	m := NewMetrics()
	m.Counter("a_total", "Counts\nthings \\ them.", L("x", "q\"\\\n\xff")).Add(3)
	m.SecondsFunc("a_busy_seconds_total", "Works.", func() time.Duration { return 1500 * time.Microsecond })
	g := m.Gauge("a_gauge", "Goes.", L("x", "1"))
	g.Set(5)
	g.Add(-7)
	m.GaugeFunc("a_gauge", "Goes.", func() float64 { return 0.5 }, L("x", "0"))
	h := NewHistogram(0.1, 1)
	m.Histogram("a_seconds", "Takes.", h, L("x", "1"))
	for _, v := range []float64{0.05, 0.1, 0.5, 2, math.NaN(), -1} {
		h.Observe(v)
	}
	h.ObserveDuration(time.Second)
	want := `# HELP a_gauge Goes.
# TYPE a_gauge gauge
a_gauge{x="0"} 0.5
a_gauge{x="1"} -2
# HELP a_busy_seconds_total Works.
# TYPE a_busy_seconds_total counter
a_busy_seconds_total 0.0015
# HELP a_seconds Takes.
# TYPE a_seconds histogram
a_seconds_bucket{x="1",le="0.1"} 2
a_seconds_bucket{x="1",le="1"} 4
a_seconds_bucket{x="1",le="+Inf"} 5
a_seconds_sum{x="1"} 3.65
a_seconds_count{x="1"} 5
# HELP a_total Counts\nthings \\ them.
# TYPE a_total counter
a_total{x="q\"\\\n` + "\uFFFD" + `"} 3
`
	if got := own(page(t, m), "a_"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.Unregister("a_total", L("x", "q\"\\\n\xff"))
	m.Unregister("absent")
	if got := own(page(t, m), "a_total"); got != "" {
		t.Errorf("after Unregister:\n%s", got)
	}
}

// The names are fixed; users' dashboards depend on them.
func TestStreamMetricNames(t *testing.T) {
	m := NewMetrics()
	s := m.Stream("studio")
	s.ViewersDropped("stalled").Inc()
	s.PacketsDropped("size").Inc()
	s.ViewersDropped("stalled").Inc()
	s.BytesOut.Add(1 << 40)
	s.Viewers.Add(2)
	s.SourceUp.Set(1)
	m.Requests(200).Inc()
	m.Requests(200).Inc()
	m.Requests(7).Inc()
	got := page(t, m)
	for _, want := range []string{
		`stream_pump_viewers{stream="studio"} 2`,
		`stream_pump_viewers_total{stream="studio"} 0`,
		`stream_pump_bytes_in_total{stream="studio"} 0`,
		`stream_pump_bytes_out_total{stream="studio"} 1099511627776`,
		`stream_pump_packets_in_total{stream="studio"} 0`,
		`stream_pump_skipped_packets_total{stream="studio"} 0`,
		`stream_pump_viewers_dropped_total{stream="studio",reason="stalled"} 2`,
		`stream_pump_packets_dropped_total{stream="studio",reason="size"} 1`,
		`stream_pump_source_up{stream="studio"} 1`,
		`stream_pump_source_reconnects_total{stream="studio"} 0`,
		`stream_pump_join_seconds_count{stream="studio"} 0`,
		`stream_pump_write_calls_total{stream="studio"} 0`,
		`stream_pump_flush_seconds_bucket{stream="studio",le="+Inf"} 0`,
		`stream_pump_requests_total{status="200"} 2`,
		`stream_pump_requests_total{status="500"} 1`,
		"# TYPE stream_pump_bytes_out_total counter",
		"# TYPE stream_pump_viewers gauge",
		"# TYPE stream_pump_join_seconds histogram",
		"# HELP stream_pump_viewers Viewers connected now.",
		"# TYPE go_goroutines gauge",
		"# TYPE go_sched_latencies_seconds histogram",
		"# TYPE process_resident_memory_bytes gauge",
		"# TYPE process_cpu_seconds_total counter",
		"# TYPE process_open_fds gauge",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

func TestRemoveStream(t *testing.T) {
	m := NewMetrics()
	gone, stays := m.Stream("a"), m.Stream("ab")
	gone.ViewersDropped("stalled").Inc()
	stays.ViewersDropped("stalled").Inc()
	before := own(page(t, m), "stream_pump_")
	m.RemoveStream("a")
	m.RemoveStream("never")
	gone.BytesIn.Inc()
	gone.ViewersDropped("late").Inc()
	after := own(page(t, m), "stream_pump_")
	if strings.Contains(after, `stream="a"`) || strings.Count(after, `stream="ab"`) != strings.Count(before, `stream="ab"`) {
		t.Errorf("%s", after)
	}
	if m.Stream("a") == gone || m.Stream("ab") != stays {
		t.Error("a removed stream came back, or another one was replaced")
	}
}

func TestReasonsAreBounded(t *testing.T) {
	s := NewMetrics().Stream("a")
	for i := range 10 * maxReasons {
		s.PacketsDropped(strings.Repeat("x", i)).Inc()
	}
	if n := len(s.packetsDropped.counters); n > maxReasons+1 {
		t.Errorf("%d reasons", n)
	}
	if n := s.PacketsDropped("other").Load(); n != 9*maxReasons {
		t.Errorf("%d counted as other", n)
	}
}

func TestWrongRegistrationsPanic(t *testing.T) {
	for name, f := range map[string]func(*Metrics){
		"name":      func(m *Metrics) { m.Counter("a b", "") },
		"label":     func(m *Metrics) { m.Counter(`a{b="c"}`, "") },
		"labels":    func(m *Metrics) { m.Counter("a", "", L("b c", "")) },
		"two kinds": func(m *Metrics) { m.Counter("a", ""); m.Gauge("a", "") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f(NewMetrics())
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	m := NewMetrics()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				s := m.Stream("a")
				s.ViewersTotal.Inc()
				s.Join.Observe(0.01)
				s.ViewersDropped("left").Inc()
				m.Requests(200).Inc()
				m.writeOwn(new(bytes.Buffer))
			}
		})
	}
	wg.Wait()
	s := m.Stream("a")
	if s.ViewersTotal.Load() != 800 || s.Join.Count() != 800 || math.Abs(s.Join.Sum()-8) > 1e-9 || s.ViewersDropped("left").Load() != 800 || m.Requests(200).Load() != 800 {
		t.Error("counts were lost")
	}
}

func TestWriteError(t *testing.T) {
	if err := NewMetrics().WritePrometheus(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestValuesStandApart(t *testing.T) {
	if unsafe.Sizeof(Counter{}) != cacheLine || unsafe.Sizeof(Gauge{}) != cacheLine {
		t.Errorf("counter %d, gauge %d bytes", unsafe.Sizeof(Counter{}), unsafe.Sizeof(Gauge{}))
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics()
	s := m.Stream("a")
	r := NewRate(time.Second, nil)
	if n := testing.AllocsPerRun(100, func() {
		s.BytesOut.Add(1)
		s.Viewers.Add(1)
		s.Flush.ObserveDuration(time.Millisecond)
		m.Requests(200).Inc()
		r.Add(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
