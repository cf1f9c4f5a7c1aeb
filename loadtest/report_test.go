package loadtest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// exampleReport has something in every field.
func exampleReport() *Report {
	rep := &Report{
		Clients: ClientCounts{5000, 4998, 2, 4990}, DurationS: 20, Bytes: 12_500_000_000, Mbit: 5000,
		Delivery: Delivery{0.9985, 1, 1}, Join: Quantiles{12, 40, 180, 950.5, 5010}, Latency: Quantiles{31.5, 80, 140, 320, 890_000},
		Gaps: Gaps{3, 17}, Protocol: 1,
		Server:  Server{4321, 4.5, 45, 60 << 20, 64 << 20, 20 << 20},
		Stalls:  Stalls{1000, 2, 3, 2400},
		Slow:    SlowViewers{10, 8, 900},
		Churned: 100, Rejoined: 4, Ended: 12,
		Failures: map[string]int{"connection refused": 2, `answer 503 <Service & "more">`: 1},
		Faults: []Fault{{17, 4711, 123456, "torn", "not what was sent: <script>alert(1)</script>"},
			{18, 4712, 99, "lost", "packets 4712 to 4713 did not come"}},
		Tester:  Tester{CPU: 3.1, PerViewer: 31, OfServer: 0.69, RSS: 48 << 20, Loops: 1, Reader: ReaderURing, Busy: 0.3, LagP99: 1.5, LagMax: 9},
		Machine: Machine{Processors: 2, Busy: 0.41},
		Source:  &Source{2000, 2_800_000, 0.4, 3.1, 1},
		Phases:  []PhaseReport{{Name: "warm", Clients: 1000, Alive: 1000, DurationS: 10, Mbit: 1000}, {Name: "herd", Clients: 5000, Alive: 4990, DurationS: 10, Mbit: 5000}},
		Setup: Setup{URLs: []string{"mmsh://127.0.0.1:8086/streams/x?token=***"}, Stamped: true, Ramp: 500, Slow: 0.002, Churn: 5,
			MinDelivery: 0.999, MaxJoin: 2000},
		Series: []Sample{{0.5, 0, false, 200, 400, 100, 0.1, 30 << 20, 0.05}, {1, 0, true, 400, 400, 200, 0.2, 40 << 20, 0.1},
			{1.5, 1, true, 5000, 0, 5000, 0.3, 60 << 20, 0.2}},
		Shape: Shapes{Delivery: deliveryBars([]float64{0.9985, 1, 1}), Latency: []Bar{{0.5, 3}, {0.667, 5}}, Join: []Bar{{10, 5}}},
	}
	judge(rep, Options{MinDelivery: 0.999, MaxJoin: 2 * time.Second, Phases: []Phase{{Clients: 5000}}})
	return rep
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update rewrites it); got\n%s", path, got)
	}
}

func TestReportAsText(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", b.Bytes())
}

func TestReportAsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", b.Bytes())
}

// The names that scripts depend on.
func TestReportHasTheFixedNames(t *testing.T) {
	const fixed = `{"clients":{"requested":0,"connected":0,"failed":0,"alive_at_end":0},
		"duration_s":0,"bytes_total":0,"mbit_per_s":0,
		"delivery":{"min":0,"p01":0,"p50":0},
		"join_ms":{"p50":0,"p95":0,"p99":0,"max":0},
		"latency_ms":{"p50":0,"p95":0,"p99":0,"max":0},
		"gaps":{"clients":0,"packets":0},"protocol_errors":0,
		"server":{"cpu_s":0,"cpu_us_per_viewer_s":0,"rss_bytes":0,"rss_peak_bytes":0}}`
	var want, got map[string]any
	b, err := json.Marshal(&Report{})
	if err != nil {
		t.Fatal(err)
	}
	for into, from := range map[*map[string]any][]byte{&want: []byte(fixed), &got: b} {
		if err := json.Unmarshal(from, into); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, "", want, got)
}

func holds(t *testing.T, at string, want, got map[string]any) {
	t.Helper()
	for name, v := range want {
		g, ok := got[name]
		if !ok || reflect.TypeOf(g) != reflect.TypeOf(v) {
			t.Errorf("%s.%s is %v, want a %T", at, name, g, v)
			continue
		}
		if inner, ok := v.(map[string]any); ok {
			holds(t, at+"."+name, inner, g.(map[string]any))
		}
	}
}

