package hooks

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
)

// Hook is one address that is told.
type Hook struct {
	URL    string
	Secret string      // of the signature; empty: not signed
	Events []live.Kind // empty: all of [Kinds]
}

// Kinds are the happenings that can be told.
var Kinds = []live.Kind{
	live.ViewerJoined, live.ViewerLeft, live.ViewerPoor, live.PumpUp, live.PumpDown, live.PumpFull, live.StreamLive, live.StreamLost,
}

// Options are what a [Sender] needs. Fleet must be set.
type Options struct {
	Fleet *live.Fleet
	House string       // its name, told in each delivery
	Log   *slog.Logger // nil discards
	Hooks []Hook

	// Leads tells whether this house is the one of several that sends now. nil: it is.
	Leads func() bool

	Client  *http.Client  // nil: one of its own, which follows no redirect and bounds what it reads
	Timeout time.Duration // of one attempt; default 10 s
	Backoff time.Duration // after the first failure, then twice as long each time; default 1 s
}

// Figures are counts since the start.
type Figures struct {
	Sent    int64 // events that were taken
	Lost    int64 // events that were given up, or did not fit in the queue
	Failed  int64 // attempts
	Waiting int64 // events, now
}

// Bounds.
const (
	queue     = 8192 // events that wait for a hook
	perPost   = 500  // events in a delivery
	attempts  = 10
	maxPause  = time.Minute
	heldBack  = 7 * time.Second // by houses that do not send: longer than a lease lasts
	lookEvery = 500 * time.Millisecond
)

// Sender tells all hooks. Its methods may be called from any goroutine.
type Sender struct {
	opts   Options
	counts struct{ sent, lost, failed atomic.Int64 }

	mu    sync.Mutex
	hooks []Hook
	posts []*post
	ended bool
}

// New returns a Sender that is at work.
func New(o Options) *Sender {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	s := &Sender{opts: o}
	s.Set(o.Hooks)
	return s
}

// Set puts other hooks in force. Those that stay as they are keep what waits for them.
func (s *Sender) Set(hooks []Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	old := s.posts
	s.hooks, s.posts = slices.Clone(hooks), nil
	for _, h := range s.hooks {
		i := slices.IndexFunc(old, func(p *post) bool { return reflect.DeepEqual(p.hook, h) })
		if i < 0 {
			s.posts = append(s.posts, s.open(h))
			continue
		}
		s.posts, old = append(s.posts, old[i]), slices.Delete(old, i, i+1)
	}
	for _, p := range old {
		p.close()
	}
}

func (s *Sender) open(h Hook) *post {
	ctx, stop := context.WithCancel(context.Background())
	kinds := h.Events
	if len(kinds) == 0 {
		kinds = Kinds
	}
	p := &post{sender: s, hook: h, stop: stop, events: s.opts.Fleet.Subscribe(queue, func(k live.Kind) bool { return slices.Contains(kinds, k) })}
	p.done.Go(func() { p.run(ctx) })
	return p
}

// Close ends all attempts at once; what waits is not sent.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, p := range s.posts {
		p.close()
	}
	s.posts = nil
	s.opts.Client.CloseIdleConnections()
}

// Figures returns the counts of now.
func (s *Sender) Figures() Figures {
	f := Figures{Sent: s.counts.sent.Load(), Lost: s.counts.lost.Load(), Failed: s.counts.failed.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.posts {
		f.Waiting += int64(len(p.events.C)) + p.kept.Load()
		f.Lost += int64(p.events.Lost() - p.known.Load()) //nolint:gosec // far below
	}
	return f
}
