package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// How long an authority that limits us is left alone: as it says, but not for ever.
const (
	leaveAlone = time.Hour // when it does not say
	leaveMost  = 7 * 24 * time.Hour
)

// answered hears every answer of the authority. One that says "too many requests" or "not now" is obeyed: the next
// attempt, of any name, waits until the authority wants to be asked again.
func (m *Manager) answered(status int, header http.Header) {
	told := header.Get("Retry-After")
	if status != http.StatusTooManyRequests && (status != http.StatusServiceUnavailable || told == "") {
		return
	}
	until := time.Now().Add(retryAfter(told, time.Now()))
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.After(m.until) {
		m.until = until
	}
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(told string, now time.Time) time.Duration {
	wait := leaveAlone
	if s, err := strconv.ParseUint(strings.TrimSpace(told), 10, 31); err == nil {
		wait = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(told); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), leaveMost)
}

// turn is when the authority may be asked again.
func (m *Manager) turn() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.until
}

// awaitTurn delays an attempt until the authority may be asked.
func (m *Manager) awaitTurn(ctx context.Context) error {
	for {
		wait := time.Until(m.turn())
		if wait <= 0 {
			return nil
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// explainLimit says once, of an attempt that the authority has refused because there were too many, when the next one is
// made. Other errors stay as they are.
func (m *Manager) explainLimit(name string, err error) error {
	var p acme.Problem
	if !errors.As(err, &p) || p.Type != acme.ProblemTypeRateLimited {
		return err
	}
	at := m.turn().UTC().Format(time.RFC3339)
	m.opts.Log.Error("the authority limits how often it is asked; it is left alone until it allows more, and what certificate there is stays",
		slog.String("identifier", name), slog.String("until", at), slog.String("error", p.Detail))
	return fmt.Errorf("the authority limits how often it is asked, and is asked again at %s: %w", at, err)
}
