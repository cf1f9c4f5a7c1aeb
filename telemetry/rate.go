package telemetry

import (
	"math"
	"sync/atomic"
	"time"
)

// rateBuckets is the number of buckets a window is cut into; one more is kept for
// the bucket being filled.
const rateBuckets = 8

// Rate measures bit/s over a sliding window. Any number of goroutines may add and
// read; nobody takes a lock and nothing is allocated. Make it with [NewRate].
type Rate struct {
	now    func() time.Time
	start  time.Time
	bucket time.Duration
	// Each slot packs the number of its bucket (upper 32 bits) with the bytes
	// counted in it (lower 32 bits, saturating), so that a slot changes hands in
	// one compare-and-swap.
	slots [rateBuckets + 1]atomic.Uint64
}

// NewRate returns a meter over the window, which is at least 8 ms; now nil means
// [time.Now].
func NewRate(window time.Duration, now func() time.Time) *Rate {
	if now == nil {
		now = time.Now
	}
	return &Rate{now: now, start: now(), bucket: max(window/rateBuckets, time.Millisecond)}
}

// number counts buckets from 1, so that an empty slot belongs to none.
func (r *Rate) number(at time.Time) uint64 {
	return uint64(uint32(max(at.Sub(r.start), 0)/r.bucket)) + 1
}

// Add counts bytes, negative ones not at all.
func (r *Rate) Add(bytes int) {
	if bytes <= 0 {
		return
	}
	n := r.number(r.now())
	slot := &r.slots[n%(rateBuckets+1)]
	for {
		old := slot.Load()
		sum := uint64(bytes)
		if old>>32 == n {
			sum += old & math.MaxUint32
		}
		if slot.CompareAndSwap(old, n<<32|min(sum, math.MaxUint32)) {
			return
		}
	}
}

// BitsPerSecond returns the mean over the last whole buckets of the window. In the
// first window after the start it is the mean since the start.
func (r *Rate) BitsPerSecond() float64 {
	at := r.now()
	n := r.number(at)
	var bytes uint64
	for i := range r.slots {
		v := r.slots[i].Load()
		if b := v >> 32; b < n && n-b <= rateBuckets && b > 0 {
			bytes += v & math.MaxUint32
		} else if b == n && n <= rateBuckets {
			bytes += v & math.MaxUint32
		}
	}
	over := r.bucket * rateBuckets
	if n <= rateBuckets {
		over = max(at.Sub(r.start), r.bucket)
	}
	return float64(bytes) * 8 / over.Seconds()
}
