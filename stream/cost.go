package stream

import (
	"sync"
	"time"
)

// Shape of what a viewer is taken to cost.
const (
	measuredAfter = 10 * time.Second // of delivering: what comes before may be a source's burst
	costFalls     = 0.01             // of itself in a second, at most
	guessedUntil  = time.Second      // of delivering, where nothing is announced
	guessedCost   = 1_000_000        // bit/s
)

// Cost returns what one viewer of the stream costs, in bit/s, framing included: what the
// header announces until the source has been measured for ten seconds, and then what is
// measured. A rise counts at once, a fall by one per cent a second, so that a quiet scene
// does not let in more viewers than the next busy one can bear. While no source delivers it
// is what was known last; 0 when nothing is. Where the header announces nothing, the first
// second counts as 1 Mbit/s.
func (s *Stream) Cost() int64 {
	var epoch uint32
	var announced int64
	if h := s.Header(); h != nil {
		epoch, announced = h.Epoch, h.Bitrate
	}
	return s.cost.update(Monotonic(), epoch, announced, s.Uptime(), s.Bitrate())
}

// cost follows the rate of one stream. Safe from any goroutine; the lock is a leaf.
type cost struct {
	mu       sync.Mutex
	epoch    uint32 // header that value is of, 0 none
	value    float64
	measured bool
	at       int64 // ns, of the last measurement
}

func (c *cost) update(now int64, epoch uint32, announced int64, uptime time.Duration, rate float64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch == 0 {
		return int64(c.value)
	}
	if epoch != c.epoch {
		c.epoch, c.value, c.measured = epoch, float64(announced), false
	}
	switch {
	case uptime >= measuredAfter && !c.measured:
		c.value, c.measured, c.at = rate, true, now
	case uptime >= measuredAfter:
		passed := min(time.Duration(now-c.at).Seconds(), 1/costFalls)
		c.value, c.at = max(rate, c.value*(1-costFalls*passed)), now
	case c.measured: // it has just come back: go on with what was measured
		c.at = now
	case announced == 0 && uptime < guessedUntil:
		return int64(max(rate, guessedCost))
	case announced == 0:
		return int64(rate)
	}
	return int64(c.value)
}
