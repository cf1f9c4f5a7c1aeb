package server

import (
	"sync/atomic"
	"time"
)

// fill tells whether an event loop has viewers enough, if others can take the next ones.
// Two loops at work cost more than one: the waking as well as the writing, in which they
// and the receivers' side of the kernel get into each other's way. For 5,000 viewers of
// one stream that is a tenth, of a hundred streams a sixth. So viewers share a loop until
//
//   - the last viewer of a stream gets its packets much later than the first, or
//   - the loop works for a good part of the time.
//
// How long all streams take together is no matter until then: each is drawn from right
// before its own viewers are written to, and so waits for none of the others.
type fill struct {
	full   atomic.Bool
	stream time.Duration // mean of the longest that one stream took in a pass
}

const (
	packed     = 256                   // connections that a loop gets whatever its passes take: they say nothing before the first ones are over
	streamLong = 25 * time.Millisecond // what the last viewer of a stream waits longer than the first
	busyShare  = 4                     // a pass may take 1/busyShare of the pulse
)

// passed counts a pass, given the longest that one stream took in it, and the mean length
// and distance of passes. Runs on the loop.
func (f *fill) passed(stream, pass, pulse time.Duration) {
	f.stream += (stream - f.stream) / 4
	f.full.Store(f.stream > streamLong || pass > pulse/busyShare)
}
