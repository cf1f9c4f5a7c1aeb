package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/loadtest"
)

// stallTime is how long a run with stalled viewers lasts: the time-out of the default settings, what the
// kernel's buffers hold, and some seconds without them.
const stallTime = 42 * time.Second

// stalledCases are the same audience twice: all of it reads, or a fifth of it never does.
func stalledCases() []testCase {
	c := testCase{viewers: 2000, rate: 300_000, pulse: 200 * ms, streams: 1, servers: servers[2:], label: "all read"}
	some := c
	some.stalled, some.label = 0.2, "20 % stalled"
	return []testCase{c, some}
}

// droppedStalled is how many viewers the pump says that it has let go because they took nothing.
func droppedStalled(counters map[string]float64) (n float64) {
	for name, value := range counters {
		if strings.HasPrefix(name, "stream_pump_viewers_dropped_total{") && strings.Contains(name, `reason="stalled"`) {
			n += value
		}
	}
	return n
}

// stall is what a run with stalled viewers adds to its row.
type stall struct {
	Viewers  int     `json:"viewers"`
	Dropped  float64 `json:"dropped_as_stalled"`
	FirstRSS uint64  `json:"rss_bytes_first"` // when all had joined
	MostRSS  uint64  `json:"rss_bytes_most"`  // from then on
	LastRSS  uint64  `json:"rss_bytes_last"`
}

// fill takes what the report and, at the run's end, the pump's own counters say.
func (s *stall) fill(rep *loadtest.Report, last map[string]float64) {
	s.Viewers, s.Dropped = rep.Slow.Clients, droppedStalled(last)
	for _, p := range rep.Series {
		if !p.Steady {
			continue
		}
		if s.FirstRSS == 0 {
			s.FirstRSS = p.RSS
		}
		s.MostRSS, s.LastRSS = max(s.MostRSS, p.RSS), p.RSS
	}
}

// stalledTable prints what stalled viewers do to the others and to the pump.
func stalledTable(rows []row) string {
	var b strings.Builder
	b.WriteString("| workload | server | stalled | of which dropped as `stalled` | worst delivery of the others | latency p50 / p99 ms | CPU µs per viewer·s | pump's memory MiB: all joined / most / last | lost |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		const mib = 1 << 20
		fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.4f | %.1f / %.1f | %.1f | %.1f / %.1f / %.1f | %d |\n", r.Case, r.Server, r.Stall.Viewers, r.Stall.Dropped,
			r.DeliveryMin, r.LatP50, r.LatP99, r.CPU, float64(r.Stall.FirstRSS)/mib, float64(r.Stall.MostRSS)/mib, float64(r.Stall.LastRSS)/mib, r.Lost)
	}
	return b.String()
}

// unstalled says who was not dropped though he had stalled, or was though he had not.
func unstalled(rows []row) error {
	var errs []error
	for _, r := range rows {
		if int(r.Stall.Dropped) != r.Stall.Viewers {
			errs = append(errs, fmt.Errorf("%s, %s: %.0f viewers were dropped as stalled, %d had", r.Case, r.Server, r.Stall.Dropped, r.Stall.Viewers))
		}
	}
	return errors.Join(errs...)
}
