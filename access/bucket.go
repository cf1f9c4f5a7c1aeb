package access

import "sync/atomic"

// Bucket bounds a bandwidth: it fills at the rate, holds a quarter of a second of it, and
// may run into debt by what is written at once. The zero value has no bound. All methods
// may be called from any goroutine; none takes a lock. Times are ns of one monotonic clock.
type Bucket struct {
	rate   atomic.Int64 // bytes/s, 0 for no bound
	tokens atomic.Int64 // bytes
	filled atomic.Int64 // ns, when the bucket was last filled
}

// SetRate changes the bound, in bit/s; 0 is none.
func (b *Bucket) SetRate(bitsPerSecond int64) {
	bytes := bitsPerSecond / 8
	if bitsPerSecond > 0 {
		bytes = max(bytes, 1)
	}
	b.rate.Store(bytes)
}

// Rate returns the bound in bit/s.
func (b *Bucket) Rate() int64 { return b.rate.Load() * 8 }

// Open tells whether something may be written now.
func (b *Bucket) Open(now int64) bool {
	rate := b.rate.Load()
	if rate == 0 {
		return true
	}
	last := b.filled.Load()
	gained := int64(float64(rate) * float64(min(now-last, second)) / float64(second))
	if gained > 0 && b.filled.CompareAndSwap(last, now) {
		if full := max(rate/4, 1); b.tokens.Add(gained) > full {
			b.tokens.Store(full)
		}
	}
	return b.tokens.Load() > 0
}

// Spend takes the bytes that were written.
func (b *Bucket) Spend(n int) {
	if b.rate.Load() != 0 {
		b.tokens.Add(-int64(n))
	}
}
