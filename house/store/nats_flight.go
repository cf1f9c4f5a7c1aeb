package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// inFlight tells whether a change was refused because another one of the same entry is on its way through a cluster. That
// says nothing of what the entry is: a leader answers a change a moment before it forgets that it was on its way, so
// that whoever has been answered and goes on at once can meet himself.
func inFlight(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeInFlight
}

// settled makes a change, and makes it again after ever longer pauses, for about half a second, while another one of the
// same entry is on its way.
func settled[T any](ctx context.Context, change func() (T, error)) (T, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		got, err := change()
		if !inFlight(err) || wait > attemptMost {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(wait):
		}
	}
}
