package pump

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/telemetry"
)

// member is the pump as a part of a fleet: its conversation with the house, and what the
// house wants of it.
type member struct {
	pump    *Pump
	cfg     config.Membership
	reach   fleet.Reach // under Pump.mu
	journal *fleet.Journal
	cache   houseCache
	client  *fleet.Client // nil before open
	meter   meter

	joined atomic.Uint64                       // viewers, ever
	poor   atomic.Pointer[map[uint64]struct{}] // viewers that did poorly when last looked at
	wanted atomic.Pointer[wanted]              // what of the house's wishes is in force, never nil
	fault  atomic.Pointer[string]              // why the last wishes are not, never nil
	unkept atomic.Pointer[string]              // why they would not outlive the program, never nil
	quit   context.CancelFunc
	once   sync.Once
	done   sync.WaitGroup
}

// wanted is what the house wants, as far as it is in force.
type wanted struct {
	fleet.Config                   // Digest empty: nothing
	shadowed     []string          // paths of its streams that the pump's own file has too
	parents      map[string]string // ids, by the name of the source
}

// newMember reads what root alone may be able to read. It is nil for a pump of its own.
func (p *Pump) newMember(cfg *config.Config) (*member, error) {
	house := cfg.House
	if p.opts.inside != nil {
		house = p.opts.inside.membership()
	}
	if !house.On() {
		return nil, nil
	}
	m := &member{pump: p, cfg: house, journal: fleet.NewJournal(), cache: houseCache{house.Cache}}
	m.poor.Store(&map[uint64]struct{}{})
	m.wanted.Store(&wanted{})
	m.fault.Store(new(string))
	m.unkept.Store(new(string))
	m.quit = func() {}
	var err error
	m.reach, err = reachOf(house)
	return m, err
}

// open makes the client, and returns the configuration with what the house said last laid
// over it. Whoever the program is to be, it is by now.
func (m *member) open(cfg *config.Config) (*config.Config, error) {
	o := fleet.ClientOptions{
		Reach: m.reach, Pump: m.cfg.ID, Invite: string(m.cfg.Invite), Proxy: houseProxy(cfg),
		Program: m.pump.opts.Version, Port: m.port, Side: m, Journal: m.journal, Store: m.cache, Log: m.pump.log, Waits: m.pump.opts.houseWaits,
	}
	if in := m.pump.opts.inside; in != nil {
		o.Dial = in.Dial
	}
	client, err := fleet.NewClient(o)
	if err != nil {
		return nil, err
	}
	m.client = client
	return m.recall(cfg), nil
}

// recall lays over what was kept. What cannot be is left aside: the pump serves what its own
// file says until the house is heard.
func (m *member) recall(cfg *config.Config) *config.Config {
	kept, ok, err := m.cache.Config(m.cfg.ID)
	if err != nil {
		m.pump.log.Error("what the house said last is lost; the pump serves what its own file says until it hears the house", slog.Any("error", err))
		return cfg
	}
	if !ok {
		return cfg
	}
	over, shadowed, err := cfg.Overlay(houseName, kept.Settings, fleet.SettingsKeys)
	if err == nil {
		err = m.pump.try(over)
	}
	if err != nil {
		m.pump.log.Error("what the house said last cannot be; the pump serves what its own file says until it hears the house", slog.Any("error", err))
		return cfg
	}
	m.inForce(kept, shadowed)
	m.pump.log.Info("going on with what the house said last", slog.String("digest", kept.Digest), slog.Int("streams", len(over.Streams)))
	return over
}

// asHouseWants has the start go on with another configuration.
func (p *Pump) asHouseWants(cfg *config.Config) {
	if cfg == nil {
		return // it does not start
	}
	p.cfg = cfg
	p.inForce.Store(cfg)
	p.limits.SetBounds(p.bounds(cfg))
	p.idKey.Store(&cfg.IDParameter)
}

// houseName stands in place of a file's name in what is wrong with the house's wishes.
const houseName = "house"

