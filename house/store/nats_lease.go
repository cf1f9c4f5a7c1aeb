package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// natsLease is a key that ends by itself.
type natsLease struct {
	store    *natsStore
	name     string
	value    []byte
	revision uint64
}

func (s *natsStore) Acquire(ctx context.Context, name string, value []byte) (Lease, error) {
	if err := checkPut(name, value); err != nil {
		return nil, err
	}
	_, leases := s.buckets()
	create := func() (uint64, error) { return leases.Create(ctx, name, value) }
	revision, err := settled(ctx, create)
	if err = told(err); errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		if err = s.makeBuckets(ctx); err == nil {
			_, leases = s.buckets() // it was in memory only
			revision, err = settled(ctx, create)
			err = told(err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("acquiring %s: %w", name, held(err))
	}
	return &natsLease{s, name, value, revision}, nil
}

func held(err error) error {
	if errors.Is(err, ErrChanged) {
		return ErrHeld
	}
	return err
}

func (s *natsStore) Leases(ctx context.Context) (map[string][]byte, error) {
	_, leases := s.buckets()
	w, err := leases.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("listing leases: %w", told(err))
	}
	defer func() { _ = w.Stop() }()
	list := map[string][]byte{}
	for {
		select {
		case e, open := <-w.Updates():
			if !open || e == nil {
				return list, nil
			}
			list[e.Key()] = e.Value()
		case <-ctx.Done():
			return nil, fmt.Errorf("listing leases: %w", ctx.Err())
		}
	}
}

func (l *natsLease) Renew(ctx context.Context) error {
	_, leases := l.store.buckets()
	revision, err := settled(ctx, func() (uint64, error) { return leases.Update(ctx, l.name, l.value, l.revision) })
	if err != nil {
		return fmt.Errorf("keeping %s: %w", l.name, held(told(err)))
	}
	l.revision = revision
	return nil
}

func (l *natsLease) Release(ctx context.Context) error {
	_, leases := l.store.buckets()
	_, err := settled(ctx, func() (struct{}, error) {
		return struct{}{}, leases.Delete(ctx, l.name, jetstream.LastRevision(l.revision))
	})
	if err != nil {
		return fmt.Errorf("releasing %s: %w", l.name, held(told(err)))
	}
	return nil
}
