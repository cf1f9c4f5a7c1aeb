package server

import (
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// burst bounds the bandwidth of all joiners' bursts together, so that a thousand joins
// do not choke a link that a thousand viewers fit in: a bucket that fills at the rate,
// holds a quarter of a second of it, and may run into debt by one turn.
type burst struct {
	rate   atomic.Int64 // bytes/s, 0 for no bound
	tokens atomic.Int64 // bytes
	filled atomic.Int64 // ns, when the bucket was last filled
}

func (b *burst) setRate(bitsPerSecond int64) { b.rate.Store(bitsPerSecond / 8) }

// open tells whether a joiner may be written to now.
func (b *burst) open(now int64) bool {
	rate := b.rate.Load()
	if rate == 0 {
		return true
	}
	last := b.filled.Load()
	if gained := rate * ((now - last) / int64(time.Millisecond)) / 1000; gained > 0 && b.filled.CompareAndSwap(last, now) {
		if b.tokens.Add(gained) > rate/4 {
			b.tokens.Store(rate / 4)
		}
	}
	return b.tokens.Load() > 0
}

func (b *burst) spend(n int) {
	if b.rate.Load() != 0 {
		b.tokens.Add(-int64(n))
	}
}

func newBurst(bitsPerSecond int64) *burst {
	b := &burst{}
	b.setRate(bitsPerSecond)
	b.filled.Store(stream.Monotonic())
	return b
}
