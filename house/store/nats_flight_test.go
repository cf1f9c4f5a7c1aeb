package store

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go/jetstream"
)

// Once in many runs a house that had just taken a lease, and gave it back, was told that somebody else held it: the leader
// of the cluster had answered, and not yet forgotten that the change was on its way. Such an answer is asked again.
func TestAChangeOnItsWayIsAwaited(t *testing.T) {
	flying := &jetstream.APIError{ErrorCode: codeInFlight}
	refused := &jetstream.APIError{ErrorCode: codeWrongSequence}
	for name, tt := range map[string]struct {
		answers []error // the last one again and again
		want    error
		asked   int
	}{
		"made at once":              {[]error{nil}, nil, 1},
		"made when it has arrived":  {[]error{flying, flying, nil}, nil, 3},
		"refused when it has":       {[]error{flying, refused}, refused, 2},
		"it never arrives":          {[]error{flying}, flying, 10},
		"refused for its own sake":  {[]error{refused, nil}, refused, 1},
		"something else went wrong": {[]error{errors.ErrUnsupported, nil}, errors.ErrUnsupported, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				got, err := settled(t.Context(), func() (int, error) {
					asked++
					return asked, tt.answers[min(asked, len(tt.answers))-1]
				})
				if !errors.Is(err, tt.want) || asked != tt.asked || got != asked {
					t.Errorf("%v after asking %d times, want %v after %d", err, asked, tt.want, tt.asked)
				}
			})
		})
	}
}
