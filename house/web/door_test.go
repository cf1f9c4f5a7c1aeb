package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

func basic(name, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

// Whoever has neither session nor token nor password sees nothing but the log-in.
func TestNobodyGetsInUnasked(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	for _, path := range []string{
		"/api/v1/fleet", "/api/v1/pumps", "/api/v1/pumps/ottawa", "/api/v1/streams", "/api/v1/viewers", "/api/v1/events", "/api/v1/live",
		"/api/v1/tokens", "/api/v1/roster", "/api/v1/certificates", "/api/v1/networks", "/api/v1/session", "/metrics",
	} {
		for name, headers := range map[string][]string{
			"nothing": nil, "a wrong token": {"Authorization", "Bearer pht_0_x"}, "a scheme that is not known": {"Authorization", "Digest x"},
			"Basic that is none": {"Authorization", "Basic !"},
		} {
			c := w.newClient()
			c.Transport = w.client.Transport
			r := w.do(c, http.MethodGet, path, "", headers...)
			if r.status != http.StatusUnauthorized && r.status != http.StatusTooManyRequests || strings.Contains(r.body, "Ottawa") {
				t.Errorf("%s with %s: %d %s", path, name, r.status, r.body)
			}
			if strings.Contains(r.header.Get("WWW-Authenticate"), "Basic") {
				t.Error("browsers would ask in a window of their own")
			}
		}
		w.later(time.Hour)
	}
}

func TestASessionBeginsAndEnds(t *testing.T) {
	w := newWorld(t, nil)
	r := w.do(w.client, http.MethodPost, "/api/v1/session", `{"name": "anna", "password": "anna's password"}`)
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	c := r.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-pump-house=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(c, want) {
			t.Errorf("the cookie lacks %s: %s", want, c)
		}
	}
	var me Me
	if err := json.Unmarshal([]byte(w.do(w.client, http.MethodGet, "/api/v1/session", "").body), &me); err != nil || me.Name != "anna" || me.Role != RoleSteer || me.Kind != "user" || me.Expires == nil {
		t.Errorf("%+v, %v", me, err)
	}
	other := w.newClient() // with the same cookie: what an attacker may have copied
	other.Jar.SetCookies(mustURL(t, w.server.URL), w.client.Jar.Cookies(mustURL(t, w.server.URL)))
	if r := w.do(w.client, http.MethodDelete, "/api/v1/session", ""); r.status != http.StatusNoContent || !strings.Contains(r.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logging out: %d %s", r.status, r.body)
	}
	for name, c := range map[string]*http.Client{"the browser": w.client, "a copy of the cookie": other} {
		if r := w.do(c, http.MethodGet, "/api/v1/fleet", ""); r.status != http.StatusUnauthorized {
			t.Errorf("%s after the end: %d", name, r.status)
		}
	}
}

