package ingest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// RollOptions are the sources of one stream. They must be comparable: a source that is in two lists is the same one.
type RollOptions struct {
	Sources []Source // in order of preference

	// PushFirst says that encoders push the stream and all sources are backups: none is asked while an encoder is
	// there, and an encoder that comes takes over by itself.
	PushFirst bool

	ReturnAfter time.Duration // while a backup plays, the better ones are tried so often; default 30 s, negative: never
}

// SupervisorOptions describe how the sources of one stream are kept going. Stream, Timeline and Sources are
// required; zero fields take the defaults.
type SupervisorOptions struct {
	Stream   *stream.Stream
	Timeline *Timeline
	RollOptions

	BackoffMin   time.Duration // first pause after a failure; default 1 s
	BackoffMax   time.Duration // longest pause; default 30 s
	GoodRun      time.Duration // a source that delivered for so long was no failure; default 10 s
	TrialTimeout time.Duration // for a better source to deliver; default 30 s
	Log          *slog.Logger
}

func (o SupervisorOptions) withDefaults() SupervisorOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.BackoffMin, time.Second}, {&o.BackoffMax, 30 * time.Second}, {&o.GoodRun, 10 * time.Second},
		{&o.TrialTimeout, 30 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

const (
	finalPause = 10 * time.Second // least pause after a refusal that will not change soon
	pushPoll   = time.Second      // how often it is looked whether an encoder has gone
)

// Supervisor keeps the sources of one stream going.
type Supervisor struct {
	opts  SupervisorOptions
	log   *slog.Logger
	asked int // attempts that were no trials

	mu      sync.Mutex // guards what follows
	roll    *roll      // in force
	playing *attempt   // that was told to play, nil before the first
}

// ErrNoSources says that there is nothing to supervise.
var ErrNoSources = errors.New("stream has no sources")

// NewSupervisor returns a supervisor; Run starts it.
func NewSupervisor(o SupervisorOptions) *Supervisor {
	o = o.withDefaults()
	return &Supervisor{opts: o, log: o.Log.With(slog.String("stream", o.Stream.Path())), roll: newRoll(o.RollOptions)}
}

// Update puts another list of sources in force, which must not be empty. The source that delivers goes on if it is in
// the new list, and better ones are tried soon; if it is not, it is stopped and the list is gone through from its
// beginning. Any goroutine.
func (s *Supervisor) Update(o RollOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.roll.replaced)
	s.roll = newRoll(o)
}

// Hurry ends a pause: unless one delivers, the sources are asked now, from the first one on. Any goroutine.
func (s *Supervisor) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.playing; a != nil && isLive(a) && !a.over() {
		return
	}
	old := s.roll
	close(old.replaced)
	s.roll = &roll{sources: old.sources, pushFirst: old.pushFirst, returnAfter: old.returnAfter, replaced: make(chan struct{})}
}

// Playing returns the source that delivers, nil if none of the supervisor's does. Any goroutine.
func (s *Supervisor) Playing() Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.playing; a != nil && isLive(a) && !a.over() {
		return a.source
	}
	return nil
}

func (s *Supervisor) current() *roll {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roll
}

func (s *Supervisor) setPlaying(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.playing = a
}

// Run asks the sources until ctx is done and returns ctx's error, ErrNoSources, or stream.ErrClosed when the stream
// was removed. It is called once. No goroutine outlives it.
func (s *Supervisor) Run(ctx context.Context) error {
	if len(s.current().sources) == 0 {
		return ErrNoSources
	}
	defer s.opts.Stream.GiveUp()
	pause := s.opts.BackoffMin
	for {
		r := s.current()
		if r.pushFirst && !s.awaitTurn(ctx, r) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // another list
		}
		good, err := s.round(ctx, r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, stream.ErrClosed):
			return stream.ErrClosed
		case r.stale(), good && len(r.sources) > 1:
			pause = s.opts.BackoffMin
			continue // there is another one to ask
		case good:
			pause = s.opts.BackoffMin
		}
		if !r.rest(ctx, jitter(s.least(pause, err))) {
			return ctx.Err()
		}
		if !good {
			pause = min(2*pause, s.opts.BackoffMax)
		}
	}
}

