package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An entry that is deleted leaves a mark behind, by which watches hear of it. A watch that was away longer than a mark
// is kept compares keys instead. Without an end to them a house would keep a mark of every session that was ever logged out of.
const (
	marksFor   = time.Hour
	sweepEvery = 10 * time.Minute
)

// tidy sweeps now and then. Every house does: there is mostly nothing to be done.
func (s *natsStore) tidy() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, sweepEvery)
		if err := s.sweep(ctx, time.Now().Add(-marksFor)); err != nil && s.ctx.Err() == nil {
			s.log.Debug("marks of what was deleted stay for now", slog.Any("error", err))
		}
		cancel()
	}
}

// mark is what is left of an entry.
type mark struct {
	key      string
	revision uint64
}

// sweep removes the marks that were left before a time.
func (s *natsStore) sweep(ctx context.Context, before time.Time) error {
	list, err := s.marks(ctx, before)
	if err == nil && len(list) > 0 {
		err = s.noteNow(ctx, len(list))
		defer s.gone()
	}
	for _, m := range list {
		if err != nil {
			break
		}
		err = s.wipe(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("sweeping up marks: %w", told(err))
	}
	return nil
}

func (s *natsStore) marks(ctx context.Context, before time.Time) (list []mark, err error) {
	state, _ := s.buckets()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := state.WatchAll(ctx, jetstream.MetaOnly())
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return list, ctx.Err()
		case e, open := <-w.Updates():
			switch {
			case !open:
				return list, ErrUnavailable
			case e == nil: // that was all
				return list, nil
			case e.Operation() != jetstream.KeyValuePut && e.Created().Before(before):
				list = append(list, mark{e.Key(), e.Revision()})
			}
		}
	}
}

// wipe removes one mark, and nothing that has come after it: the entry may be there again.
func (s *natsStore) wipe(ctx context.Context, m mark) error {
	stream, err := s.stateStream()
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+s.bucket("state")+"."+m.key), jetstream.WithPurgeSequence(m.revision+1))
}
