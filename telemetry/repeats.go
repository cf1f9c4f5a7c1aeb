package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// RepeatsOptions tune [NewRepeats]; zero fields take the defaults.
type RepeatsOptions struct {
	Every   time.Duration    // least time between two lines of one key; default 1 s
	Longest time.Duration    // for a key that goes on, it doubles with each line up to this; default: it stays as it is
	MaxKeys int              // keys remembered at once; default 1024
	Now     func() time.Time // default time.Now
}

// otherKey collects the events of keys beyond RepeatsOptions.MaxKeys.
const otherKey = "(other)"

// Repeats logs events that may come thousands of times a second. Of each key the
// first event is logged at once; those that follow within the interval are
// counted and logged as one line with count, first and last time when it ends.
// Where an error goes on for days, Longest keeps it from filling the log.
// All methods may be called from any goroutine.
type Repeats struct {
	log  *slog.Logger
	opts RepeatsOptions

	mu     sync.Mutex
	keys   map[string]*repeated
	timer  *time.Timer // runs while keys are remembered
	closed bool
}

type repeated struct {
	level       slog.Level
	msg         string
	attrs       []slog.Attr
	count       uint64 // events since the last line
	first, last time.Time
	logged      time.Time // when the last line was written
	every       time.Duration
}

// NewRepeats returns a Repeats that writes to log.
func NewRepeats(log *slog.Logger, opts RepeatsOptions) *Repeats {
	if opts.Every <= 0 {
		opts.Every = time.Second
	}
	if opts.MaxKeys <= 0 {
		opts.MaxKeys = 1024
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Longest = max(opts.Longest, opts.Every)
	return &Repeats{log: log, opts: opts, keys: map[string]*repeated{}}
}

// Log counts one event of the key. The line carries msg and attrs of the latest
// event. Keys beyond the bound share one line.
func (r *Repeats) Log(level slog.Level, key, msg string, attrs ...slog.Attr) {
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.log.LogAttrs(context.Background(), level, msg, attrs...)
		return
	}
	e := r.keys[key]
	if e == nil && len(r.keys) >= r.opts.MaxKeys {
		key, e = otherKey, r.keys[otherKey]
	}
	if e == nil {
		e = &repeated{every: r.opts.Every}
		r.keys[key] = e
		r.startTimer()
	}
	if e.count == 0 {
		e.first = now
	}
	e.count++
	e.last, e.level, e.msg, e.attrs = now, level, msg, attrs
	if now.Sub(e.logged) >= e.every {
		r.write(e, now)
	}
}

func (r *Repeats) startTimer() {
	if r.timer == nil {
		r.timer = time.AfterFunc(r.opts.Every, r.sweep)
	}
}

// sweep writes what is due, forgets keys that have been silent for the longest interval
// and stops the timer when none is left.
func (r *Repeats) sweep() {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if r.closed {
		return
	}
	for key, e := range r.keys {
		switch silent := now.Sub(e.logged); {
		case e.count > 0 && silent >= e.every:
			r.write(e, now)
		case e.count == 0 && silent >= r.opts.Longest:
			delete(r.keys, key)
		}
	}
	if len(r.keys) > 0 {
		r.startTimer()
	}
}

// write logs e's events. A single one is logged as if it were no repeat.
func (r *Repeats) write(e *repeated, now time.Time) {
	attrs := e.attrs
	if e.count > 1 {
		attrs = append(attrs[:len(attrs):len(attrs)],
			slog.Uint64("count", e.count), slog.Time("first", e.first), slog.Time("last", e.last))
	}
	r.log.LogAttrs(context.Background(), e.level, e.msg, attrs...)
	if !e.logged.IsZero() {
		e.every = min(2*e.every, r.opts.Longest)
	}
	e.count, e.logged, e.attrs = 0, now, nil
}

// Flush logs everything counted and not yet logged.
func (r *Repeats) Flush() {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush(now)
}

func (r *Repeats) flush(now time.Time) {
	for _, key := range sortedKeys(r.keys) {
		if e := r.keys[key]; e.count > 0 {
			r.write(e, now)
		}
	}
}

// Close flushes and stops the timer. Events logged after it pass straight through.
func (r *Repeats) Close() {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.flush(now)
	clear(r.keys)
}
