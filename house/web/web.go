package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Options are what the page and the API need. Fleet, Steering and Sign are wanted; other zero
// fields take the defaults.
type Options struct {
	Fleet    *live.Fleet
	Steering Steering

	// Users returns who may log in, as configured now. Nobody: only tokens do.
	Users  func() []User
	Hasher *access.Hasher // of the whole program; default: one of its own

	// Sign returns a MAC of b under a key that all houses of the fleet share and nobody else
	// knows: a session is good at each of them.
	Sign func(b []byte) []byte

	// Sessions knows those that were logged out of at any house. nil: each house for itself.
	Sessions Sessions

	// Secure tells whether secrets may go over a request's connection; default: over TLS.
	Secure func(*http.Request) bool
	// Remote returns where a request comes from, behind trusted proxies; default: its peer.
	Remote func(*http.Request) netip.Addr

	// Scrapers returns who may read /metrics without logging in; default: nobody.
	Scrapers func() access.Networks

	// Metrics are shown at /metrics beside those of the fleet; default: new ones.
	Metrics *telemetry.Metrics

	// Done is closed when the house ends: who follows the fleet is let go. nil: never.
	Done <-chan struct{}

	// Page returns where a browser that came without TLS finds the page; empty: it is not told.
	// What the request says must not lead elsewhere. nil: nowhere.
	Page func(*http.Request) string

	House   string
	Version string
	Log     *slog.Logger        // default discards
	Guard   access.GuardOptions // slows down who guesses
	Now     func() time.Time    // default time.Now
}

// Session is one log-in at the page.
type Session struct {
	ID             string // random
	User           string
	Begun, Expires time.Time
}

// Sessions is what the houses of a fleet know of sessions that were logged out of.
type Sessions interface {
	// End makes a session void at every house. What it returned without an error survives the
	// house.
	End(ctx context.Context, s Session) error

	// Ended tells whether that was done, here or elsewhere. It does not wait.
	Ended(s Session) bool
}

// User may log in at the page and the API.
type User struct {
	Name         string
	PasswordHash string // bcrypt or argon2id
	Role         string // [RoleLook] or [RoleSteer]
}

// Roles of users and tokens.
const (
	RoleLook  = "look"  // sees everything but secrets
	RoleSteer = "steer" // may change things
)

func (o *Options) fill() {
	if o.Users == nil {
		o.Users = func() []User { return nil }
	}
	if o.Hasher == nil {
		o.Hasher = access.NewHasher(access.HasherOptions{})
	}
	if o.Secure == nil {
		o.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if o.Remote == nil {
		o.Remote = peer
	}
	if o.Page == nil {
		o.Page = func(*http.Request) string { return "" }
	}
	if o.Scrapers == nil {
		o.Scrapers = func() access.Networks { return access.Networks{} }
	}
	if o.Metrics == nil {
		o.Metrics = telemetry.NewMetrics()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func peer(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// site is everything that the house shows to people and scripts.
type site struct {
	opts Options
	door *door
	page *page
}

// New returns the handler of the page at /, of the API under /api/ and of /metrics.
func New(o Options) http.Handler {
	o.fill()
	s := &site{opts: o, door: newDoor(&o), page: newPage()}
	o.countDoor(s.door)
	mux := http.NewServeMux()
	mux.Handle("/api/", s.api())
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("/", s.shell)
	return s.guard(mux)
}

// guard is what holds for every request: headers, no changes asked for by pages of others,
// and an end to the request alone when its handler panics.
func (s *site) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "pages of other origins may change nothing here")
	}))
	next = origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.contain(r)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		next.ServeHTTP(w, r)
	})
}

// contain ends one request whose handler panics. What it has written so far must not look
// whole, so that its connection is closed.
func (s *site) contain(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		telemetry.CaughtPanic(s.opts.Log, "a request of the page or the API: "+r.Method, v)
	}
	panic(http.ErrAbortHandler)
}
