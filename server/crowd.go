package server

import (
	"sync"
	"sync/atomic"

	"github.com/stream-pump/stream-pump/stream"
)

// crowd is the guests of one stream. The publisher only marks it; the guests are woken
// once a pulse.
type crowd struct {
	all    *crowds
	stream *stream.Stream
	guests map[*guest]struct{} // guarded by crowds.mu
	dirty  atomic.Bool
	cancel func()
}

// Wake implements stream.Waker.
func (c *crowd) Wake() {
	if !c.dirty.Load() {
		c.dirty.Store(true)
		c.all.pulse.wake()
	}
}

// Due implements stream.Waker.
func (c *crowd) Due() int64 { return c.all.pulse.next.Load() }

// crowds are the crowds of all streams, with the pulse that wakes them.
type crowds struct {
	mu       sync.Mutex
	byStream map[*stream.Stream]*crowd
	pulse    *pulse
}

func newCrowds(settings func() *Settings) *crowds {
	a := &crowds{byStream: map[*stream.Stream]*crowd{}}
	a.pulse = newPulse(settings, a.flush, true)
	return a
}

func (a *crowds) join(s *stream.Stream, g *guest) *crowd {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.byStream[s]
	if c == nil {
		c = &crowd{all: a, stream: s, guests: map[*guest]struct{}{}}
		c.cancel = s.Subscribe(c)
		a.byStream[s] = c
	}
	c.guests[g] = struct{}{}
	return c
}

func (a *crowds) leave(c *crowd, g *guest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(c.guests, g)
	if len(c.guests) == 0 && a.byStream[c.stream] == c {
		c.cancel()
		delete(a.byStream, c.stream)
	}
}

// flush wakes the guests of every stream that has something new.
func (a *crowds) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	start := a.pulse.begin()
	defer func() { a.pulse.end(start, 0) }()
	for _, c := range a.byStream {
		if !c.dirty.Swap(false) {
			continue
		}
		for g := range c.guests {
			select {
			case g.wake <- struct{}{}:
			default:
			}
		}
	}
}

// each calls f for every guest.
func (a *crowds) each(f func(*guest)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.byStream {
		for g := range c.guests {
			f(g)
		}
	}
}