func TestPageNeedsNoNetworkAndEscapes(t *testing.T) {
	var b bytes.Buffer
	rep := exampleReport()
	rep.Setup.URLs = []string{"mmsh://h/<img src=x>"}
	if err := rep.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if bad := regexp.MustCompile(`(?i)<script|<img|<link|src=|href=|@import|url\(`).FindAllString(
		strings.ReplaceAll(page, "&lt;img src=x&gt;", ""), -1); bad != nil {
		t.Errorf("the page holds %q", bad)
	}
	for _, want := range []string{"<svg", "Joins a second", "Throughput", "Server memory", "Processor", "Latency, packets",
		"Delivery, viewers", "connection refused"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Count(page, "<svg") != 8 {
		t.Errorf("%d charts, want 8", strings.Count(page, "<svg"))
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
		t.Error("a number is none")
	}
}

func TestPageOfAnEmptyReport(t *testing.T) {
	var b bytes.Buffer
	if err := (&Report{Verdict: Fail}).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
}

func TestVerdicts(t *testing.T) {
	good := func() *Report {
		return &Report{Clients: ClientCounts{10, 10, 0, 10}, Delivery: Delivery{1, 1, 1}, Join: Quantiles{Max: 20}}
	}
	for _, tc := range []struct {
		name   string
		change func(*Report)
		want   string
	}{
		{"all is well", func(*Report) {}, Pass},
		{"a loss within the threshold", func(r *Report) { r.Gaps = Gaps{1, 1}; r.Delivery.Min = 0.9995 }, Pass},
		{"a loss beyond it", func(r *Report) { r.Delivery.Min = 0.99 }, Fail},
		{"a slow join", func(r *Report) { r.Join.Max = 2001 }, Fail},
		{"a slow join while we had no rest", func(r *Report) { r.Join.Max = 2001; r.Tester.JoinToil = 1500 }, Inconclusive},
		{"a slow join though we had", func(r *Report) { r.Join.Max = 2001; r.Tester.JoinToil = 15 }, Fail},
		{"fast joins though we had no rest", func(r *Report) { r.Tester.JoinToil = 1500 }, Pass},
		{"a failed viewer", func(r *Report) { r.Clients = ClientCounts{10, 9, 1, 9} }, Fail},
		{"a viewer that was cut off", func(r *Report) { r.Clients.AliveAtEnd = 9 }, Fail},
		{"a slow viewer that was let go", func(r *Report) { r.Clients.AliveAtEnd = 9; r.Slow = SlowViewers{1, 1, 0} }, Pass},
		{"a protocol error", func(r *Report) { r.Protocol = 1 }, Fail},
		{"a loop without time", func(r *Report) { r.Tester.Busy = 0.99 }, Inconclusive},
		{"a loop that was late", func(r *Report) { r.Tester.LagP99 = 500 }, Inconclusive},
		{"a source that was late", func(r *Report) { r.Source = &Source{LateP99: 500} }, Inconclusive},
		{"a loss while we had no time", func(r *Report) { r.Delivery.Min = 0.5; r.Tester.Busy = 1 }, Inconclusive},
		{"a protocol error while we had no time", func(r *Report) { r.Protocol = 1; r.Tester.Busy = 1 }, Fail},
	} {
		rep := good()
		tc.change(rep)
		judge(rep, Options{MinDelivery: 0.999, MaxJoin: 2 * time.Second, Phases: []Phase{{Clients: 10}}})
		if rep.Verdict != tc.want || (tc.want != Pass) != (len(rep.Reasons) > 0) {
			t.Errorf("%s: %s %q, want %s", tc.name, rep.Verdict, rep.Reasons, tc.want)
		}
	}
}

func TestBarsKeepEveryObservation(t *testing.T) {
	h := newHistogram()
	for us := int64(1); us < 5_000_000; us = us*5/4 + 1 {
		record(h, us)
	}
	record(h, -5)
	record(h, longest.Microseconds()*10)
	var n int64
	for _, b := range barsOf(h) {
		n += b.Count
	}
	if n != h.TotalCount() {
		t.Errorf("%d observations in the bars, want %d", n, h.TotalCount())
	}
}

// Where nobody was there to count packets the report does not say that none came.
func TestSlowViewersAloneJudgeNoDelivery(t *testing.T) {
	o, err := Options{Clients: 20, SlowBPS: 50_000}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	rep := &Report{Clients: ClientCounts{Requested: 20, Connected: 20, AliveAtEnd: 20}, Slow: SlowViewers{Clients: 20}}
	judge(rep, o)
	var text strings.Builder
	if err := rep.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != Pass || !strings.Contains(text.String(), "delivery     none ") || !strings.Contains(text.String(), "slow on purpose: delivery") {
		t.Errorf("verdict %s:\n%s", rep.Verdict, text.String())
	}
}
