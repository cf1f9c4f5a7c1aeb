package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Options are what a [Gate] needs.
type Options struct {
	House    string // name of this house
	Fleet    *live.Fleet
	Registry *registry.Registry
	Bus      store.Bus
	Guard    access.GuardOptions // who guesses keys and invites is slowed down
	Log      *slog.Logger
	Now      func() time.Time // default time.Now

	Own *Own // the house's own pump; nil: it has none

	Signing   func() []byte // JSON of signing in the pumps' configuration; nil: none
	Parameter string        // of the query, with a viewer's outside id

	// Sign returns the query of an address of a stream that is good until then, for a pump
	// downstream; empty: it cannot. nil never can.
	Sign func(stream string, until time.Time) string

	Interval time.Duration // of telemetry
	Settle   time.Duration // after the start, while pumps that were not heard of yet count as up
	Hurt     time.Duration // how long a pump whose event stream broke may take to be heard of

	// Secure tells whether a request came by TLS, or another way that secrets may take.
	Secure func(*http.Request) bool

	// Remote returns where a request came from, behind proxies that are trusted.
	Remote func(*http.Request) netip.Addr
}

// Gate serves pumps. Close it before the house ends.
type Gate struct {
	opts    Options
	log     *slog.Logger
	repeats *telemetry.Repeats
	mux     *http.ServeMux
	started time.Time

	keys    *access.Guard
	invites *access.Guard
	touched chan string
	closing chan struct{}
	end     sync.Once
	done    sync.WaitGroup

	mu     sync.Mutex
	lines  map[string]*line               // event streams, by pump
	newest map[string]claims              // the newest session seen, by pump
	chosen map[string]map[string][]string // parents in use, by pump and stream
	resync map[string]time.Time           // when the viewers of another house's pump were last asked for
	copies copies
	unsub  []func()
}

// New returns a gate that serves and follows the fleet.
func New(o Options) (*Gate, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Signing == nil {
		o.Signing = func() []byte { return nil }
	}
	if o.Interval <= 0 {
		o.Interval = fleet.TelemetryEvery
	}
	if o.Hurt <= 0 {
		o.Hurt = brokenFor
	}
	g := &Gate{
		opts: o, log: o.Log, repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: 10 * time.Second}), mux: http.NewServeMux(),
		started: o.Now(), touched: make(chan string), closing: make(chan struct{}), lines: map[string]*line{}, newest: map[string]claims{}, chosen: map[string]map[string][]string{},
		resync: map[string]time.Time{}, keys: access.NewGuard(o.Guard), invites: access.NewGuard(o.Guard),
	}
	g.mux.HandleFunc("POST "+fleet.PathHello, g.hello)
	g.mux.HandleFunc("GET "+fleet.PathEvents, g.events)
	g.mux.HandleFunc("POST "+fleet.PathTelemetry, g.telemetry)
	g.mux.HandleFunc("POST "+fleet.PathCertificate, g.certificate)
	g.mux.HandleFunc("GET "+fleet.PathConfig, g.config)
	if err := g.listen(); err != nil {
		g.Close()
		return nil, err
	}
	g.done.Go(g.follow)
	return g, nil
}

// follow makes configurations anew when pumps come and go: those of their children, and of
// all when the roster or the streams have changed.
func (g *Gate) follow() {
	news := g.opts.Fleet.Subscribe(8192, func(k live.Kind) bool {
		return k == live.PumpUp || k == live.PumpDown || k == live.RosterChanged || k == live.CarrierUp || k == live.CarrierDown
	})
	defer news.Close()
	settled := time.NewTimer(g.opts.Settle)
	defer settled.Stop()
	lost := uint64(0)
	for {
		moved := map[string]bool{}
		carriers := map[string][]string{} // pumps that have begun to deliver, by stream
		all := false
		select {
		case <-g.closing:
			return
		case h := <-news.C:
			moved[h.Pump] = true
			all = h.Kind == live.RosterChanged
			noteCarrier(carriers, h)
		case id := <-g.touched:
			moved[id] = true
		case <-settled.C:
			all = true
		}
		time.Sleep(gather) // what changes together comes together
		for len(news.C) > 0 {
			h := <-news.C
			moved[h.Pump] = true
			all = all || h.Kind == live.RosterChanged
			noteCarrier(carriers, h)
		}
		if n := news.Lost(); n > lost {
			lost, all = n, true
		}
		if all {
			g.forget()
			g.Changed()
		} else {
			g.wakeChildren(moved)
		}
		g.hurryChildren(carriers)
	}
}

