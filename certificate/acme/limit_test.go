package acme

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An authority that says "too many" is told of in one line, which says until when it is left alone; the certificate there
// is stays in force, and when the time has come, a new one is got.
func TestTheAuthorityLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("the library makes no second attempt within a minute; left out with -short")
	}
	t.Parallel()
	s := newStand(t, "limited.test", standing{old: true, answer: limited("5")})
	const line = "the authority limits how often it is asked"
	s.until("the state says why", func() bool { return strings.Contains(s.Issued()[0].Problem, line) })
	problem := s.Issued()[0].Problem
	if !strings.Contains(problem, "asked again at 20") || !strings.Contains(problem, "too many certificates for this name") {
		t.Errorf("the state says %q", problem)
	}
	if c := s.shown(); c == nil || !c.Equal(s.old) {
		t.Error("the certificate of before is not in force")
	}
	s.answer.Store(nil)
	s.until("it is renewed", s.renewed)
	if n := s.told(line); n != 1 || s.told("level=ERROR") != 1 || s.refused.Load() != 1 {
		t.Errorf("%d lines, %d refusals, want 1 each; the log says\n%s", n, s.refused.Load(), s.end())
	}
	if p := s.Issued()[0].Problem; p != "" {
		t.Errorf("after that, there is still %q", p)
	}
}

// The next attempt of any name waits until the authority may be asked.
func TestTheAuthorityIsLeftAlone(t *testing.T) {
	t.Parallel()
	var until time.Time
	s := newStand(t, "alone.test", standing{before: func(m *Manager) {
		m.answered(http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}})
		until = m.turn()
	}})
	s.until("a certificate is got", s.renewed)
	if !time.Now().After(until) {
		t.Errorf("there is one before %v", until)
	}
}

// When to come again stands nowhere but in a line of the library's log (answerMessage): a library that says it in other
// words, or with other fields, would have the pump wait for an hour, whatever the authority says. This is the real library,
// and the real authority, whose word is neither that hour nor nothing.
func TestTheLibraryStillTellsWhenToComeAgain(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := newStand(t, "told.test", standing{answer: limited("7200")})
	s.until("the refusal is known", func() bool { return strings.Contains(s.Issued()[0].Problem, "asked again at") })
	if at := s.turn(); at.Before(began.Add(7200*time.Second)) || at.After(time.Now().Add(7200*time.Second)) {
		t.Errorf("the authority is asked again after %v; it has said 2 h. Has the line %q another form?", time.Until(at), answerMessage)
	}
}

// What the library says of answers is understood, and obeyed to the second.
func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		told   string
		want   time.Duration
	}{
		"seconds":                        {http.StatusTooManyRequests, "7200", 2 * time.Hour},
		"a date":                         {http.StatusTooManyRequests, "Sat, 01 Jan 2000 03:00:00 GMT", 3 * time.Hour},
		"a date that is over":            {http.StatusTooManyRequests, "Fri, 31 Dec 1999 00:00:00 GMT", 0},
		"nothing":                        {http.StatusTooManyRequests, "", time.Hour},
		"rubbish":                        {http.StatusTooManyRequests, "soon", time.Hour},
		"longer than anybody would wait": {http.StatusTooManyRequests, "2147483647", 7 * 24 * time.Hour},
		"maintenance":                    {http.StatusServiceUnavailable, "60", time.Minute},
		"a fault":                        {http.StatusServiceUnavailable, "", 0},
		"an order is being worked on":    {http.StatusOK, "60", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at the turn of the year 2000
				m, start := New(Options{Domains: []string{"pump.test"}}), time.Now()
				header := http.Header{}
				if c.told != "" {
					header.Set("Retry-After", c.told)
				}
				m.answered(c.status, header)
				if err := m.note(t.Context(), "cert_obtaining", map[string]any{"identifier": "pump.test"}); err != nil {
					t.Error(err)
				}
				if got := time.Since(start); got != c.want {
					t.Errorf("it waits for %v, want %v", got, c.want)
				}
			})
		})
	}
}