// least stretches the pause after a refusal.
func (s *Supervisor) least(pause time.Duration, err error) time.Duration {
	var refusal *StatusError
	if errors.As(err, &refusal) && refusal.Final() {
		return max(pause, min(finalPause, s.opts.BackoffMax))
	}
	return pause
}

// round asks one source of a list after the other until one has played for a good while, or another list is in force.
func (s *Supervisor) round(ctx context.Context, r *roll) (good bool, err error) {
	for i := range r.sources {
		a := s.play(ctx, r, i)
		if a.good(s.opts.GoodRun) {
			return true, a.err
		}
		if err = a.err; ctx.Err() != nil || errors.Is(err, stream.ErrClosed) || r.stale() {
			break
		}
	}
	return false, err
}

// play runs source i of a list, and better ones in its place as they come back, until it ends. A list that takes the
// place of this one is followed as long as the source stays.
func (s *Supervisor) play(ctx context.Context, r *roll, i int) *attempt {
	cur := s.start(ctx, r, i, nil)
	s.setPlaying(cur)
	wait := r.returnAfter
	for {
		var again <-chan time.Time
		if i > 0 && r.returnAfter > 0 {
			again = time.After(wait)
		}
		select {
		case <-cur.done:
			return cur
		case <-r.replaced:
			next := s.current()
			j := next.index(cur.source)
			if j < 0 || j > 0 && !isLive(cur) {
				cur.stop()
				return cur
			}
			r, i = next, j
			cur.setBackup(r.isBackup(i))
			wait = min(r.returnAfter, s.opts.BackoffMin) // who is better may just have come back
			continue
		case <-again:
			wait = min(2*wait, r.returnAfter)
		}
		if better, j := s.tryBetter(ctx, r, i, cur); better != nil {
			cur.stop()
			cur, i = better, j
			s.setPlaying(cur)
		}
	}
}

// tryBetter tries the sources of a list before i while cur plays. One that delivers has taken the stream over.
func (s *Supervisor) tryBetter(ctx context.Context, r *roll, i int, cur *attempt) (*attempt, int) {
	for j := range i {
		if !isLive(cur) || cur.over() || r.stale() {
			return nil, 0 // nothing to return from: the list is gone through anyway
		}
		if a := s.start(ctx, r, j, cur); s.tookOver(r, a, cur) {
			return a, j
		}
	}
	return nil, 0
}

// tookOver waits for a, which is tried while cur plays, until it delivers in its place, or is no good.
func (s *Supervisor) tookOver(r *roll, a, cur *attempt) bool {
	limit := time.NewTimer(s.opts.TrialTimeout)
	defer limit.Stop()
	for ended := cur.done; ; {
		select {
		case <-a.live:
			return true
		case <-a.done:
			return isLive(a)
		case <-ended:
			if cur.madeWay { // for a, which delivers in a moment
				ended = nil
				continue
			}
		case <-r.replaced:
		case <-limit.C:
		}
		a.stop()
		return isLive(a)
	}
}

// awaitTurn waits until no encoder is there. It reports false when ctx is done, or another list is in force.
func (s *Supervisor) awaitTurn(ctx context.Context, r *roll) bool {
	for free := 0; free < 2; free++ {
		if s.opts.Stream.Source() != "" {
			free = 0
		}
		if !r.rest(ctx, pushPoll) || r.stale() {
			return false
		}
	}
	return true
}

// errPanicked says that a source was lost by a mistake in the program.
var errPanicked = errors.New("the program made a mistake (a panic); the source is asked again")

// ask runs a source. One that panics is lost, like any other.
func (s *Supervisor) ask(ctx context.Context, src Source, feed *Feed) (err error) {
	defer func() {
		if v := recover(); v != nil {
			telemetry.CaughtPanic(s.log, "source "+src.Name(), v)
			err = errPanicked
		}
	}()
	return src.Run(ctx, feed)
}

// sleep waits for d and tells whether ctx was not done before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter keeps many pumps from asking in step: d is what it is at most, half of it at least.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) } // #nosec G404 -- no secret
