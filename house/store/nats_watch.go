package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// follower keeps one watch going over breaks: after each it looks at everything again, and
// tells what is different.
type follower struct {
	store  *natsStore
	prefix string
	out    chan<- Change
	known  map[string]uint64 // revision of what was told
	whole  bool              // Whole was told
}

func (s *natsStore) Watch(ctx context.Context, prefix string) (*Watch, error) {
	if prefix != "" && !strings.HasSuffix(prefix, ".") {
		return nil, fmt.Errorf("watching %q: %w", prefix, ErrKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("watching: %w", ErrUnavailable)
	}
	c, again := make(chan Change), make(chan struct{}, 1)
	s.again[again] = struct{}{}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	f := &follower{store: s, prefix: prefix, out: c, known: map[string]uint64{}}
	s.done.Go(func() {
		defer close(c)
		defer cancel()
		defer stop()
		f.follow(ctx, again)
		s.mu.Lock()
		delete(s.again, again)
		s.mu.Unlock()
	})
	return &Watch{C: c}, nil
}

// reconnected lets all watches look again.
func (s *natsStore) reconnected() {
	s.log.Info("the store is connected again")
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.again {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// retryAfter is the wait after a watch that could not be had or ended.
const retryAfter = 250 * time.Millisecond

func (f *follower) follow(ctx context.Context, again <-chan struct{}) {
	for ctx.Err() == nil {
		if err := f.once(ctx, again); err != nil && ctx.Err() == nil {
			f.store.log.Debug("a watch of the store begins anew", slog.Any("error", err))
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
	}
}

// once follows one watch of the server's until it ends, or something says to look again.
func (f *follower) once(ctx context.Context, again <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	state, _ := f.store.buckets()
	w, err := state.Watch(ctx, f.prefix+">")
	if err != nil {
		return told(err)
	}
	defer func() { _ = w.Stop() }()
	seen := map[string]bool{}
	for first := true; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again:
			return nil
		case e, open := <-w.Updates():
			switch {
			case !open:
				return ErrUnavailable
			case e == nil && first:
				first = false
				f.missing(ctx, seen)
			case e != nil:
				seen[e.Key()] = true
				f.tell(ctx, e)
			}
		}
	}
}

// tell passes on what is new.
func (f *follower) tell(ctx context.Context, e jetstream.KeyValueEntry) {
	known, had := f.known[e.Key()]
	if had && e.Revision() <= known {
		return
	}
	deleted := e.Operation() != jetstream.KeyValuePut
	if deleted && !had {
		return // it went before anybody heard of it
	}
	c := Change{Entry: Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}, Deleted: deleted}
	if deleted {
		c.Value = nil
		delete(f.known, e.Key())
	} else {
		f.known[e.Key()] = e.Revision()
	}
	f.send(ctx, c)
}

// missing tells of keys that went during a break, and at the first time that all is told.
func (f *follower) missing(ctx context.Context, seen map[string]bool) {
	for key := range f.known {
		if !seen[key] {
			delete(f.known, key)
			f.send(ctx, Change{Entry: Entry{Key: key}, Deleted: true})
		}
	}
	if !f.whole {
		f.whole = true
		f.send(ctx, Change{Whole: true})
	}
}

func (f *follower) send(ctx context.Context, c Change) {
	select {
	case f.out <- c:
	case <-ctx.Done():
	}
}