// inForce notes what the pump does as the house wants.
func (m *member) inForce(c fleet.Config, shadowed []string) {
	w := &wanted{Config: c, shadowed: shadowed, parents: map[string]string{}}
	for address, id := range c.Parents {
		w.parents[telemetry.Redact(address)] = id
	}
	m.wanted.Store(w)
}

// start begins the conversation. The pump serves.
func (m *member) start() {
	if m == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.quit = cancel
	m.done.Go(func() { m.client.Run(ctx) })
}

// lastWords is how long the end of a pump waits for what the house is still to be told.
const lastWords = time.Second

// close ends the conversation. The caller does not hold the pump's locks: a configuration
// may wait for them.
func (m *member) close() {
	if m == nil {
		return
	}
	m.once.Do(func() {
		m.quit()
		m.done.Wait()
		if m.client != nil {
			ctx, cancel := context.WithTimeout(context.Background(), lastWords)
			defer cancel()
			m.client.Close(ctx)
		}
	})
}

// Configure implements [fleet.Side].
func (m *member) Configure(_ context.Context, c fleet.Config) error {
	info, err := m.pump.obeyHouse(m, c)
	if err != nil {
		m.fault.Store(new(telemetry.RedactText(err.Error())))
		return err
	}
	m.fault.Store(new(string))
	m.pump.logReload(info, nil)
	text := ""
	if err := m.cache.KeepConfig(c); err != nil {
		text = "what the house wants is in force, but cannot be kept: " + m.pump.explainDenied(err).Error()
		m.pump.log.Error("what the house wants is in force, but cannot be kept: after a restart it is gone until the house is heard", slog.Any("error", err))
	}
	m.unkept.Store(&text)
	return nil
}

// obeyHouse puts the house's wishes in force, or leaves all as it was.
func (p *Pump) obeyHouse(m *member, c fleet.Config) (ReloadInfo, error) {
	p.reloading.Lock() // a file that is just being read comes before or after, whole
	defer p.reloading.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ReloadInfo{}, ErrStopping
	}
	over, shadowed, err := p.own.Overlay(houseName, c.Settings, fleet.SettingsKeys)
	if err != nil {
		return ReloadInfo{}, err
	}
	info, err := p.apply(over, true)
	if err != nil {
		return info, err
	}
	m.inForce(c, shadowed)
	return info, nil
}

// withHouse lays what the house wants over a configuration of the pump's own.
func (p *Pump) withHouse(own *config.Config) (*config.Config, error) {
	if p.member == nil || p.member.wanted.Load().Digest == "" {
		return own, nil
	}
	over, _, err := own.Overlay(houseName, p.member.wanted.Load().Settings, fleet.SettingsKeys)
	return over, err
}

// port is the public port without TLS.
func (m *member) port() int {
	if a, ok := m.pump.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// houseProxy returns the proxy that the house is reached through: the one for pulling.
func houseProxy(cfg *config.Config) func(*http.Request) (*url.URL, error) {
	if !cfg.UseHTTPProxy || cfg.HTTPProxyHost == "" {
		return nil
	}
	at := &url.URL{Scheme: "http", Host: net.JoinHostPort(cfg.HTTPProxyHost, strconv.Itoa(cfg.HTTPProxyPort))}
	return func(r *http.Request) (*url.URL, error) {
		if !cfg.UseProxyForLocalAddresses && isNear(r.URL.Hostname()) {
			return nil, nil
		}
		return at, nil
	}
}

// isNear tells a host that a proxy outside could not reach.
func isNear(host string) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return !strings.Contains(host, ".")
	}
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// exportHouse adds the conversation with the house to the metrics page.
func (p *Pump) exportHouse() {
	m := p.member
	if m == nil {
		return
	}
	p.metrics.GaugeFunc("stream_pump_house_up", "1 while the pump house knows this pump.", func() float64 { return asNumber(m.client.House() != "") })
	p.metrics.GaugeFunc("stream_pump_house_config_refused", "1 while what the house wanted last is not in force.", func() float64 { return asNumber(*m.fault.Load() != "") })
	p.metrics.CounterFunc("stream_pump_house_events_lost_total", "Joins and leaves that the house could not be told, since it was away for too long.", func() uint64 { return uint64(m.journal.Lost()) })
}
