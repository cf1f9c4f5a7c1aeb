package ingest

import (
	"context"
	"log/slog"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// attempt is one run of one source.
type attempt struct {
	source     Source
	feed       *Feed
	live, done chan struct{}
	cancel     context.CancelFunc
	liveAt     time.Time // valid once live is closed
	endedAt    time.Time // valid once done is closed
	err        error     // valid once done is closed
	madeWay    bool      // valid once done is closed: for another source, which wanted the stream
}

func isLive(a *attempt) bool {
	select {
	case <-a.live:
		return true
	default:
		return false
	}
}

func (a *attempt) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// setBackup follows a change of the order of sources.
func (a *attempt) setBackup(backup bool) { a.feed.SetBackup(backup) }

func (a *attempt) stop() {
	a.cancel()
	<-a.done
}

// good tells, once it is done, whether it delivered for as long as that.
func (a *attempt) good(least time.Duration) bool {
	return isLive(a) && a.endedAt.Sub(a.liveAt) >= least
}

// start runs source i of a list in a goroutine. It is a trial if another one plays meanwhile.
func (s *Supervisor) start(ctx context.Context, r *roll, i int, meanwhile *attempt) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	src, backup, trial := r.sources[i], r.isBackup(i), meanwhile != nil
	a := &attempt{source: src, live: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	log := s.log.With(slog.String("source", src.Name()))
	feed := NewFeed(ctx, FeedOptions{
		Stream: s.opts.Stream, Timeline: s.opts.Timeline,
		Claim: stream.Claim{Name: src.Name(), Fallback: backup},
		Trial: trial, Repeats: true, Log: s.opts.Log,
		OnRevoke: cancel,
		OnLive: func() {
			a.liveAt = time.Now()
			close(a.live)
			log.Info("source connected", slog.Bool("backup", backup))
		},
	})
	a.feed = feed
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
		a.madeWay = feed.revoked()
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