func noteCarrier(carriers map[string][]string, h live.Happening) {
	if h.Kind == live.CarrierUp {
		carriers[h.Pump] = append(carriers[h.Pump], h.Stream)
	}
}

// hurryChildren tells pumps without a stream that one of their parents has it now. By themselves
// they would ask at the end of a pause that grows, and so would those below them in their turn.
func (g *Gate) hurryChildren(carriers map[string][]string) {
	if len(carriers) == 0 {
		return
	}
	s, v := g.opts.Registry.State(), g.opts.Fleet.View()
	g.mu.Lock()
	defer g.mu.Unlock()
	for pump, l := range g.lines {
		c := fleet.Command{ID: fleet.NewBoot(), Kind: fleet.CommandRetry}
		for _, parent := range s.Parents(pump) {
			for _, path := range carriers[parent] {
				if p := v.Pump(pump); p != nil && !p.Delivers(strings.ToLower(path)) && len(c.Streams) < fleet.MaxStreams {
					c.Streams = append(c.Streams, path)
				}
			}
		}
		if len(c.Streams) == 0 {
			continue
		}
		select {
		case l.commands <- c:
		default: // they ask by themselves, later
		}
	}
}

// touch says that something about a pump is different that its children should know.
func (g *Gate) touch(pump string) {
	select {
	case g.touched <- pump:
	case <-g.closing:
	}
}

// wakeChildren wakes the lines of pumps that have one of these as a parent.
func (g *Gate) wakeChildren(of map[string]bool) {
	s := g.opts.Registry.State()
	g.mu.Lock()
	defer g.mu.Unlock()
	for pump, l := range g.lines {
		if slices.ContainsFunc(s.Parents(pump), func(id string) bool { return of[id] }) {
			l.wakeUp()
		}
	}
}

// forget drops what is known of pumps that are not on the roster any more.
func (g *Gate) forget() {
	s := g.opts.Registry.State()
	gone := func(id string) bool { _, _, ok := s.Pump(id); return !ok && !g.isOwn(id) }
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.newest, func(id string, _ claims) bool { return gone(id) })
	maps.DeleteFunc(g.chosen, func(id string, _ map[string][]string) bool { return gone(id) })
	maps.DeleteFunc(g.resync, func(id string, _ time.Time) bool { return gone(id) })
}

// Changed makes the configurations of all pumps anew, and sends those that are different.
func (g *Gate) Changed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lines {
		l.wakeUp()
	}
}

// Close says goodbye to all pumps. Requests that are under way end.
func (g *Gate) Close() {
	g.end.Do(func() { close(g.closing) })
	g.mu.Lock()
	unsub := g.unsub
	g.unsub = nil
	g.mu.Unlock()
	for _, stop := range unsub {
		stop()
	}
	g.done.Wait()
	g.repeats.Close()
}

// ServeHTTP serves the addresses under /fleet/v1.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.opts.Secure(r) {
		refuse(w, fleet.Errorf(http.StatusForbidden, fleet.CodeInsecure, "pumps come by https only; plain http is for pumps on the house's own machine"))
		return
	}
	if _, pattern := g.mux.Handler(r); pattern == "" {
		refuse(w, fleet.Errorf(http.StatusNotFound, fleet.CodeNotFound, "there is nothing at %s %s", r.Method, fleet.Shorten(r.URL.Path)))
		return
	}
	g.mux.ServeHTTP(w, r)
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, e *fleet.Error) {
	if e.WaitS > 0 {
		w.Header().Set("Retry-After", itoa(e.WaitS))
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="pump house"`)
	}
	answer(w, e.Status, e)
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // no type of the contract can be the cause
		http.Error(w, "encoding the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// patience bounds what a request may wait for the store.
const patience = 10 * time.Second

func (g *Gate) context(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), patience)
}
