//go:build linux

package main

import (
	"slices"
	"time"
)

// row is one run, or the medians of several.
type row struct {
	Round   int    `json:"round,omitempty"`
	Server  string `json:"server"`
	Viewers int    `json:"viewers"`
	RateBPS int    `json:"rate_bps"`

	Joined     int     `json:"joined"`
	Served     int     `json:"served"` // to the end, with at least 99 % of the median rate
	SourceBPS  float64 `json:"source_bps"`
	BPS        float64 `json:"viewer_bps"` // median
	WorstBPS   float64 `json:"viewer_bps_worst"`
	CPU        float64 `json:"cpu_us_per_viewer_s"`
	CPUs       float64 `json:"cpus"`      // processors that the server used
	IdleCPUs   float64 `json:"cpus_idle"` // without viewers, with the stream
	Hottest    float64 `json:"busiest_thread"`
	Machine    float64 `json:"machine_busy"`
	Stolen     float64 `json:"machine_stolen"`
	Audience   float64 `json:"audience_busy"`
	RSS        float64 `json:"rss_bytes_per_viewer"`
	Segments   float64 `json:"segments_per_viewer_s"`
	JoinP50    float64 `json:"join_ms_p50"`
	JoinP99    float64 `json:"join_ms_p99"`
	GapP99     float64 `json:"longest_gap_ms_p99"`
	Ratio      float64 `json:"ratio_to_pump,omitempty"`
	CPULeast   float64 `json:"cpu_us_per_viewer_s_least,omitempty"`
	CPUMost    float64 `json:"cpu_us_per_viewer_s_most,omitempty"`
	FirstError string  `json:"first_error,omitempty"`
	Broken     int     `json:"rounds_broken,omitempty"`
	Trouble    string  `json:"trouble,omitempty"`
}

const (
	servedShare = 0.99
	silence     = 2 * time.Second // at the end of the window: cut off
)

// watch takes the viewers' figures; the audience has dispersed.
//
// A viewer's rate is what came between the first and the last time something came,
// without the first piece, so that the phase of a server's writes does not matter.
func (r *row) watch(a *audience, source float64) {
	from, to := a.window.from.Load(), a.window.to.Load()
	var joins, gaps, rates, segments []float64
	for _, l := range a.loops {
		r.Audience = max(r.Audience, 1-float64(l.asleep)/float64(max(l.windowed, 1)))
		for i := range l.viewers {
			v := &l.viewers[i]
			if v.gone != nil && r.FirstError == "" {
				r.FirstError = v.gone.Error()
			}
			if v.join == 0 {
				continue
			}
			r.Joined++
			joins = append(joins, float64(v.join)/1e6)
			gaps = append(gaps, float64(max(v.gap, to-max(v.before, from)))/1e6)
			rates = append(rates, v.rate(to))
			if v.segments[0] > 0 && v.segments[1] > 0 {
				segments = append(segments, float64(v.segments[1]-v.segments[0])/(float64(to-from)/1e9))
			}
		}
	}
	r.SourceBPS = source
	r.BPS, r.WorstBPS = quantile(rates, 0.5), quantile(rates, 0)
	for _, rate := range rates {
		if rate > 0 && rate >= servedShare*r.BPS {
			r.Served++
		}
	}
	r.JoinP50, r.JoinP99 = quantile(joins, 0.5), quantile(joins, 0.99)
	r.GapP99, r.Segments = quantile(gaps, 0.99), quantile(segments, 0.5)
}

// rate is in bit/s; who was cut off or got nothing has none.
func (v *viewer) rate(end int64) float64 {
	if v.gone != nil || v.last <= v.first || end-v.last > int64(silence) {
		return 0
	}
	return float64(v.bytes) * 8e9 / float64(v.last-v.first)
}

// charge takes the server's figures, without viewers and in the window.
func (r *row) charge(idleFrom, idleTo, from, to usage) {
	share := func(from, to usage, used time.Duration) float64 { return used.Seconds() / to.at.Sub(from.at).Seconds() }
	r.CPUs = share(from, to, to.cpu-from.cpu)
	r.IdleCPUs = share(idleFrom, idleTo, idleTo.cpu-idleFrom.cpu)
	r.Hottest = hottest(from, to)
	r.Machine = share(from, to, to.busy-from.busy) / float64(processors())
	r.Stolen = share(from, to, to.steal-from.steal) / float64(processors())
	if r.Joined > 0 {
		r.CPU = r.CPUs * 1e6 / float64(r.Joined)
		r.RSS = float64(to.rss-idleTo.rss) / float64(r.Joined)
	}
}

// quantile is the value below which the share q lies; 0 of none.
func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
