package telemetry

import (
	"math"
	"runtime"
	"testing"
)

// strictPage is the page of m, which has to be flawless.
func strictPage(t *testing.T, m *Metrics) exposition {
	t.Helper()
	e, err := readPage(page(t, m))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Each family once and in one piece, its TYPE first, no series twice, and all that
// was registered.
func TestPageIsWellFormed(t *testing.T) {
	m := NewMetrics()
	for i, path := range []string{"b", "a", "a{", `a"b\`, "a\nb", "", "\xff", "päth/of#it"} {
		s := m.Stream(path)
		s.ViewersDropped("left").Add(uint64(i))
		s.PacketsDropped("size").Inc()
		s.Join.Observe(float64(i))
		s.Flush.Observe(1e-5)
	}
	m.Requests(200).Inc()
	m.Requests(404).Inc()
	m.GaugeFunc("not_finite", "", func() float64 { return math.NaN() }, L("x", "nan"))
	m.GaugeFunc("not_finite", "", func() float64 { return math.Inf(-1) }, L("x", "inf"))
	m.GaugeFunc("tiny", "", func() float64 { return 1e-300 })
	m.Gauge("emptied", "Is left out.")
	m.Unregister("emptied")
	e := strictPage(t, m)
	for name, want := range map[string]float64{
		`stream_pump_viewers_dropped_total{stream="a{",reason="left"}`:     2,
		`stream_pump_viewers_dropped_total{stream="a\"b\\",reason="left"}`: 3,
		`stream_pump_viewers_dropped_total{stream="a\nb",reason="left"}`:   4,
		`stream_pump_join_seconds_bucket{stream="a",le="+Inf"}`:            1,
		`stream_pump_viewers{stream=""}`:                                   0,
		`not_finite{x="inf"}`:                                              math.Inf(-1),
		"tiny":                                                             1e-300,
		nameMaxProcs:                                                       float64(runtime.GOMAXPROCS(0)),
	} {
		if got, there := e.values[name]; !there || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, there, want)
		}
	}
	if _, there := e.types["emptied"]; there {
		t.Error("a family without series is on the page")
	}
}

// Registries do not share series, only the figures of the process.
func TestRegistriesAreApart(t *testing.T) {
	a, b := NewMetrics(), NewMetrics()
	a.Gauge("own", "")
	b.Stream("x").Viewers.Set(3)
	b.Stream("x").Viewers.Set(4)
	if e := strictPage(t, a); len(own(page(t, a), "stream_pump_")) > 0 || e.types["own"] != "gauge" {
		t.Error("a shows figures of b")
	}
	if e := strictPage(t, b); e.values[`stream_pump_viewers{stream="x"}`] != 4 || e.types["own"] != "" {
		t.Error("b shows figures of a")
	}
}

// A series registered again replaces the one before, of every kind.
func TestRegisteringAgainReplaces(t *testing.T) {
	m := NewMetrics()
	for i := range 3 {
		m.Gauge("g", "", L("x", "1")).Set(int64(i))
		m.Counter("c_total", "").Add(uint64(i))
		h := NewHistogram(1)
		h.Observe(float64(i))
		m.Histogram("h", "", h)
	}
	e := strictPage(t, m)
	if e.values[`g{x="1"}`] != 2 || e.values["c_total"] != 2 || e.values["h_sum"] != 2 || e.values["h_count"] != 1 {
		t.Errorf("%v", own(page(t, m), ""))
	}
}

// After its removal a stream leaves nothing in the library's set, and can come back.
func TestRemovedStreamLeavesTheSet(t *testing.T) {
	m := NewMetrics()
	for range 3 {
		m.Stream("a").Viewers.Add(1)
		if e := strictPage(t, m); e.values[`stream_pump_viewers{stream="a"}`] != 1 {
			t.Error("not a fresh gauge")
		}
		m.RemoveStream("a")
		if names := m.set.ListMetricNames(); len(names) != 0 {
			t.Errorf("left behind: %v", names)
		}
	}
}

func TestProcessFiguresAreSane(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the library reads all of them on Linux only")
	}
	values := strictPage(t, NewMetrics()).values
	for name, least := range map[string]float64{
		"process_resident_memory_bytes": 1 << 20, "process_virtual_memory_bytes": 1 << 20, "process_num_threads": 2,
		"process_open_fds": 3, "process_max_fds": 3, "process_start_time_seconds": 1e9, "process_cpu_seconds_total": 0,
		"go_goroutines": 1, "go_threads": 1, "go_memstats_sys_bytes": 1 << 20, "go_memstats_mallocs_total": 1,
		"go_gomaxprocs": 1, nameMaxProcs: 1, `go_info{version="` + runtime.Version() + `"}`: 1,
	} {
		if v, there := values[name]; !there || v < least {
			t.Errorf("%s is %v, want at least %v", name, v, least)
		}
	}
	if values["process_resident_memory_bytes"] > values["process_virtual_memory_bytes"] {
		t.Error("more memory resident than there is")
	}
}
