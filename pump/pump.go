package pump

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/access/hook"
	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/certificate/acme"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/internal/runas"
	"github.com/stream-pump/stream-pump/internal/systemd"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// longestFold is how far apart the lines about something that goes on for days come: a
// source that is away, an encoder that comes and goes.
const longestFold = 10 * time.Minute

// Pump is one running pump. All exported methods may be called from any goroutine.
type Pump struct {
	opts      Options
	log       *slog.Logger
	events    *slog.Logger       // of what somebody outside can cause: folds what repeats
	folded    *telemetry.Repeats // of events
	pool      *ringbuf.Pool
	registry  *stream.Registry
	metrics   *telemetry.Metrics
	limits    *access.Limits
	server    *server.Server
	push      *ingest.Push
	targets   atomic.Pointer[map[string]*ingest.Target] // by lower-case path
	viewing   atomic.Pointer[map[string]*access.Gate]   // of viewers, by lower-case path
	billings  atomic.Pointer[map[string]billing]        // by lower-case path
	hasher    *access.Hasher
	hook      *hook.Client
	noted     *telemetry.Repeats     // refused viewers
	idKey     atomic.Pointer[string] // id_parameter
	started   time.Time
	draining  atomic.Bool
	keeper    *certificate.Keeper             // of the TLS ports, nil without one
	acme      *acme.Manager                   // gets them by itself, else nil
	untilStop context.Context                 // of what looks after them
	unwatch   func()                          // ends it
	networks  atomic.Pointer[access.Networks] // that may reach the admin port
	proxies   atomic.Pointer[access.Proxies]  // that may say who is behind them
	sockets   *sockets                        // not changed after Start
	account   runas.Account                   // whom the program has become, zero for nobody; not changed after Start
	files     openFiles                       // not changed after Start
	manager   atomic.Pointer[systemd.Manager] // nil: none, or nothing is to be told any more
	unattend  func()                          // ends attend and waits for it; of Run's goroutine
	refused   atomic.Bool                     // the last reload was
	admin     *admin                          // nil without an admin port
	member    *member                         // nil without a house; not changed after Start
	inForce   atomic.Pointer[config.Config]   // cfg, for those who must not wait for mu
	worst     []atomic.Int64                  // ns, by event loop: the longest pass since the last metrics page
	serving   sync.WaitGroup
	failed    chan error     // the first listener that gave up
	leaving   sync.WaitGroup // removed streams that are still watched
	gone      chan struct{}  // closed when no viewer is left for good

	reloading sync.Mutex // held from reading a file until it is applied; before mu

	mu       sync.Mutex          // guards what follows; held during a reload and the end
	cfg      *config.Config      // in force
	own      *config.Config      // without what the house wants
	stations map[string]*station // by lower-case path
	snmp     subAgent
	stopped  bool
}

// Start opens the listeners of a configuration, starts its streams and serves. The error
// tells everything that is wrong with the listeners at once.
func Start(cfg *config.Config, o Options) (*Pump, error) {
	return start(cfg, o, &sockets{})
}

// start is Start with listeners that were handed over.
func start(cfg *config.Config, o Options, socks *sockets) (*Pump, error) {
	o = o.withDefaults()
	p := &Pump{
		opts: o, log: o.Log, cfg: cfg, own: cfg, sockets: socks, started: time.Now(),
		pool: ringbuf.NewPool(poolLimit(cfg)), registry: stream.NewRegistry(), metrics: telemetry.NewMetrics(),
		unwatch: func() {}, unattend: func() {}, limits: access.NewLimits(boundsOf(cfg)), stations: map[string]*station{}, failed: make(chan error, 1), gone: make(chan struct{}),
	}
	p.openAccess(cfg)
	p.events, p.folded = telemetry.Folding(p.log, telemetry.RepeatsOptions{Every: time.Second, Longest: longestFold})
	p.publish()
	p.networks.Store(new(access.NewNetworks(cfg.Admin.Allow...)))
	p.proxies.Store(access.NewProxies(cfg.TrustedProxies...))
	p.files = raiseOpenFiles(cfg.Limits.Connections)
	p.limits.SetBounds(p.bounds(cfg))
	doors, err := p.listen(cfg)
	if err == nil {
		p.member, err = p.newMember(cfg)
	}
	if err == nil {
		err = p.dropPrivileges(cfg)
	}
	if err == nil && p.member != nil {
		cfg, err = p.member.open(cfg)
		p.asHouseWants(cfg)
	}
	if err != nil {
		socks.closeAll()
		p.unwatch()
		p.closeAccess()
		p.serving.Wait()
		return nil, err
	}
	if err := p.serve(cfg, doors); err != nil {
		p.giveUp()
		return nil, err
	}
	if o.inside == nil {
		p.warn(cfg)
	}
	p.member.start()
	return p, nil
}

