package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stream-pump/stream-pump/loadtest"
)

// row is one measured run.
type row struct {
	Case    string  `json:"case"`
	Server  string  `json:"server"`
	TLS     bool    `json:"tls"`
	Pump    bool    `json:"pump"`
	Viewers int     `json:"viewers"`
	RateBPS int     `json:"rate_bps"`
	PulseMS float64 `json:"pulse_ms"`

	CPU                float64 `json:"cpu_us_per_viewer_s"`
	SyscallsPerViewerS float64 `json:"syscalls_per_viewer_s"`
	WritesPerFlush     float64 `json:"writes_per_viewer_and_flush"`
	CopiedBytes        float64 `json:"user_space_copied_bytes"`
	AllocsPerFlush     float64 `json:"allocs_per_viewer_and_flush"`
	RSSPerViewer       float64 `json:"rss_bytes_per_viewer"`
	JoinP50, JoinP99   float64
	LatP50, LatP99     float64
	DeliveryMin        float64 `json:"delivery_min"`
	Lost               uint64  `json:"lost_packets"`
	Faults             uint64  `json:"protocol_errors"`
	Missing            int     `json:"viewers_missing"`
	Verdict            string  `json:"verdict"`
	Stall              stall   `json:"stall"`
}

func (r *row) fill(rep *loadtest.Report) {
	r.CPU = rep.Server.PerViewer
	r.JoinP50, r.JoinP99 = rep.Join.P50, rep.Join.P99
	r.LatP50, r.LatP99 = rep.Latency.P50, rep.Latency.P99
	r.DeliveryMin, r.Lost, r.Faults = rep.Delivery.Min, rep.Gaps.Packets, rep.Protocol
	r.Missing = rep.Clients.Requested - rep.Clients.AliveAtEnd - rep.Slow.Dropped
	r.Verdict = rep.Verdict
}

// Counters that the pump exports and that the floor is asked for as well.
const (
	egressCalls = "stream_pump_egress_calls_total"
	writeCalls  = "stream_pump_write_calls_total" // of all streams
	slabBytes   = "stream_pump_slab_bytes"        // the ring fills while viewers come, and is no memory of theirs
)

// count takes the server's own counters over a window of the steady state.
func (r *row) count(w window) {
	viewers, pulses := float64(r.Viewers), w.length.Seconds()*1000/r.PulseMS
	r.SyscallsPerViewerS = w.delta(egressCalls) / viewers / w.length.Seconds()
	r.CopiedBytes = w.delta("stream_pump_copied_bytes_total")
	r.WritesPerFlush = w.delta(writeCalls) / viewers / pulses
	r.AllocsPerFlush = w.delta("go_memstats_mallocs_total") / viewers / pulses
}

// table prints the rows; the ratio is against the floor of the same case.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| workload | server | CPU µs per viewer·s | × floor | system calls per viewer·s | writes per viewer and flush | copied bytes | allocations per viewer and flush | RSS KiB per viewer, less the ring | join p50 / p99 ms | latency p50 / p99 ms | worst delivery | lost |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	floor := map[string]float64{}
	for _, r := range rows {
		if r.Server == "floor" {
			floor[r.Case] = r.CPU
		}
	}
	for _, r := range rows {
		ratio := "–"
		if f := floor[r.Case]; f > 0 {
			ratio = fmt.Sprintf("%.2f", r.CPU/f)
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %s | %.2f | %.3f | %.0f | %.4f | %.1f | %.1f / %.1f | %.0f / %.0f | %.4f | %d |\n",
			r.Case, r.Server, r.CPU, ratio, r.SyscallsPerViewerS, r.WritesPerFlush, r.CopiedBytes, r.AllocsPerFlush,
			r.RSSPerViewer/1024, r.JoinP50, r.JoinP99, r.LatP50, r.LatP99, r.DeliveryMin, r.Lost)
	}
	return b.String()
}

func asJSON(rows []row) []byte {
	b, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		panic(err) // a row is plain numbers
	}
	return append(b, '\n')
}

// Bounds of what is exact. A reading falls into the middle of a flush, and a pump does
// other things than flushing, hence not 1 and 0.
const (
	mostWrites = 1.05
	mostAllocs = 0.1 // a viewer and flush
	otherwise  = 5.0 // allocations a flush that are no viewer's
)

// inexact says what is wrong that must not be, whatever the machine.
func inexact(rows []row) error {
	var errs []error
	for _, r := range rows {
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s, %s: %s", r.Case, r.Server, fmt.Sprintf(format, args...)))
		}
		if r.Lost > 0 || r.Faults > 0 || r.Missing > 0 {
			wrong("%d packets lost, %d protocol errors, %d viewers missing", r.Lost, r.Faults, r.Missing)
		}
		if r.CopiedBytes > 0 && !r.TLS { // sealing is copying
			wrong("%.0f bytes copied in user space", r.CopiedBytes)
		}
		if r.Pump && r.WritesPerFlush > mostWrites { // of a floor the kernel counts what is not for viewers as well
			wrong("%.3f writes per viewer and flush, want 1", r.WritesPerFlush)
		}
		if r.AllocsPerFlush > mostAllocs+otherwise/float64(r.Viewers) {
			wrong("%.4f allocations per viewer and flush, want none", r.AllocsPerFlush)
		}
	}
	return errors.Join(errs...)
}
