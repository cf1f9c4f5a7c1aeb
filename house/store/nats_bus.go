package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// natsBus is a Bus of core NATS subjects, all behind the store's prefix.
type natsBus struct{ store *natsStore }

func (b *natsBus) subject(s string) string { return b.store.opts.Prefix + "." + s }

func (b *natsBus) Publish(subject string, data []byte) error {
	if err := b.store.nc.Publish(b.subject(subject), data); err != nil {
		return fmt.Errorf("publishing %s: %w: %w", subject, ErrUnavailable, err)
	}
	return nil
}

func (b *natsBus) Subscribe(pattern string, hear func(string, []byte)) (func(), error) {
	prefix := b.subject("")
	sub, err := b.store.nc.Subscribe(b.subject(pattern), func(m *nats.Msg) { hear(strings.TrimPrefix(m.Subject, prefix), m.Data) })
	if err != nil {
		return nil, fmt.Errorf("subscribing %s: %w: %w", pattern, ErrUnavailable, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

func (b *natsBus) Serve(subject string, answer func([]byte) []byte) (func(), error) {
	sub, err := b.store.nc.Subscribe(b.subject(subject), func(m *nats.Msg) {
		if a := answer(m.Data); a != nil {
			_ = m.Respond(a) // whoever asked will ask again
		}
	})
	if err != nil {
		return nil, fmt.Errorf("serving %s: %w: %w", subject, ErrUnavailable, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

func (b *natsBus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	m, err := b.store.nc.RequestWithContext(ctx, b.subject(subject), data)
	switch {
	case err == nil:
		return m.Data, nil
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("asking %s: %w", subject, ErrNotFound)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("asking %s: %w", subject, ctx.Err())
	}
	return nil, fmt.Errorf("asking %s: %w: %w", subject, ErrUnavailable, err)
}

// Connected is false also where the server within has lost all other houses: it cannot tell
// whether they are gone or only the way to them.
func (b *natsBus) Connected() bool {
	if !b.store.nc.IsConnected() {
		return false
	}
	if e := b.store.embedded; e != nil {
		n, alone := e.partners()
		return alone || n > 0
	}
	return true
}
