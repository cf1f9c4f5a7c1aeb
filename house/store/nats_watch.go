package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// follower keeps one watch going over breaks. The server's own watch ends silently when the
// server it was at dies, and is noticed and made anew only much later; so a follower that knows
// of a revision and is not told of it fetches what is missing by itself.
type follower struct {
	store  *natsStore
	prefix string
	out    chan<- Change
	known  map[string]bool // keys that are there, as was told
	seen   map[string]bool // keys that came since the server's watch began; nil once it has told all that was there
	at     uint64          // everything up to this revision was told
	asked  uint64          // the leader had nothing beyond at when the store was known to be here
	whole  bool            // Whole was told

	more  chan struct{} // the store has come to a revision
	again chan struct{} // there is a new connection
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
	c := make(chan Change)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	f := &follower{store: s, prefix: prefix, out: c, known: map[string]bool{}, more: make(chan struct{}, 1), again: make(chan struct{}, 1)}
	s.followers[f] = struct{}{}
	s.done.Go(func() {
		defer close(c)
		defer cancel()
		defer stop()
		f.follow(ctx)
		s.mu.Lock()
		delete(s.followers, f)
		s.mu.Unlock()
	})
	return &Watch{C: c}, nil
}

// reconnected lets all watches look again.
func (s *natsStore) reconnected() {
	s.log.Info("the store is connected again")
	s.again()
}

func (s *natsStore) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		signal(f.again)
	}
}

func (f *follower) wake() { signal(f.more) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// How long a follower waits.
const (
	retryAfter = 250 * time.Millisecond // after a watch that could not be had or ended
	lateAfter  = 200 * time.Millisecond // for the watch to yield what is known to be there
)

func (f *follower) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.once(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if f.store.log.Debug("a watch of the store begins anew", slog.Any("error", err)); errors.Is(err, ErrFull) {
			f.store.repeats.Log(slog.LevelError, "watch", "what is kept cannot be followed; it is tried again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
			f.fetch(ctx)
		}
	}
}

// once follows one watch of the server's until it ends, or something says to look again.
func (f *follower) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	made := f.make(ctx)
	var updates <-chan jetstream.KeyValueEntry
	var late <-chan time.Time
	for first := true; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.again:
			return nil
		case m := <-made:
			if m.err != nil {
				return told(m.err)
			}
			defer func() { _ = m.watcher.Stop() }()
			updates = m.watcher.Updates()
		case <-f.more:
			if late == nil && f.whole && f.behind() {
				late = time.After(lateAfter)
			}
		case <-late:
			late = nil
			if f.fetch(ctx); f.behind() { // nobody could tell
				late = time.After(lateAfter)
			}
		case e, open := <-updates:
			switch {
			case !open:
				return ErrUnavailable
			case e == nil && first:
				if first = false; f.whole {
					if err := f.store.same(ctx); err != nil {
						return err // what is missing there has not been deleted
					}
				}
				f.missing(ctx)
			case e != nil:
				f.tell(ctx, e.Key(), e.Value(), e.Revision(), e.Operation() != jetstream.KeyValuePut)
			}
		}
	}
}

type madeWatch struct {
	watcher jetstream.KeyWatcher
	err     error
}

// make begins a watch of the server's, which may take seconds while there is no leader.
func (f *follower) make(ctx context.Context) <-chan madeWatch {
	f.asked, f.seen = 0, map[string]bool{}
	state, _ := f.store.buckets()
	c := make(chan madeWatch, 1)
	f.store.done.Go(func() {
		w, err := state.Watch(ctx, f.prefix+">")
		if err == nil && ctx.Err() != nil {
			_ = w.Stop() // nobody waits for it any more
		}
		c <- madeWatch{w, err}
	})
	return c
}

// behind tells whether there is something that was not told.
func (f *follower) behind() bool { return f.whole && max(f.at, f.asked) < f.store.latest.Load() }

// fetch gets from the leader what the watch should have yielded, one entry after the other.
func (f *follower) fetch(ctx context.Context) {
	until := f.store.latest.Load()
	stream, err := f.store.stateStream()
	for err == nil && f.behind() {
		var m *jetstream.RawStreamMsg
		prefix := "$KV." + f.store.bucket("state") + "."
		try, cancel := context.WithTimeout(ctx, attemptWithin)
		m, err = stream.GetMsg(try, f.at+1, jetstream.WithGetMsgSubject(prefix+f.prefix+">"))
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // there is no more
			f.asked = until
			return
		case err == nil:
			f.tell(ctx, strings.TrimPrefix(m.Subject, prefix), m.Data, m.Sequence, deletion(m.Header))
		}
	}
}

// tell passes on what is new. Entries come in the order of their revisions, from the watch and
// from the leader: what comes with one that is behind was told already, or is outdated.
func (f *follower) tell(ctx context.Context, key string, value []byte, revision uint64, deleted bool) {
	if f.seen != nil {
		f.seen[key] = true
	}
	if revision <= f.at {
		return
	}
	f.at = revision
	if key == keyIdentity {
		return // of the store itself
	}
	had := f.known[key]
	if deleted && !had {
		return // it went before anybody heard of it
	}
	c := Change{Entry: Entry{Key: key, Value: value, Revision: revision}, Deleted: deleted}
	if deleted {
		c.Value = nil
		delete(f.known, key)
	} else {
		f.known[key] = true
	}
	f.send(ctx, c)
}

// missing tells of keys that went during a break, and at the first time that all is told.
func (f *follower) missing(ctx context.Context) {
	for key := range f.known {
		if !f.seen[key] {
			delete(f.known, key)
			f.send(ctx, Change{Entry: Entry{Key: key}, Deleted: true})
		}
	}
	f.seen = nil // else it would grow with every key that ever was
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
