package live

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// Kind is what happened. The set grows, but no name changes: webhooks carry them.
type Kind string

// The kinds.
const (
	ViewerJoined  Kind = "viewer_joined"
	ViewerLeft    Kind = "viewer_left"
	ViewerPoor    Kind = "viewer_poor"
	ViewerGood    Kind = "viewer_good"
	PumpUp        Kind = "pump_up"
	PumpDown      Kind = "pump_down"
	PumpFull      Kind = "pump_full"
	PumpFree      Kind = "pump_free"
	StreamLive    Kind = "stream_live"  // the first pump delivers it
	StreamLost    Kind = "stream_lost"  // no pump delivers it any more
	CarrierUp     Kind = "carrier_up"   // a pump delivers a stream
	CarrierDown   Kind = "carrier_down" // a pump does not deliver a stream any more
	RosterChanged Kind = "roster_changed"
	Noted         Kind = "noted" // Text tells it: refusals, certificates, operators' doings
)

// Remembered tells whether the kind is among [Fleet.Recent]: not what there may be thousands
// of.
func (k Kind) Remembered() bool { return !k.OfViewer() && k != CarrierUp && k != CarrierDown }

// OfViewer tells whether the kind is about one viewer: there may be thousands a second.
func (k Kind) OfViewer() bool {
	return k == ViewerJoined || k == ViewerLeft || k == ViewerPoor || k == ViewerGood
}

// Happening is something that happened in the fleet.
type Happening struct {
	Number  uint64 // of all happenings of this house since its start
	Time    time.Time
	Kind    Kind
	Pump    string   // id, where one is meant
	Stream  string   // path, where one is meant
	Watcher *Watcher // of the viewer kinds; not changed
	Text    string   // for people
}

// bell tells happenings to whoever listens, and remembers the last ones.
type bell struct {
	keep int

	mu      sync.Mutex
	number  uint64
	recent  []Happening // a ring, at number recentNo % keep
	total   int
	subs    map[*Subscription]struct{}
	streams map[string]int // pumps that deliver, by lower-case path
	answers map[string]chan *fleet.Answer
}

// Subscription yields happenings in order. Whoever is too slow loses some, and is told.
type Subscription struct {
	C    <-chan Happening
	c    chan Happening
	want func(Kind) bool
	bell *bell
	lost atomic.Uint64
}

// Lost returns how many happenings did not fit in the channel.
func (s *Subscription) Lost() uint64 { return s.lost.Load() }

// Close ends the subscription; C is not closed.
func (s *Subscription) Close() {
	s.bell.mu.Lock()
	defer s.bell.mu.Unlock()
	delete(s.bell.subs, s)
}

// Subscribe returns a subscription that holds up to buffer happenings which want is true
// of; nil wants all. want must be quick.
func (f *Fleet) Subscribe(buffer int, want func(Kind) bool) *Subscription {
	c := make(chan Happening, buffer)
	s := &Subscription{C: c, c: c, want: want, bell: &f.bell}
	f.bell.mu.Lock()
	defer f.bell.mu.Unlock()
	if f.bell.subs == nil {
		f.bell.subs = map[*Subscription]struct{}{}
	}
	f.bell.subs[s] = struct{}{}
	return s
}

// Listeners returns how many subscriptions there are.
func (f *Fleet) Listeners() int {
	f.bell.mu.Lock()
	defer f.bell.mu.Unlock()
	return len(f.bell.subs)
}

// Recent returns the last happenings that are remembered, the oldest first.
func (f *Fleet) Recent() []Happening {
	b := &f.bell
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(b.total, b.keep)
	list := make([]Happening, 0, n)
	for i := b.total - n; i < b.total; i++ {
		list = append(list, b.recent[i%b.keep])
	}
	return list
}

// Note makes something known that has no kind of its own. Text is for people and holds no
// secrets.
func (f *Fleet) Note(pump, text string) {
	f.bell.ring(Happening{Time: f.opts.Now(), Kind: Noted, Pump: pump, Text: text})
}

func (b *bell) ring(h Happening) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ringLocked(h)
}

func (b *bell) ringLocked(h Happening) {
	b.number++
	h.Number = b.number
	if h.Kind.Remembered() {
		if len(b.recent) < b.keep {
			b.recent = append(b.recent, h)
		} else {
			b.recent[b.total%b.keep] = h
		}
		b.total++
	}
	for s := range b.subs {
		if s.want != nil && !s.want(h.Kind) {
			continue
		}
		select {
		case s.c <- h:
		default:
			s.lost.Add(1)
		}
	}
}

// delivering counts one pump more or less that delivers a stream.
func (b *bell) delivering(key, path string, more int, pump string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == nil {
		b.streams = map[string]int{}
	}
	kind := CarrierUp
	if more < 0 {
		kind = CarrierDown
	}
	b.ringLocked(Happening{Time: now, Kind: kind, Stream: path, Pump: pump})
	was := b.streams[key]
	b.streams[key] = was + more
	switch {
	case was == 0 && more > 0:
		b.ringLocked(Happening{Time: now, Kind: StreamLive, Stream: path, Pump: pump})
	case was+more == 0:
		delete(b.streams, key)
		b.ringLocked(Happening{Time: now, Kind: StreamLost, Stream: path, Pump: pump})
	}
}

// Await returns a channel on which the answer to a command arrives, and what to call when
// nobody waits any more.
func (f *Fleet) Await(command string) (<-chan *fleet.Answer, func()) {
	b := &f.bell
	c := make(chan *fleet.Answer, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		b.answers = map[string]chan *fleet.Answer{}
	}
	b.answers[command] = c
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.answers, command)
	}
}

func (b *bell) answer(_ string, a *fleet.Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.answers[a.Command]; c != nil {
		select {
		case c <- a:
		default: // answered already
		}
	}
}
