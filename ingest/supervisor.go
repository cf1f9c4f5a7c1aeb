package ingest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// SupervisorOptions describe how the sources of one stream are kept going. Stream, Timeline and Sources are
// required; zero fields take the defaults.
type SupervisorOptions struct {
	Stream   *stream.Stream
	Timeline *Timeline
	Sources  []Source // in order of preference

	// PushFirst says that encoders push the stream and all sources are backups: none is asked while an encoder is
	// there, and an encoder that comes takes over by itself.
	PushFirst bool

	ReturnAfter  time.Duration // while a backup plays, the better ones are tried so often; default 30 s, negative: never
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
	if o.ReturnAfter == 0 {
		o.ReturnAfter = 30 * time.Second
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
}

// ErrNoSources says that there is nothing to supervise.
var ErrNoSources = errors.New("stream has no sources")

// NewSupervisor returns a supervisor; Run starts it.
func NewSupervisor(o SupervisorOptions) *Supervisor {
	o = o.withDefaults()
	return &Supervisor{opts: o, log: o.Log.With(slog.String("stream", o.Stream.Path()))}
}

// Run asks the sources until ctx is done and returns ctx's error, ErrNoSources, or stream.ErrClosed when the stream
// was removed. It is called once. No goroutine outlives it.
func (s *Supervisor) Run(ctx context.Context) error {
	if len(s.opts.Sources) == 0 {
		return ErrNoSources
	}
	defer s.opts.Stream.GiveUp()
	pause := s.opts.BackoffMin
	for {
		if s.opts.PushFirst && !s.awaitTurn(ctx) {
			return ctx.Err()
		}
		good, err := s.round(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, stream.ErrClosed):
			return stream.ErrClosed
		case good && len(s.opts.Sources) > 1:
			pause = s.opts.BackoffMin
			continue // there is another one to ask
		case good:
			pause = s.opts.BackoffMin
		}
		if !sleep(ctx, jitter(s.least(pause, err))) {
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

// round asks one source after the other until one has played for a good while.
func (s *Supervisor) round(ctx context.Context) (good bool, err error) {
	for i := range s.opts.Sources {
		a := s.play(ctx, i)
		if a.good(s.opts.GoodRun) {
			return true, a.err
		}
		if err = a.err; ctx.Err() != nil || errors.Is(err, stream.ErrClosed) {
			break
		}
	}
	return false, err
}

// play runs source i, and better ones in its place as they come back, until it ends.
func (s *Supervisor) play(ctx context.Context, i int) *attempt {
	cur := s.start(ctx, i, false)
	for i > 0 && s.opts.ReturnAfter > 0 {
		select {
		case <-cur.done:
			return cur
		case <-time.After(s.opts.ReturnAfter):
		}
		if better, j := s.tryBetter(ctx, i, cur); better != nil {
			cur.stop()
			cur, i = better, j
		}
	}
	<-cur.done
	return cur
}

// tryBetter tries the sources before i while cur plays. One that delivers has taken the stream over.
func (s *Supervisor) tryBetter(ctx context.Context, i int, cur *attempt) (*attempt, int) {
	for j := range i {
		if !isLive(cur) {
			return nil, 0 // nothing to return from: the list is gone through anyway
		}
		a := s.start(ctx, j, true)
		select {
		case <-a.live:
			return a, j
		case <-a.done:
		case <-cur.done:
			a.stop()
			return nil, 0
		case <-time.After(s.opts.TrialTimeout):
			a.stop()
		}
		if isLive(a) {
			return a, j
		}
	}
	return nil, 0
}

// awaitTurn waits until no encoder is there.
func (s *Supervisor) awaitTurn(ctx context.Context) bool {
	for free := 0; free < 2; free++ {
		if s.opts.Stream.Source() != "" {
			free = 0
		}
		if !sleep(ctx, pushPoll) {
			return false
		}
	}
	return true
}

// attempt is one run of one source.
type attempt struct {
	live, done chan struct{}
	cancel     context.CancelFunc
	liveAt     time.Time // valid once live is closed
	endedAt    time.Time // valid once done is closed
	err        error     // valid once done is closed
}

func isLive(a *attempt) bool {
	select {
	case <-a.live:
		return true
	default:
		return false
	}
}

func (a *attempt) stop() {
	a.cancel()
	<-a.done
}

// good tells, once it is done, whether it delivered for as long as that.
func (a *attempt) good(least time.Duration) bool {
	return isLive(a) && a.endedAt.Sub(a.liveAt) >= least
}

// start runs source i in a goroutine.
func (s *Supervisor) start(ctx context.Context, i int, trial bool) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{live: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	src, backup := s.opts.Sources[i], i > 0 || s.opts.PushFirst
	log := s.log.With(slog.String("source", src.Name()))
	feed := NewFeed(ctx, FeedOptions{
		Stream: s.opts.Stream, Timeline: s.opts.Timeline,
		Claim: stream.Claim{Name: src.Name(), Fallback: backup},
		Trial: trial, Repeats: true, OnRevoke: cancel, Log: s.opts.Log,
		OnLive: func() {
			a.liveAt = time.Now()
			close(a.live)
			log.Info("source connected", slog.Bool("backup", backup))
		},
	})
	if !trial {
		s.opts.Stream.Await()
		if s.asked++; s.asked > 1 {
			s.opts.Stream.Metrics().SourceReconnects.Inc()
		}
	}
	go func() {
		defer close(a.done)
		defer cancel()
		a.err = s.ask(ctx, src, feed)
		feed.Lost()
		a.endedAt = time.Now()
		switch {
		case ctx.Err() != nil: // it was told to stop, or to make way
			log.Info("source left", slog.Uint64("packets", feed.Packets()))
		case isLive(a):
			log.Warn("source lost", slog.Any("reason", a.err), slog.Uint64("packets", feed.Packets()))
		case !trial:
			log.Warn("source not available", slog.Any("reason", a.err))
		default:
			log.Debug("source still not available", slog.Any("reason", a.err))
		}
	}()
	return a
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
