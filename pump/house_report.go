package pump

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
)

// audience returns who is told of viewers, nil for nobody.
func (p *Pump) audience() server.Audience {
	if p.member == nil {
		return nil
	}
	return p.member
}

// Joined implements [server.Audience].
func (m *member) Joined(v server.Viewer) {
	m.joined.Add(1)
	m.journal.Joined(toHouse(&v))
}

// Left implements [server.Audience].
func (m *member) Left(v server.Viewer) { m.journal.Left(toHouse(&v), string(v.Reason)) }

func toHouse(v *server.Viewer) fleet.Viewer {
	kind, now := v.Kind, v.Left
	if v.Relay {
		kind = fleet.KindPump
	}
	if now.IsZero() {
		now = time.Now()
	}
	return fleet.Viewer{
		ID: v.ID, Client: v.ClientID, Stream: v.Stream, Address: v.Remote.Addr().Unmap().WithZone("").String(), Agent: v.UserAgent, Kind: kind, TLS: v.TLS,
		ForMS: now.Sub(v.Connected).Milliseconds(), Bytes: int64(v.BytesOut), LagMS: v.Lag.Milliseconds(), Skipped: int64(v.Skipped),
	}
}

// Standings implements [fleet.Side].
func (m *member) Standings(ctx context.Context, ids []string) []fleet.Figures {
	if ids != nil && len(ids) == 0 {
		return m.changes(ctx)
	}
	var pass func(*server.Standing) bool
	if ids != nil {
		wanted := numbers(ids)
		pass = func(s *server.Standing) bool { return wanted[s.ID] }
	}
	return figuresForHouse(m.pump.server.Standings(ctx, pass))
}

// changes returns those who do poorly now, or did when they were last looked at. It is
// called by one goroutine at a time.
func (m *member) changes(ctx context.Context) []fleet.Figures {
	was := *m.poor.Load()
	list := m.pump.server.Standings(ctx, func(s *server.Standing) bool {
		_, poor := was[s.ID]
		return s.Poor || poor
	})
	is := map[uint64]struct{}{}
	for _, s := range list {
		if s.Poor {
			is[s.ID] = struct{}{}
		}
	}
	m.poor.Store(&is)
	return figuresForHouse(list)
}

func figuresForHouse(list []server.Standing) (out []fleet.Figures) {
	for _, s := range list {
		out = append(out, fleet.Figures{
			ID: strconv.FormatUint(s.ID, 10), Bytes: int64(s.BytesOut), LagMS: s.Lag.Milliseconds(), Skipped: int64(s.Skipped), Poor: s.Poor,
		})
	}
	return out
}

func numbers(ids []string) map[uint64]bool {
	set := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 64); err == nil {
			set[n] = true
		}
	}
	return set
}

// Kick implements [fleet.Side].
func (m *member) Kick(ctx context.Context, ids []string, _ string) {
	m.pump.server.KickAll(ctx, numbers(ids))
}

// Retry implements [fleet.Side].
func (m *member) Retry(streams []string) {
	p := m.pump
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, path := range streams {
		if st := p.stations[strings.ToLower(path)]; st != nil && st.sup != nil {
			st.sup.Hurry()
		}
	}
}

// Report implements [fleet.Side].
func (m *member) Report() fleet.State {
	p, w := m.pump, m.wanted.Load()
	m.meter.read(p.registry.All())
	m.meter.mu.Lock()
	defer m.meter.mu.Unlock()
	usage, cfg := p.limits.Usage(), p.inForce.Load()
	s := fleet.State{
		UptimeS: int64(time.Since(p.started).Seconds()), CPU: m.meter.cpu, Processors: runtime.GOMAXPROCS(0), Memory: m.meter.memory,
		Viewers: int64(usage.Viewers + usage.Pumps), Pumps: int64(usage.Pumps), ViewersMax: int64(cfg.Limits.Viewers), Joined: int64(m.joined.Load()), Refused: refusedByLimits(p.limits),
		OutMaxBPS: outMost(cfg), BytesIn: m.meter.in, BytesOut: m.meter.out, Skipped: m.meter.skipped,
		Draining: p.draining.Load(), Config: w.Digest, ConfigFault: *m.fault.Load(),
	}
	for _, path := range w.shadowed {
		s.Faults = append(s.Faults, "stream "+path+" is that of the pump's own file, which has the same path")
	}
	if text := *m.unkept.Load(); text != "" {
		s.Faults = append(s.Faults, text)
	}
	for _, one := range p.registry.All() {
		if len(s.Streams) == fleet.MaxStreams {
			break
		}
		st := m.describe(one, w)
		s.InBPS, s.OutBPS = s.InBPS+st.InBPS, s.OutBPS+st.OutBPS
		s.Streams = append(s.Streams, st)
	}
	return s
}

