package access

import "sync/atomic"

// Bucket bounds a bandwidth: it fills at the rate, holds a quarter of a second of it, and
// may run into debt by what is written at once. The zero value has no bound. All methods
// may be called from any goroutine; none takes a lock. Times are ns of one monotonic clock.
type Bucket struct {
	rate   atomic.Int64 // bytes/s, 0 for no bound
	tokens atomic.Int64 // bytes
	filled atomic.Int64 // ns, when the bucket was last filled
	queued atomic.Int64 // bytes that somebody waits for
}

// mostGained bounds what a bucket gains at once, in bytes: far more than any holds.
const mostGained = 1 << 60

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
	if b.rate.Load() == 0 {
		return true
	}
	b.fill(now)
	return b.tokens.Load() > 0
}

// Take takes n bytes if something may be written now, so that of many who ask at once only
// those get in whom it has room for.
func (b *Bucket) Take(now int64, n int64) bool {
	if b.rate.Load() == 0 {
		return true
	}
	b.fill(now)
	for {
		have := b.tokens.Load()
		if have <= 0 {
			return false
		}
		if b.tokens.CompareAndSwap(have, have-n) {
			return true
		}
	}
}

// Return gives back what was taken and not written.
func (b *Bucket) Return(n int64) {
	if b.rate.Load() != 0 {
		b.tokens.Add(n)
	}
}

// Used returns how much of the rate is taken, in bit/s: what is missing of what the bucket
// holds when it is full. It is more than the rate while the bucket is in debt; 0 without a
// bound.
func (b *Bucket) Used(now int64) int64 {
	rate := b.rate.Load()
	if rate == 0 {
		return 0
	}
	b.fill(now)
	return max(max(rate/4, 1)-b.tokens.Load(), 0) * 4 * 8
}

// Wait returns how long it takes, in ns, until n more bytes will have gone through behind
// those that are queued already; 0 without a bound.
func (b *Bucket) Wait(now int64, n int64) int64 {
	rate := b.rate.Load()
	if rate == 0 {
		return 0
	}
	b.fill(now)
	behind := b.queued.Load() - b.tokens.Load()
	if behind < 0 {
		return 0 // it is served at once, however large it is
	}
	return int64(float64(behind+n) / float64(rate) * float64(second))
}

func (b *Bucket) fill(now int64) {
	rate := b.rate.Load()
	last := b.filled.Load()
	gained := int64(min(float64(rate)*float64(now-last)/float64(second), mostGained))
	if gained > 0 && b.filled.CompareAndSwap(last, now) {
		if full := max(rate/4, 1); b.tokens.Add(gained) > full {
			b.tokens.Store(full)
		}
	}
}

// Spend takes the bytes that were written.
func (b *Bucket) Spend(n int) {
	if b.rate.Load() != 0 {
		b.tokens.Add(-int64(n))
	}
}