// doors are the open listeners.
type doors struct {
	public, tls, admin []net.Listener
}

// listen opens every listener, or tells of all that cannot be opened.
func (p *Pump) listen(cfg *config.Config) (d doors, err error) {
	if p.opts.inside != nil {
		return d, nil
	}
	var errs []error
	open := func(kind string, addresses ...string) (list []net.Listener) {
		if list = p.sockets.given(kind); len(list) > 0 {
			return list
		}
		for _, a := range addresses {
			ln, err := p.sockets.listen(kind, a)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			list = append(list, ln)
		}
		return list
	}
	if err := p.sockets.checkGiven(cfg); err != nil {
		return d, err
	}
	d.public = open(publicDoor, cfg.ListenAddresses()...)
	if cfg.SSL {
		d.tls = open(tlsDoor, cfg.SSLAddresses()...)
	}
	if cfg.SSL {
		if err := p.keepCertificate(cfg); err != nil {
			errs = append(errs, err)
		}
	}
	public := errors.Join(errs...)
	if cfg.Admin.Listen != "" {
		d.admin = open(adminDoor, cfg.Admin.Listen)
		if len(d.admin) == 0 && p.opts.AdminOptional {
			p.log.Warn("going without the admin port", slog.Any("error", errs[len(errs)-1]))
			return d, public
		}
	}
	return d, errors.Join(errs...)
}

// serve makes the server and the streams and begins to accept.
func (p *Pump) serve(cfg *config.Config, d doors) error {
	p.push = ingest.NewPush(ingest.PushOptions{
		Lookup: p.lookupTarget, Client: p.clientBehind, IdleTimeout: cfg.Push.IdleTimeout.D(), SessionTimeout: cfg.Push.SessionTimeout.D(),
		HeadTimeout: cfg.Request.HeadTimeout.D(), Hook: pushHook{p}, Log: p.events,
	})
	srv, err := server.New(server.Options{
		Streams: p.registry, Limits: p.limits, Push: p.push, Gate: gatekeeper{p}, Challenges: p.challenges(), Metrics: p.metrics, Log: p.events,
		Audience: p.audience(), Loops: cfg.EventLoops, Egress: cfg.Egress, PadPacket: asf.Pad, Settings: settingsOf(cfg),
	})
	if err != nil {
		p.push.Close()
		return err
	}
	p.server = srv
	if err := p.addAll(cfg); err != nil {
		return err
	}
	p.exportMetrics()
	p.exportHouse()
	p.mu.Lock()
	p.setSNMP(cfg.SNMP)
	p.mu.Unlock()
	if err := p.runACME(cfg); err != nil {
		return err
	}
	p.log.Info("writing to viewers", slog.String("egress", srv.Egress()))
	for _, ln := range d.public {
		p.accept(ln, "viewers and encoders", srv.Serve)
	}
	for _, ln := range d.tls {
		p.accept(ln, "viewers and encoders, TLS", func(ln net.Listener) error { return srv.ServeTLS(ln, p.keeper.Config()) })
	}
	if len(d.admin) > 0 {
		p.admin = newAdmin(p)
	}
	for _, ln := range d.admin {
		p.accept(ln, "operators", p.admin.serve)
	}
	return nil
}

