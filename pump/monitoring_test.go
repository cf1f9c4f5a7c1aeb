package pump

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/internal/boardtest"
	"github.com/stream-pump/stream-pump/pump/snmp"
	"github.com/stream-pump/stream-pump/server"
)

// monitored is the metrics page of a pump with TLS whose viewer has come and gone.
func monitored(t *testing.T) string {
	t.Helper()
	s := newSecure(t, "")
	v := s.play("card")
	v.packets(3)
	_ = v.conn.Close()
	var page string
	s.eventually("a viewer has left", func() bool {
		page = string(s.ask("GET", "/metrics").body)
		return strings.Contains(page, `stream_pump_viewers_ended_total{stream="card",reason="left"} 1`)
	})
	return page
}

// families are the names on a metrics page, those of histograms with their endings.
func families(page string) map[string]bool {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)[ {]`).FindAllStringSubmatch(page, -1) {
		names[m[1]] = true
	}
	return names
}

func readDoc(t *testing.T, elements ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{".."}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table returns the first column of the table below a heading, or of the first one with that
// head.
func table(page, heading string) []string {
	_, rest, _ := strings.Cut(page, heading)
	rest, _, _ = strings.Cut(rest, "\n#")
	var first []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(rest, -1) {
		first = append(first, m[1])
	}
	return first
}

// Every metric of the page is documented, and every documented one is on the page.
func TestMetricsAreDocumented(t *testing.T) {
	doc := readDoc(t, "docs", "monitoring.md")
	documented := map[string]bool{}
	for _, name := range table(doc, "\n## Prometheus\n") {
		documented[name] = true
	}
	here := map[string]bool{}
	for name := range families(monitored(t)) {
		if strings.HasPrefix(name, "stream_pump_") {
			here[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] = true
		}
	}
	for name := range here {
		if !documented[name] {
			t.Errorf("%s is not in docs/monitoring.md", name)
		}
	}
	for name := range documented {
		row := regexp.MustCompile("(?m)^\\| `" + name + "` .*$").FindString(doc)
		if !here[name] && !strings.Contains(row, "Only ") {
			t.Errorf("%s is in docs/monitoring.md, and not on the page", name)
		}
	}
	for _, name := range namesInSource(t) {
		if !documented[name] {
			t.Errorf("%s is in the source, and not in docs/monitoring.md", name)
		}
	}
}

// namesInSource finds the metrics that appear only when something happens.
func namesInSource(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"access", "access/hook", "certificate", "ingest", "pump", "server", "stream", "telemetry"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"(stream_pump_[a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// The reasons are a closed set: documentation, metrics, MIB and program have the same ones.
func TestReasonsAreTheSameEverywhere(t *testing.T) {
	var ends, drops, dropped []string
	for _, r := range server.Reasons() {
		ends = append(ends, string(r))
		if r.Dropped() {
			dropped = append(dropped, string(r))
		}
	}
	drops = ingest.DropReasons()
	page, doc := monitored(t), readDoc(t, "docs", "monitoring.md")
	onPage := func(metric string) []string {
		var list []string
		for _, m := range regexp.MustCompile(`(?m)^`+metric+`\{stream="card",reason="([a-z_]+)"\}`).FindAllStringSubmatch(page, -1) {
			list = append(list, m[1])
		}
		return list
	}
	markedDropped := []string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]* \\| yes \\|$").FindAllStringSubmatch(doc, -1) {
		markedDropped = append(markedDropped, m[1])
	}
	var refusals []string
	for _, m := range regexp.MustCompile(`Refusal = "([a-z_]+)"`).FindAllStringSubmatch(readDoc(t, "access", "denial.go"), -1) {
		refusals = append(refusals, m[1])
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"docs/monitoring.md, why a viewer is gone", table(doc, "\n### Why a viewer is gone\n"), ends},
		{"docs/monitoring.md, which of these are dropped", markedDropped, dropped},
		{"docs/monitoring.md, why a packet is not passed on", table(doc, "\n### Why a packet is not passed on\n"), drops},
		{"docs/monitoring.md, why somebody is not let in", table(doc, "\n### Why somebody is not let in\n"), refusals},
		{"stream_pump_viewers_ended_total", onPage("stream_pump_viewers_ended_total"), ends},
		{"stream_pump_viewers_dropped_total", onPage("stream_pump_viewers_dropped_total"), dropped},
		{"stream_pump_packets_dropped_total", onPage("stream_pump_packets_dropped_total"), drops},
		{"the MIB, viewers", slices.Collect(maps.Keys(snmp.ViewerEndReasons())), ends},
		{"the MIB, packets", slices.Collect(maps.Keys(snmp.PacketDropReasons())), drops},
	} {
		slices.Sort(c.got)
		if want := slices.Sorted(slices.Values(c.want)); !slices.Equal(c.got, want) {
			t.Errorf("%s: %q, the program has %q", c.what, c.got, want)
		}
	}
}

// No label names a viewer: the page does not grow with the audience.
func TestMetricsDoNotGrowWithTheAudience(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	w.eventually("the viewer is counted", func() bool {
		return strings.Contains(string(w.ask("GET", "/metrics").body), `stream_pump_viewers{stream="card"} 1`)
	})
	lines := func() int { return strings.Count(string(w.ask("GET", "/metrics").body), "\n") }
	one := lines()
	for range 20 {
		w.play("card").packets(1)
	}
	if many := lines(); many != one {
		t.Errorf("%d lines with one viewer, %d with 21", one, many)
	}
	labels := map[string]bool{}
	for line := range strings.Lines(string(w.ask("GET", "/metrics").body)) {
		if !strings.HasPrefix(line, "stream_pump_") {
			continue
		}
		for _, m := range regexp.MustCompile(`[{,]([a-z_]+)="`).FindAllStringSubmatch(line, -1) {
			labels[m[1]] = true
		}
	}
	for _, wrong := range []string{"viewer", "address", "client", "client_id", "id", "user_agent", "user"} {
		if labels[wrong] {
			t.Errorf("a label %q", wrong)
		}
	}
}

