package house

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/delegate"
	"github.com/stream-pump/stream-pump/house/gate"
	"github.com/stream-pump/stream-pump/house/hooks"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Options are what a house needs beside its configuration. The zero value works.
type Options struct {
	Log     *slog.Logger   // nil discards
	Level   *slog.LevelVar // set from log.level at a reload; nil leaves it alone
	Version string

	// Load reads the configuration again for a reload; nil refuses reloads.
	Load func() (*config.House, error)

	// Signals tell [Run] what to do; nil leaves only its context.
	Signals <-chan os.Signal

	// Embed starts the pump within the house, which serves viewers whose players follow no
	// redirect; nil: nobody does.
	Embed func(Embedding) (relay.Pump, error)

	// Ready, if set, is called by [Run] once everything listens.
	Ready func(*House)
}

// House is one running house. Exported methods may be called from any goroutine.
type House struct {
	opts      Options
	log       *slog.Logger
	repeats   *telemetry.Repeats
	name      string
	run       string    // random, of this run
	since     time.Time // that it runs
	store     store.Store
	fleet     *live.Fleet
	registry  *registry.Registry
	gate      *gate.Gate
	told      atomic.Pointer[gate.Gate] // gate, for what is kept while the house is still being opened
	delegator *delegate.Delegator
	relay     *relay.Relay
	within    *http.Server // for the pump within the house; nil without one
	hooks     *hooks.Sender
	leads     atomic.Bool // of several houses, this one does what only one should
	hasher    *access.Hasher
	server    *http.Server
	proxies   atomic.Pointer[access.Proxies]
	cfg       atomic.Pointer[config.House] // in force
	tls       *ownTLS                      // nil without TLS
	doors     []door
	control   net.Listener

	reloading sync.Mutex
	failed    chan error
	stop      context.CancelFunc // of what runs beside
	done      sync.WaitGroup
}

// storeWithin is how long the start may wait for the store: the houses of a cluster start
// one after the other.
const storeWithin = 2 * time.Minute

// Start opens the store, the listeners, and serves. ctx bounds the start only.
func Start(ctx context.Context, cfg *config.House, o Options) (*House, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &House{opts: o, log: o.Log, repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{}), name: nameOf(cfg), run: rand.Text(), since: time.Now().UTC().Truncate(time.Second), failed: make(chan error, 1)}
	h.cfg.Store(cfg)
	h.proxies.Store(access.NewProxies(cfg.TrustedProxies...))
	h.hasher = access.NewHasher(access.HasherOptions{Waiting: 1024})
	h.fleet = live.New(live.Options{DeadAfter: cfg.Telemetry.DeadAfter.D()})
	if err := h.open(ctx, cfg); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// nameOf is what the house is called: as configured, or as its host.
func nameOf(cfg *config.House) string {
	if cfg.Name != "" {
		return cfg.Name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "house"
	}
	return plain(host)
}

// plain makes a host's name one of a house: dots mean something in subjects.
func plain(host string) string {
	b := []byte(host)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			b[i] = '-'
		}
	}
	return string(b[:min(len(b), 64)])
}

func (h *House) open(ctx context.Context, cfg *config.House) error {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	beside, stop := context.WithCancel(context.Background())
	h.stop = stop
	so, err := storeOptions(cfg, h.name, h.log)
	if err != nil {
		return err
	}
	if h.store, err = store.Open(ctx, so); err != nil {
		return err
	}
	h.registry, err = registry.Open(ctx, registry.Options{
		Store: h.store, Hasher: h.hasher, Log: h.log, Signing: func() config.Signing { return h.cfg.Load().Signing },
		Invites: cfg.Certificates.Invites.D(), Valid: cfg.Certificates.Valid.D(), Changed: h.kept,
	})
	if err != nil {
		return err
	}
	name, err := h.claim(ctx)
	if err != nil {
		return err
	}
	if err := h.seed(ctx, cfg); err != nil {
		return err
	}
	h.openRelay(cfg)
	if err := h.openGate(cfg); err != nil {
		return err
	}
	h.openViewers(cfg)
	if err := h.listen(cfg); err != nil {
		return err
	}
	h.done.Go(func() { h.tend(beside) })
	h.done.Go(func() { h.attend(beside, name) })
	return nil
}

