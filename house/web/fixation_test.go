package web

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// planted is a browser into which somebody else has put a session's cookie before its log-in.
func (w *world) planted(value string) *http.Client {
	w.t.Helper()
	c := w.newClient()
	c.Jar.SetCookies(mustURL(w.t, w.server.URL), []*http.Cookie{{Name: "__Host-pump-house", Value: value, Path: "/", Secure: true}})
	return c
}

func (w *world) session(c *http.Client) string {
	w.t.Helper()
	list := c.Jar.Cookies(mustURL(w.t, w.server.URL))
	if len(list) != 1 {
		w.t.Fatalf("%d cookies", len(list))
	}
	return list[0].Value
}

// A session that somebody else has put into a browser before its log-in is not the one that begins
// with the log-in, and never becomes it: whatever he knows of the old one is worth what it was.
func TestALogInMakesASessionOfItsOwn(t *testing.T) {
	w := newWorld(t, nil)
	attacker := w.newClient()
	w.logIn(attacker, "ben")
	ended := w.newClient()
	w.logIn(ended, "anna")
	old := w.session(ended)
	if r := w.do(ended, http.MethodDelete, "/api/v1/session", ""); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for name, tt := range map[string]struct {
		value string
		as    string // whom it stands for afterwards
	}{
		"the attacker's own":  {w.session(attacker), "ben"},
		"one that has ended":  {old, ""},
		"one that he made up": {"AAAAAAAA.AAAAAAAA", ""},
		"an empty one":        {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			victim := w.planted(tt.value)
			w.logIn(victim, "anna")
			if got := w.session(victim); got == tt.value {
				t.Fatal("the session of before is kept")
			}
			if me := read[Me](t, w.do(victim, http.MethodGet, "/api/v1/session", "")); me.Name != "anna" {
				t.Errorf("the browser is %s", me.Name)
			}
			r := w.do(w.planted(tt.value), http.MethodGet, "/api/v1/session", "")
			if tt.as == "" && r.status != http.StatusUnauthorized || tt.as != "" && read[Me](t, r).Name != tt.as {
				t.Errorf("what was planted is worth %d %s", r.status, r.body)
			}
		})
	}
	one, two := w.newClient(), w.newClient()
	w.logIn(one, "anna")
	w.logIn(two, "anna")
	if w.session(one) == w.session(two) {
		t.Error("two log-ins have one session")
	}
}

// Over TLS the session is where no other host, no script and no page of others can put or get it;
// a cookie of the name that is used without TLS counts for nothing there, and the other way round.
func TestWhereTheSessionIs(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		plain   bool
		cookie  string
		flags   []string
	}{
		"over TLS": {nil, false, "__Host-pump-house", []string{"HttpOnly", "Secure", "SameSite=Strict", "Path=/"}},
		"over TLS to a proxy": {[]string{"X-Forwarded-Proto", "https"}, true, "__Host-pump-house",
			[]string{"HttpOnly", "Secure", "SameSite=Strict", "Path=/"}},
		"on this very machine": {nil, true, "pump-house", []string{"HttpOnly", "SameSite=Strict", "Path=/"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Secure = func(*http.Request) bool { return true } })
			if tt.plain {
				w.plain()
			}
			r := w.do(w.newClient(), http.MethodPost, "/api/v1/session", `{"name": "anna", "password": "anna's password"}`, tt.headers...)
			set := r.header.Values("Set-Cookie")
			if len(set) != 1 || !strings.HasPrefix(set[0], tt.cookie+"=") || strings.Contains(set[0], "Domain") {
				t.Fatalf("%d %q", r.status, set)
			}
			for _, f := range tt.flags {
				if !strings.Contains(set[0], f) {
					t.Errorf("no %s: %s", f, set[0])
				}
			}
			value, _, _ := strings.Cut(strings.TrimPrefix(set[0], tt.cookie+"="), ";")
			for _, cookie := range []string{"__Host-pump-house", "pump-house"} {
				want := http.StatusUnauthorized
				if cookie == tt.cookie {
					want = http.StatusOK
				}
				if r := w.do(w.newClient(), http.MethodGet, "/api/v1/session", "", append(tt.headers, "Cookie", cookie+"="+value)...); r.status != want {
					t.Errorf("as %s: %d", cookie, r.status)
				}
			}
			if strings.Contains(r.body, value) || strings.Contains(w.log.String(), value) {
				t.Error("the session is in the answer's text, or in the log")
			}
		})
	}
}

// A log-out ends what is open with the session too, at every house: who follows the fleet is let go.
func TestALogOutEndsWhatIsOpen(t *testing.T) {
	l := &ledger{ended: map[string]bool{}}
	here, there := newWorld(t, func(o *Options) { o.Sessions = l }), newWorld(t, func(o *Options) { o.Sessions = l })
	here.logIn(here.client, "anna")
	there.client.Jar.SetCookies(mustURL(t, there.server.URL), here.client.Jar.Cookies(mustURL(t, here.server.URL)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var open []io.ReadCloser
	for _, w := range []*world{here, there} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/api/v1/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		open = append(open, resp.Body)
	}
	if r := here.do(here.client, http.MethodDelete, "/api/v1/session", ""); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for i, body := range open {
		if _, err := io.Copy(io.Discard, body); err != nil { // it ends, before the client's patience does
			t.Errorf("house %d goes on telling: %v", i, err)
		}
	}
}