// Each event loop says how long it has worked, and how long its longest pass was; that one
// starts anew with each page.
func TestEveryEventLoopIsMeasured(t *testing.T) {
	w := newWorld(t, "event_loops: 2\n"+card)
	w.awaitLive("card")
	w.play("card").packets(5)
	value := func(page, series string) float64 {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no %s in\n%s", series, page)
		}
		var f float64
		_, _ = fmt.Sscan(m[1], &f)
		return f
	}
	worst := 0.0
	var page string
	w.eventually("a pass is measured", func() bool {
		page = string(w.ask("GET", "/metrics").body)
		worst = value(page, `stream_pump_loop_worst_pass_seconds{loop="0"}`)
		return worst > 0
	})
	if first, second := value(page, `stream_pump_loop_busy_seconds_total{loop="0"}`), value(page, `stream_pump_loop_busy_seconds_total{loop="1"}`); first <= 0 || second != 0 {
		t.Errorf("with one viewer, the loops worked %v and %v s", first, second)
	}
	if all := value(page, "stream_pump_loops_worst_pass_seconds"); worst > all+0.1 { // written a moment apart
		t.Errorf("the longest pass is %v of the loop, %v of all", worst, all)
	}
	busy := value(page, `stream_pump_loop_busy_seconds_total{loop="0"}`)
	w.eventually("it works on", func() bool {
		return value(string(w.ask("GET", "/metrics").body), `stream_pump_loop_busy_seconds_total{loop="0"}`) > busy
	})
}

// The dashboard asks only for what is there, and can be drawn.
func TestGrafanaDashboard(t *testing.T) {
	boardtest.Check(t, filepath.Join("..", "share", "grafana", "stream-pump.json"), monitored(t), "stream_pump", 25)
}
