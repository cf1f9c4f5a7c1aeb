package loadtest

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the largest time a histogram holds; longer ones count as that.
const longest = 10 * time.Minute

// newHistogram is one of times in µs with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

// record counts a time in µs; it allocates nothing.
func record(h *hdrhistogram.Histogram, us int64) { recordTimes(h, us, 1) }

// recordTimes counts a time n times.
func recordTimes(h *hdrhistogram.Histogram, us, n int64) {
	_ = h.RecordValues(min(max(us, 0), longest.Microseconds()), n) // in range: cannot fail
}

// quantilesOf are in ms.
func quantilesOf(h *hdrhistogram.Histogram) Quantiles {
	if h.TotalCount() == 0 {
		return Quantiles{}
	}
	at := func(q float64) float64 { return milliseconds(h.ValueAtQuantile(q)) }
	return Quantiles{P50: at(50), P95: at(95), P99: at(99), Max: milliseconds(h.Max()), Count: h.TotalCount()}
}

func milliseconds(us int64) float64 { return float64(us) / 1000 }

// barsOf is a histogram in few buckets, each a third wider than the one before.
func barsOf(h *hdrhistogram.Histogram) []Bar {
	var bars []Bar
	upTo, n := int64(500), int64(0)
	flush := func() {
		if n > 0 || len(bars) > 0 {
			bars = append(bars, Bar{UpTo: milliseconds(upTo), Count: n})
		}
		n, upTo = 0, upTo*4/3
	}
	for _, b := range h.Distribution() {
		if b.Count == 0 {
			continue
		}
		for b.To > upTo {
			flush()
		}
		n += b.Count
	}
	flush()
	for len(bars) > 0 && bars[len(bars)-1].Count == 0 {
		bars = bars[:len(bars)-1]
	}
	return bars
}