// accept serves a listener on a goroutine; one that gives up ends the pump.
func (p *Pump) accept(ln net.Listener, whom string, serve func(net.Listener) error) {
	p.log.Info("listening", slog.String("address", ln.Addr().String()), slog.String("for", whom))
	p.serving.Go(func() {
		if err := serve(ln); err != nil {
			select {
			case p.failed <- err:
			default: // the first one is enough to end the program
			}
		}
	})
}

// addAll starts the streams of a configuration.
func (p *Pump) addAll(cfg *config.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range cfg.Streams {
		if err := p.addLocked(s, cfg); err != nil {
			return err
		}
	}
	p.publish()
	return nil
}

// giveUp ends a pump that could not start.
func (p *Pump) giveUp() {
	if p.server == nil {
		p.sockets.closeAll()
		p.unwatch()
		p.serving.Wait()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), discardTime)
	defer cancel()
	_ = p.Stop(ctx) // why it could not start is what counts
}

// addLocked starts a stream unless it is disabled. The caller holds p.mu.
func (p *Pump) addLocked(c config.Stream, whole *config.Config) error {
	if !c.Enabled {
		return nil
	}
	st, err := p.newStation(c, whole)
	if err != nil {
		return fmt.Errorf("stream %s: %w", c.Path, err)
	}
	p.stations[strings.ToLower(c.Path)] = st
	return nil
}

// Addr returns the first address at which viewers are served without TLS.
func (p *Pump) Addr() net.Addr { return p.addr(publicDoor) }

// TLSAddr returns the first address at which viewers are served with TLS, nil without one.
func (p *Pump) TLSAddr() net.Addr { return p.addr(tlsDoor) }

// AdminAddr returns the address of the admin port, nil when there is none.
func (p *Pump) AdminAddr() net.Addr { return p.addr(adminDoor) }

func (p *Pump) addr(kind string) net.Addr {
	for _, s := range p.sockets.open {
		if s.Kind == kind {
			return s.ln.Addr()
		}
	}
	return nil
}

// Drain takes no further viewers and encoders, and says so at /readyz. Those who are
// there stay.
func (p *Pump) Drain() {
	if !p.draining.Swap(true) {
		p.log.Info("draining: no new viewers", slog.Int("viewers", p.limits.Usage().Viewers))
	}
	p.server.Drain()
}

// closeDoors takes nobody else, but serves whoever has connected.
func (p *Pump) closeDoors() {
	if !p.draining.Swap(true) {
		p.log.Info("draining: who connects from now on is the new program's", slog.Int("viewers", p.limits.Usage().Viewers))
	}
	p.server.Shut()
}

// attended tells whether anybody is connected, encoders aside.
func (p *Pump) attended() bool { return p.limits.Usage().Connections > p.server.Pushing() }

// Watching returns how many viewers there are.
func (p *Pump) Watching() int { return p.limits.Usage().Viewers }

// Stop ends every stream towards its viewers, closes all connections and returns when
// nothing of the pump runs any more: at the latest when ctx is done, plus the time to
// cut whoever is left off. The error tells whether anybody was. Later calls do nothing.
func (p *Pump) Stop(ctx context.Context) error {
	err := p.stop(ctx)
	p.member.close() // it has told that everybody left
	return err
}

func (p *Pump) stop(ctx context.Context) error {
	p.Drain()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	p.endSNMP()
	for _, st := range p.stations {
		st.stream.Close()
	}
	for _, st := range p.stations {
		st.stop()
	}
	p.push.Close()
	err := p.server.Shutdown(ctx)
	close(p.gone)
	p.leaving.Wait()
	discard, cancel := context.WithTimeout(context.Background(), discardTime)
	defer cancel()
	for _, st := range p.stations {
		err = errors.Join(err, st.stream.Discard(discard))
	}
	p.closeAccess()
	if p.admin != nil {
		p.admin.close()
	}
	p.sockets.closeAll()
	p.unwatch()
	p.serving.Wait()
	p.folded.Close()
	return err
}