func TestWhatEndsASession(t *testing.T) {
	for name, end := range map[string]func(*world){
		"time":                  func(w *world) { w.later(sessionFor + time.Second) },
		"the user is gone":      func(w *world) { w.setUsers(testUsers[1]) },
		"the password is new":   func(w *world) { w.setUsers(User{"anna", testUsers[1].PasswordHash, RoleSteer}, testUsers[1]) },
		"a letter of it is off": func(w *world) { spoil(w) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.logIn(w.client, "anna")
			if r := w.do(w.client, http.MethodGet, "/api/v1/fleet", ""); r.status != http.StatusOK {
				t.Fatalf("%d %s", r.status, r.body)
			}
			end(w)
			if r := w.do(w.client, http.MethodGet, "/api/v1/fleet", ""); r.status != http.StatusUnauthorized {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

// spoil changes the user that the session names, without signing it anew.
func spoil(w *world) {
	u := mustURL(w.t, w.server.URL)
	c := w.client.Jar.Cookies(u)[0]
	text, mac, _ := strings.Cut(c.Value, ".")
	b, err := enc.DecodeString(text)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Value = enc.EncodeToString([]byte(strings.Replace(string(b), `"u":"anna"`, `"u":"Anna"`, 1))) + "." + mac
	c.Path, c.Secure = "/", true
	w.client.Jar.SetCookies(u, []*http.Cookie{c})
}

// A change of role is in force at once, for sessions that are open too.
func TestARoleIsThatOfNow(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.logIn(w.client, "anna")
	w.setUsers(User{"anna", testUsers[0].PasswordHash, RoleLook})
	if r := w.do(w.client, http.MethodPut, "/api/v1/pumps/ottawa/draining", `{"draining": true}`); r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// Another house of the fleet takes the session, and one that signs otherwise does not.
func TestASessionIsGoodAtEveryHouseOfTheFleet(t *testing.T) {
	w := newWorld(t, nil)
	w.logIn(w.client, "anna")
	cookies := w.client.Jar.Cookies(mustURL(t, w.server.URL))
	for name, tt := range map[string]struct {
		change func(*Options)
		want   int
	}{
		"of this fleet": {nil, http.StatusOK},
		"of another":    {func(o *Options) { o.Sign = func([]byte) []byte { return []byte("something else") } }, http.StatusUnauthorized},
	} {
		x := newWorld(t, tt.change)
		x.client.Jar.SetCookies(mustURL(t, x.server.URL), cookies)
		if r := x.do(x.client, http.MethodGet, "/api/v1/fleet", ""); r.status != tt.want {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
}

func TestRoles(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.logIn(w.client, "ben")
	for path, want := range map[string]int{
		"GET /fleet": 200, "GET /pumps/ottawa": 200, "GET /viewers": 200, "GET /events": 200, "GET /certificates": 200, "GET /streams/studio": 200,
		"GET /roster": 403, "GET /tokens": 403, "POST /tokens": 403, "PUT /pumps/ottawa": 403, "DELETE /pumps/ottawa": 403, "PUT /pumps/ottawa/draining": 403,
		"PUT /pumps/ottawa/networks": 403, "PUT /pumps/ottawa/key": 403, "DELETE /pumps/ottawa/key": 403, "POST /pumps/ottawa/invite": 403, "PUT /roster": 403,
		"PUT /streams/studio": 403, "DELETE /streams/studio": 403, "DELETE /viewers/ottawa/1": 403, "DELETE /clients/x": 403, "DELETE /certificates/00": 403,
		"DELETE /tokens/1": 403, "POST /sign": 403,
	} {
		method, at, _ := strings.Cut(path, " ")
		body := ""
		if method == http.MethodPut || method == http.MethodPost {
			body = "{}"
		}
		if r := w.do(w.client, method, "/api/v1"+at, body); r.status != want {
			t.Errorf("%s as ben, who may look: %d %s", path, r.status, r.body)
		}
	}
}

// Pages of others can send the browser here, but not with the session, and not to change
// anything.
func TestPagesOfOthersChangeNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.logIn(w.client, "anna")
	for name, headers := range map[string][]string{
		"Sec-Fetch-Site cross-site": {"Sec-Fetch-Site", "cross-site"},
		"Sec-Fetch-Site same-site":  {"Sec-Fetch-Site", "same-site"},
		"Origin of another":         {"Origin", "https://evil.example"},
		"Origin null":               {"Origin", "null"},
	} {
		for path, body := range map[string]string{"/api/v1/pumps/ottawa/draining": `{"draining": true}`, "/api/v1/session": `{"name": "ben", "password": "ben's password"}`} {
			method := http.MethodPut
			if strings.HasSuffix(path, "session") {
				method = http.MethodPost
			}
			if r := w.do(w.client, method, path, body, headers...); r.status != http.StatusForbidden {
				t.Errorf("%s, %s: %d %s", name, path, r.status, r.body)
			}
		}
	}
	if w.fleet.View().Pump("ottawa").Wanted().Draining {
		t.Error("it was drained")
	}
	if r := w.do(w.client, http.MethodPut, "/api/v1/pumps/ottawa/draining", `{"draining": true}`, "Sec-Fetch-Site", "same-origin", "Origin", w.server.URL); r.status != http.StatusOK {
		t.Errorf("the own page: %d %s", r.status, r.body)
	}
}

// The names of who is there, and that of the secret, are told by nobody.
func TestGuessingIsSlowedDownByAddress(t *testing.T) {
	var from atomic.Value
	from.Store("192.0.2.1")
	w := newWorld(t, func(o *Options) {
		o.Remote = func(*http.Request) netip.Addr { return netip.MustParseAddr(from.Load().(string)) }
	})
	guess := func(how string, n int) reply {
		secret := fmt.Sprintf("guess-%d", n)
		switch how {
		case "form":
			return w.do(w.newClient(), http.MethodPost, "/api/v1/session", fmt.Sprintf(`{"name": "anna", "password": %q}`, secret))
		case "basic":
			return w.do(w.newClient(), http.MethodGet, "/api/v1/fleet", "", "Authorization", basic("anna", secret))
		}
		return w.do(w.newClient(), http.MethodGet, "/api/v1/fleet", "", "Authorization", "Bearer pht_1_"+secret)
	}
	for _, how := range []string{"form", "basic", "token"} {
		from.Store("192.0.2." + map[string]string{"form": "1", "basic": "2", "token": "3"}[how])
		for n := range 4 {
			if r := guess(how, n); r.status != http.StatusUnauthorized {
				t.Fatalf("%s: guess %d: %d %s", how, n, r.status, r.body)
			}
		}
		r := guess(how, 5)
		if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: the fifth guess: %d, Retry-After %q", how, r.status, r.header.Get("Retry-After"))
		}
		from.Store("198.51.100.9")
		if r := w.do(w.newClient(), http.MethodGet, "/api/v1/session", "", "Authorization", basic("ben", "ben's password")); r.status != http.StatusOK {
			t.Errorf("%s: somebody elsewhere: %d %s", how, r.status, r.body)
		}
	}
	if log := w.log.String(); strings.Contains(log, "guess-") || !strings.Contains(log, "192.0.2.1") {
		t.Errorf("the log: %s", log)
	}
}

// Whoever knows one password is not forgiven what he guesses of another one.
func TestKnowingOnePasswordDoesNotHelpToGuessAnother(t *testing.T) {
	w := newWorld(t, nil)
	for n := range 20 {
		if r := w.do(w.newClient(), http.MethodGet, "/api/v1/session", "", "Authorization", basic("ben", "ben's password")); r.status != http.StatusOK {
			t.Fatalf("ben: %d %s", r.status, r.body)
		}
		if r := w.do(w.newClient(), http.MethodGet, "/api/v1/session", "", "Authorization", basic("anna", fmt.Sprint(n))); r.status == http.StatusTooManyRequests {
			if n < 3 {
				t.Errorf("slowed at once: %d", n)
			}
			return
		}
	}
	t.Error("twenty guesses at full speed")
}

func TestPasswordsAndTokensAreGoodForPrograms(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	_, look, err := w.desk.CreateToken(t.Context(), "grafana", RoleLook, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, steer, err := w.desk.CreateToken(t.Context(), "frontend", RoleSteer, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, authorization string
		see, change         int
	}{
		{"a user who may steer", basic("anna", "anna's password"), 200, 200},
		{"a user who may look", basic("ben", "ben's password"), 200, 403},
		{"a wrong password", basic("ben", "anna's password"), 401, 401},
		{"a name with a colon", basic("ben:x", "ben's password"), 401, 401},
		{"no name", basic("", ""), 401, 401},
		{"a token that may look", "Bearer " + look, 200, 403},
		{"a token that may steer", "bearer " + steer, 200, 200},
	} {
		if r := w.do(w.newClient(), http.MethodGet, "/api/v1/fleet", "", "Authorization", tt.authorization); r.status != tt.see {
			t.Errorf("%s sees: %d %s", tt.name, r.status, r.body)
		}
		if r := w.do(w.newClient(), http.MethodPut, "/api/v1/pumps/ottawa/draining", `{"draining": false}`, "Authorization", tt.authorization); r.status != tt.change {
			t.Errorf("%s changes: %d %s", tt.name, r.status, r.body)
		}
		w.later(20 * time.Minute)
	}
	w.later(24 * time.Hour)
	if r := w.do(w.newClient(), http.MethodGet, "/api/v1/fleet", "", "Authorization", "Bearer "+look); r.status != 401 {
		t.Errorf("a token that has ended: %d", r.status)
	}
}

// Secrets do not go over a line that anybody may read.
func TestNothingWithoutTLS(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Secure = func(*http.Request) bool { return false }
		o.Page = func(*http.Request) string { return "https://127.0.0.1:8091/" }
	})
	if r := w.do(w.client, http.MethodPost, "/api/v1/session", `{"name": "anna", "password": "anna's password"}`); r.status != http.StatusForbidden || r.header.Get("Set-Cookie") != "" {
		t.Errorf("log-in: %d %s", r.status, r.body)
	}
	if r := w.do(w.client, http.MethodGet, "/api/v1/fleet", "", "Authorization", basic("anna", "anna's password")); r.status != http.StatusForbidden {
		t.Errorf("API: %d %s", r.status, r.body)
	}
	if r := w.do(w.client, http.MethodGet, "/", ""); r.status != http.StatusTemporaryRedirect || r.header.Get("Location") != "https://127.0.0.1:8091/" {
		t.Errorf("page: %d %s", r.status, r.header.Get("Location"))
	}
	if r := w.do(w.client, http.MethodGet, "/static/app.js", ""); r.status != http.StatusForbidden {
		t.Errorf("script: %d", r.status)
	}
}

// Without users nobody gets in by password; access.NewUsers would let everybody in.
func TestWithoutUsersNobodyGetsIn(t *testing.T) {
	w := newWorld(t, nil)
	w.setUsers()
	for _, a := range []string{basic("", ""), basic("anna", "anna's password")} {
		if r := w.do(w.newClient(), http.MethodGet, "/api/v1/fleet", "", "Authorization", a); r.status != http.StatusUnauthorized {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

func TestSuspectsAreByAddressAndName(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	if suspect(a, "x") == suspect(a, "y") || suspect(a, "x") == suspect(b, "x") || suspect(b, "x") != suspect(netip.MustParseAddr("2001:db8::2"), "x") {
		t.Error("not told apart, or a /64 is not one")
	}
	if suspect(netip.Addr{}, "x").IsValid() {
		t.Error("nobody is a suspect")
	}
	g := access.NewGuard(access.GuardOptions{})
	for range 4 {
		g.Begin(t.Context(), suspect(a, "x"))
		g.Wrong(suspect(a, "x"))
	}
	if g.Begin(t.Context(), suspect(a, "x")) == 0 || g.Begin(t.Context(), suspect(a, "y")) != 0 {
		t.Error("the guard does not tell them apart")
	}
}

// ledger is what the houses know of log-outs.
type ledger struct {
	mu    sync.Mutex
	ended map[string]bool
	fail  error
}

func (l *ledger) End(_ context.Context, s Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == nil {
		l.ended[s.ID] = true
	}
	return l.fail
}

func (l *ledger) Ended(s Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended[s.ID]
}

// A log-out is told to the other houses; where it cannot be, it holds here, and who logs out
// is told.
func TestALogOutIsToldToTheOtherHouses(t *testing.T) {
	l := &ledger{ended: map[string]bool{}}
	here, there := newWorld(t, func(o *Options) { o.Sessions = l }), newWorld(t, func(o *Options) { o.Sessions = l })
	for name, tt := range map[string]struct {
		fail        error
		want, after int
	}{"told": {nil, http.StatusNoContent, http.StatusUnauthorized}, "the store is away": {ErrUnavailable, http.StatusServiceUnavailable, http.StatusOK}} {
		l.fail = tt.fail
		here.logIn(here.client, "anna")
		cookies := here.client.Jar.Cookies(mustURL(t, here.server.URL))
		there.client.Jar.SetCookies(mustURL(t, there.server.URL), cookies)
		if r := there.do(there.client, http.MethodGet, "/api/v1/fleet", ""); r.status != http.StatusOK {
			t.Fatalf("%s: the session is not good elsewhere: %d", name, r.status)
		}
		r := here.do(here.client, http.MethodDelete, "/api/v1/session", "")
		if r.status != tt.want || !strings.Contains(r.header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("%s: %d %s %v", name, r.status, r.body, r.header)
		}
		here.client.Jar.SetCookies(mustURL(t, here.server.URL), cookies) // a copy
		if r := here.do(here.client, http.MethodGet, "/api/v1/fleet", ""); r.status != http.StatusUnauthorized {
			t.Errorf("%s: it is good here still: %d", name, r.status)
		}
		if r := there.do(there.client, http.MethodGet, "/api/v1/fleet", ""); r.status != tt.after {
			t.Errorf("%s: elsewhere: %d", name, r.status)
		}
	}
}