func refusedByLimits(l *access.Limits) (n int64) {
	for _, limit := range access.EveryLimit() {
		n += int64(l.Refused(limit))
	}
	return n
}

// outMost is what may leave the pump, in bit/s; 0: nothing says.
func outMost(c *config.Config) int64 {
	most := int64(c.Limits.Bandwidth)
	if u := int64(max(c.Uplink, 0)); u > 0 && (most == 0 || u < most) {
		most = u
	}
	return most
}

// describe reports one stream. The caller holds m.meter.mu.
func (m *member) describe(s *stream.Stream, w *wanted) fleet.StreamState {
	metrics, source := s.Metrics(), s.Source()
	st := fleet.StreamState{
		Path: s.Path(), State: s.State().String(), Viewers: int64(s.Viewers()), Bytes: int64(metrics.BytesOut.Load()), Skipped: int64(metrics.SkippedPackets.Load()),
		Source: source, Parent: w.parents[source], UpS: int64(s.Uptime().Seconds()),
	}
	if h := s.Header(); h != nil {
		st.BPS = h.Bitrate
	}
	if s.State().Delivering() {
		st.InBPS = int64(s.Bitrate())
		if st.InBPS > 0 {
			st.BPS = st.InBPS
		}
	}
	if f := m.meter.flows[s.Path()]; f != nil {
		st.OutBPS = f.bps
	}
	return st
}

// meter turns counters into rates, and adds up what streams that are gone have carried.
type meter struct {
	mu               sync.Mutex
	at               time.Time
	used             time.Duration // of processors
	cpu              float64
	memory           int64
	in, out, skipped int64
	flows            map[string]*flow
}

// flow is what one stream has carried.
type flow struct {
	in, out, skipped, bps int64
	seen                  time.Time
}

// meterEvery is the least time between two readings: rates over less say little.
const meterEvery = 500 * time.Millisecond

func (m *meter) read(streams []*stream.Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	took := now.Sub(m.at)
	if took < meterEvery {
		return
	}
	used, memory := usedByProcess()
	if !m.at.IsZero() {
		m.cpu = max((used-m.used).Seconds()/took.Seconds(), 0)
	}
	m.at, m.used, m.memory = now, used, memory
	if m.flows == nil {
		m.flows = map[string]*flow{}
	}
	for _, s := range streams {
		m.carry(s, now, took)
	}
	for path, f := range m.flows {
		if f.seen != now {
			delete(m.flows, path)
		}
	}
}

// carry notes what a stream has carried since the last reading. The caller holds m.mu.
func (m *meter) carry(s *stream.Stream, now time.Time, took time.Duration) {
	metrics := s.Metrics()
	in, out, skipped := int64(metrics.BytesIn.Load()), int64(metrics.BytesOut.Load()), int64(metrics.SkippedPackets.Load())
	f := m.flows[s.Path()]
	if f == nil || out < f.out || in < f.in { // a new stream, perhaps of a path that was there
		f = &flow{}
		m.flows[s.Path()] = f
	}
	m.in, m.out, m.skipped = m.in+in-f.in, m.out+out-f.out, m.skipped+skipped-f.skipped
	f.bps = int64(float64(out-f.out) * 8 / took.Seconds())
	f.in, f.out, f.skipped, f.seen = in, out, skipped, now
}
