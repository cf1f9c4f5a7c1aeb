package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Who answers an authority's challenges is asked for its paths alone, at either door; an
// answer is short, and the connection ends with it.
func TestChallenges(t *testing.T) {
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != "pump.example:8086":
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(r.URL.Path, "/long"):
			_, _ = io.WriteString(w, strings.Repeat("x", 3*maxShortReply))
		case strings.HasSuffix(r.URL.Path, "/token"):
			_, _ = io.WriteString(w, "token.key")
		default:
			http.NotFound(w, r)
		}
	})
	for name, c := range map[string]struct {
		answers http.Handler
		first   string // line of the request
		status  int
		body    string
	}{
		"known":                {answers, "GET /.well-known/acme-challenge/token HTTP/1.1", 200, "token.key"},
		"unknown":              {answers, "GET /.well-known/acme-challenge/other HTTP/1.1", 404, "404 page not found\n"},
		"longer than any":      {answers, "GET /.well-known/acme-challenge/long HTTP/1.1", 200, strings.Repeat("x", maxShortReply)},
		"elsewhere":            {answers, "GET /token HTTP/1.1", 404, ""},
		"where there are none": {nil, "GET /.well-known/acme-challenge/token HTTP/1.1", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{answers: c.answers})
			for door, dial := range map[string]func() *client{"plain": w.dial, "TLS": w.dialTLS} {
				v := dial()
				r := v.ask(ask(c.first))
				if r.status != c.status || c.body != "" && string(r.body) != c.body {
					t.Errorf("%s: %d %q, want %d %q", door, r.status, r.body, c.status, c.body)
				}
				if c.body != "" {
					v.ended()
				}
			}
		})
	}
}