// kept puts what the store says into the fleet in memory.
func (h *House) kept(s *registry.State) {
	old := h.fleet.View()
	var streams []live.Stream
	for i := range s.Streams {
		c := &s.Streams[i].Config
		streams = append(streams, live.Stream{Path: c.Path, Name: c.Name, Type: c.Type, Enabled: c.Enabled})
	}
	if !sameStreams(old.Streams, streams) {
		h.fleet.SetStreams(streams)
	}
	if !sameRoster(old.Roster, s.Roster) {
		h.fleet.SetRoster(s.Roster)
	}
	if g := h.told.Load(); g != nil {
		g.Changed()
	}
}

func (h *House) openGate(cfg *config.House) error {
	g, err := gate.New(gate.Options{
		House: h.name, Fleet: h.fleet, Registry: h.registry, Bus: h.store.Bus(), Log: h.log,
		Signing: func() []byte { return signingJSON(h.cfg.Load()) }, Parameter: cfg.IDParameter, Interval: cfg.Telemetry.Interval.D(), Settle: settle(cfg),
		Own: h.own(), Sign: h.signSource, Secure: h.secure, Remote: h.remote,
	})
	if err != nil {
		return err
	}
	h.gate = g
	h.told.Store(g)
	g.Changed() // what was kept before it could be told
	return nil
}

// settle is how long a house that has just started waits for pumps to come back before it
// believes that they are gone.
func settle(cfg *config.House) time.Duration {
	return cfg.Telemetry.DeadAfter.D() + 3*time.Second
}

func signingJSON(cfg *config.House) []byte {
	if len(cfg.Signing.Keys) == 0 {
		return nil
	}
	return cfg.Signing.JSON()
}

// signSource signs the address by which a pump takes a stream from its parent.
func (h *House) signSource(stream string, until time.Time) string {
	keys := h.cfg.Load().Signing.Keys
	if len(keys) == 0 {
		return ""
	}
	query, err := access.Key(keys[0]).Sign(access.Grant{Stream: stream, Expires: until}, h.cfg.Load().IDParameter)
	if err != nil { // the keys were checked
		return ""
	}
	return query
}

// tend finds pumps that have fallen silent.
func (h *House) tend(ctx context.Context) {
	tick := time.NewTicker(live.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.fleet.Sweep(!h.store.Bus().Connected())
		}
	}
}

// Name returns what the house is called among others.
func (h *House) Name() string { return h.name }

// Fleet returns the fleet as this house sees it.
func (h *House) Fleet() *live.Fleet { return h.fleet }

// Registry returns what is kept.
func (h *House) Registry() *registry.Registry { return h.registry }

// Stop takes no further requests, ends the viewings within the house, says goodbye to pumps,
// and returns when nothing of the house runs any more; at the latest shortly after ctx is done.
func (h *House) Stop(ctx context.Context) error {
	err := h.closeRelay(ctx)
	if h.gate != nil {
		h.gate.Close()
	}
	if h.server != nil {
		if late := h.server.Shutdown(ctx); late != nil {
			err = errors.Join(err, fmt.Errorf("not all requests ended in time: %w", late), h.server.Close())
		}
	}
	h.Close()
	return err
}

// Close ends everything at once.
func (h *House) Close() {
	at, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.closeRelay(at); err != nil {
		h.log.Debug("viewers within the house were cut off", slog.Any("error", err))
	}
	if h.gate != nil {
		h.gate.Close()
	}
	if h.server != nil {
		_ = h.server.Close() // listeners that are gone already
	}
	h.closeDoors()
	h.closeViewers()
	if h.stop != nil {
		h.stop()
	}
	h.done.Wait()
	h.repeats.Close()
	if h.registry != nil {
		h.registry.Close()
	}
	if h.store != nil {
		if err := h.store.Close(); err != nil {
			h.log.Error("closing the store", slog.Any("error", err))
		}
	}
}

// setLevel follows log.level.
func (h *House) setLevel(cfg *config.House) {
	if h.opts.Level == nil {
		return
	}
	if level, err := telemetry.ParseLevel(cfg.Log.Level); err == nil {
		h.opts.Level.Set(level)
	}
}
