package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/store"
)

// Options are what a [Registry] needs. Store and Hasher are wanted.
type Options struct {
	Store   store.Store
	Hasher  *access.Hasher // bounds what checking keys costs
	Log     *slog.Logger
	Now     func() time.Time      // default time.Now
	Changed func(*State)          // called after every change, one call after the other
	Signing func() config.Signing // keys for signed addresses, which streams may want; nil: none
	Invites time.Duration         // how long an invite is good
	Valid   time.Duration         // how long a certificate is good
}

// Registry keeps what a house must not forget. Methods may be called from any goroutine.
type Registry struct {
	opts   Options
	store  store.Store
	log    *slog.Logger
	state  atomic.Pointer[State]
	cancel context.CancelFunc
	done   sync.WaitGroup

	shown    uint64        // revision of a bundle that was waited for in vain; of follow alone
	bundling chan struct{} // holds whoever imports

	mu    sync.Mutex
	moved chan struct{} // closed and renewed with every change
}

// Open reads everything from the store, makes what a first house has to make, and follows
// the store from then on. ctx bounds the beginning only.
func Open(ctx context.Context, o Options) (*Registry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Signing == nil {
		o.Signing = func() config.Signing { return config.Signing{} }
	}
	if o.Changed == nil {
		o.Changed = func(*State) {}
	}
	r := &Registry{opts: o, store: o.Store, log: o.Log, moved: make(chan struct{}), bundling: make(chan struct{}, 1)}
	r.state.Store(emptyState())
	following, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	w, err := o.Store.Watch(following, "")
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading what is kept: %w", err)
	}
	whole := make(chan struct{})
	r.done.Go(func() { r.follow(w, whole) })
	select {
	case <-whole:
	case <-ctx.Done():
		r.Close()
		return nil, fmt.Errorf("reading what is kept: %w", ctx.Err())
	}
	if err := r.begin(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close stops following.
func (r *Registry) Close() {
	r.cancel()
	r.done.Wait()
}

// State returns everything as it is now.
func (r *Registry) State() *State { return r.state.Load() }

// follow takes in what the watch yields: all that is there at once, then what comes
// together within a moment.
func (r *Registry) follow(w *store.Watch, whole chan<- struct{}) {
	next := emptyState()
	began := false
	for c := range w.C {
		if c.Whole {
			r.put(next)
			began = true
			close(whole)
			continue
		}
		if began {
			next = r.State().clone()
		}
		r.take(next, c)
		if began {
			r.drain(w, next)
			r.put(next)
		}
	}
}

// Together is how long changes are gathered that come one after the other, as those of an
// import.
const Together = 10 * time.Millisecond

// drain takes what comes within a moment. An import is waited for until it is done, so that it
// is in force as a whole; not for ever, for its house may have died.
func (r *Registry) drain(w *store.Watch, next *State) {
	limit := time.NewTimer(Together)
	defer limit.Stop()
	held := r.holding(next)
	if held {
		limit.Reset(bundleWithin)
	}
	for {
		select {
		case c, open := <-w.C:
			if !open {
				return
			}
			r.take(next, c)
			if now := r.holding(next); now != held {
				if held = now; held {
					limit.Reset(bundleWithin)
				} else {
					limit.Reset(Together)
				}
			}
		case <-limit.C:
			r.shown = next.bundle.revision
			return
		}
	}
}

// holding tells whether a state is in the midst of an import, and was not shown so yet.
func (r *Registry) holding(s *State) bool {
	return s.bundle.pending() && s.bundle.Ready && s.bundle.revision != r.shown
}

// bundleWithin is how long an import is waited for.
const bundleWithin = 5 * time.Second

func (r *Registry) take(s *State, c store.Change) {
	data := c.Value
	if c.Deleted {
		data = nil
	} else if data == nil {
		data = []byte{}
	}
	if c.Key == keyBundle {
		defer func() { s.bundle.seen = r.opts.Now() }()
	}
	if err := s.take(c.Key, data, c.Revision); err != nil {
		r.log.Error("an entry of the store cannot be read; it is let be", slog.String("key", c.Key), slog.Any("error", err))
	}
}

func (r *Registry) put(s *State) {
	s.arrange()
	r.state.Store(s)
	r.opts.Changed(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.moved)
	r.moved = make(chan struct{})
}

// until waits for the state to fulfil something: what was put comes back.
func (r *Registry) until(ctx context.Context, what func(*State) bool) error {
	for {
		r.mu.Lock()
		moved := r.moved
		r.mu.Unlock()
		if what(r.State()) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the change to come back: %w", ctx.Err())
		}
	}
}

// begin makes authority and signing key if this is the first house ever.
func (r *Registry) begin(ctx context.Context) error {
	if r.State().Authority == nil {
		a, err := pki.New(r.opts.Now())
		if err != nil {
			return err
		}
		text, err := a.Marshal()
		if err != nil {
			return err
		}
		if err := r.first(ctx, keyAuthority, text); err != nil {
			return fmt.Errorf("keeping the authority: %w", err)
		}
	}
	if r.State().session == nil {
		key := make([]byte, 32)
		rand.Read(key)
		if err := r.first(ctx, keySessions, key); err != nil {
			return fmt.Errorf("keeping the key of sessions: %w", err)
		}
	}
	if err := r.until(ctx, func(s *State) bool { return s.Authority != nil && s.session != nil }); err != nil {
		return err
	}
	if err := r.Resume(ctx); err != nil {
		r.log.Error("an import that was not finished cannot be finished now", slog.Any("error", err)) // later, perhaps
	}
	return nil
}

// first puts what only one house may make.
func (r *Registry) first(ctx context.Context, key string, value []byte) error {
	_, err := r.store.Put(ctx, key, value, store.Absent)
	if errors.Is(err, store.ErrChanged) {
		return nil // another house was quicker: what it made comes by the watch
	}
	return err
}
