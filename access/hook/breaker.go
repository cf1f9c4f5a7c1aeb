package hook

import (
	"errors"
	"sync"
	"time"
)

// errTripped says that the program is not asked for now.
var errTripped = errors.New("not asked, since it has failed lately")

// Shape of a breaker.
const (
	tripAfter = 3               // failures in a row
	restFor   = 5 * time.Second // then it is not asked, but for one question each time that long is over
)

// breaker keeps visitors from waiting for a program that does not answer.
type breaker struct {
	now func() time.Time

	mu    sync.Mutex
	fails int
	until time.Time // not asked before
}

// closed tells whether the program may be asked. When it has rested, one question may be
// put; the others wait for what becomes of it.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails < tripAfter {
		return true
	}
	now := b.now()
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(restFor)
	return true
}

// failed notes a failure and tells whether that was the one that trips the breaker.
func (b *breaker) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.until = b.now().Add(restFor)
	return b.fails == tripAfter
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = 0
}
