package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Source is something that a [Supervisor] can ask for a stream.
type Source interface {
	// Name says for people, without secrets, what the source is.
	Name() string
	// Run asks once, and delivers to feed until the source is lost, has ended, or ctx is done; the error says why
	// and is never nil. It gives the publisher's role neither back nor away.
	Run(ctx context.Context, feed *Feed) error
}

// ErrEnded says that a source called its stream finished. The supervisor asks it again all the same.
var ErrEnded = errors.New("source ended the stream")

// StatusError is a server's refusal.
type StatusError struct{ Code int }

func (e *StatusError) Error() string {
	if text := http.StatusText(e.Code); text != "" {
		return fmt.Sprintf("server answered %d %s", e.Code, text)
	}
	return fmt.Sprintf("server answered %d", e.Code)
}

// Final tells whether asking again soon is pointless: the server knows what it says.
func (e *StatusError) Final() bool {
	switch e.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return false
}
