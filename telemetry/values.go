package telemetry

import (
	"math"
	"sync/atomic"
	"time"
)

// cacheLine is the distance that keeps two values of one struct from sharing a
// line. 128 covers the adjacent-line prefetch of common processors.
const cacheLine = 128

// Counter only grows. The zero value is ready; it must not be copied. All methods
// may be called from any goroutine.
type Counter struct {
	n atomic.Uint64
	_ [cacheLine - 8]byte
}

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load returns the count.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Gauge goes up and down. The zero value is ready; it must not be copied. All
// methods may be called from any goroutine.
type Gauge struct {
	n atomic.Int64
	_ [cacheLine - 8]byte
}

// Add adds n, which may be negative.
func (g *Gauge) Add(n int64) { g.n.Add(n) }

// Set replaces the value.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Load returns the value.
func (g *Gauge) Load() int64 { return g.n.Load() }

// Histogram counts observations in fixed buckets. Observing takes no lock and
// allocates nothing; a page written meanwhile may be one observation short in its
// sum. Make it with [NewHistogram].
//
// It stands beside the histograms of the metrics library because event loops
// observe on their way to the viewers, and those take a mutex for every observation.
type Histogram struct {
	bounds  []float64 // upper bounds, ascending, without +Inf
	buckets []atomic.Uint64
	sum     atomic.Uint64 // bits of a float64
}

// NewHistogram returns a histogram with the given ascending upper bounds; the
// bucket of everything above the last one is added.
func NewHistogram(bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, buckets: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts v. NaN and negative values are ignored.
func (h *Histogram) Observe(v float64) {
	if math.IsNaN(v) || v < 0 {
		return
	}
	h.buckets[h.bucket(v)].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// bucket returns the index of the first bucket whose upper bound v does not exceed.
func (h *Histogram) bucket(v float64) int {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	return i
}

// ObserveDuration counts d in seconds.
func (h *Histogram) ObserveDuration(d time.Duration) { h.Observe(d.Seconds()) }

// Count returns the number of observations.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Sum returns the sum of the observations.
func (h *Histogram) Sum() float64 { return math.Float64frombits(h.sum.Load()) }
