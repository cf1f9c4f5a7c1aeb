package pump

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// station is one stream of the configuration with whatever feeds it. Its fields are
// guarded by Pump.mu; stream and timeline never change.
type station struct {
	cfg      config.Stream
	stream   *stream.Stream
	timeline *ingest.Timeline
	target   *ingest.Target // nil: nobody may push it
	guards   guards         // never changes
	gates    gates
	lineup   lineup
	sup      *ingest.Supervisor // of the lineup, nil for an empty one
	stop     func()             // ends the sources and waits for them
}

// newStation makes the stream and starts its sources.
func (p *Pump) newStation(c config.Stream, whole *config.Config) (*station, error) {
	log := p.events.With(slog.String("stream", c.Path))
	st := &station{cfg: c, timeline: ingest.NewTimeline(), guards: newGuards(), stop: func() {}}
	st.stream = stream.New(stream.Options{
		Path: c.Path, Name: c.Name, Type: c.Type,
		Ring: ringOf(whole), Pool: p.pool,
		EndFrame: mmsh.AppendEnd(nil, mmsh.ReasonEnd),
		Metrics:  p.metrics.Stream(c.Path),
		OnState: func(from, to stream.State) {
			log.Info("stream state", slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
	setBounds(st.stream, c, whole)
	l, err := p.lineupOf(c, whole, lineup{})
	if err == nil {
		st.gates, err = p.gatesOf(c, whole, st.guards)
	}
	if err == nil {
		err = p.registry.Add(st.stream)
	}
	if err != nil {
		p.metrics.RemoveStream(c.Path)
		return nil, err
	}
	countReasons(st.stream.Metrics())
	p.feed(st, whole, l)
	log.Info("stream", slog.String("type", c.Type), slog.String("name", c.Name), slog.Any("sources", sourceNames(c)))
	return st, nil
}

// countReasons puts every reason of the closed sets on the metrics page, at 0: a counter
// that appears with its first event hides that event from rate().
func countReasons(m *telemetry.StreamMetrics) {
	for _, reason := range server.Reasons() {
		m.ViewersEnded(string(reason))
		if reason.Dropped() {
			m.ViewersDropped(string(reason))
		}
	}
	for _, reason := range ingest.DropReasons() {
		m.PacketsDropped(reason)
	}
}

// override returns a stream's own setting, 0 when it has none.
func override(d *config.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.D()
}

// setBounds tells a stream where it differs from the whole pump, and how long its
// viewers wait for a lost source.
func setBounds(s *stream.Stream, c config.Stream, whole *config.Config) {
	s.SetBounds(override(c.Lag.Max), override(c.Burst.Max))
	hold := whole.Hold
	if c.Hold != nil {
		hold = *c.Hold
	}
	s.SetHold(hold.D())
}

// feed starts the sources of a station, and decides who may push it.
func (p *Pump) feed(st *station, whole *config.Config, l lineup) {
	st.target = targetOf(st, st.gates.publish)
	st.lineup, st.sup = l, nil
	if len(l.list) == 0 {
		return
	}
	st.sup = ingest.NewSupervisor(ingest.SupervisorOptions{
		Stream: st.stream, Timeline: st.timeline, RollOptions: st.roll(),
		BackoffMin: whole.Pull.Backoff.Min.D(), BackoffMax: whole.Pull.Backoff.Max.D(), Log: p.events,
	})
	sup := st.sup
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = sup.Run(ctx) }) // it has logged every source's end
	st.stop = func() {
		cancel()
		done.Wait()
	}
}

// roll is the lineup as the supervisor wants it.
func (st *station) roll() ingest.RollOptions {
	returnAfter := st.cfg.ReturnAfter.D()
	if returnAfter == 0 {
		returnAfter = -1
	}
	return ingest.RollOptions{Sources: st.lineup.sources(), PushFirst: st.lineup.pushFirst, ReturnAfter: returnAfter}
}

// playing returns the source of the lineup that delivers, nil if none does.
func (st *station) playing() ingest.Source {
	if st.sup == nil {
		return nil
	}
	return st.sup.Playing()
}

// staysWith tells whether the viewers notice nothing of another lineup: whoever delivers
// now stays.
func (st *station) staysWith(l lineup) bool {
	if now := st.playing(); now != nil {
		return l.has(now)
	}
	return l.pushFirst && st.stream.Source() != ""
}

// targetOf returns what encoders push to, nil for a stream that is not pushed.
func targetOf(st *station, gate *access.Gate) *ingest.Target {
	if !isPushed(st.cfg) {
		return nil
	}
	return &ingest.Target{Stream: st.stream, Timeline: st.timeline, TakeOver: st.cfg.Takeover, Gate: gate}
}

// isPushed tells whether encoders may come: the stream is theirs, or they are one of its
// sources.
func isPushed(c config.Stream) bool {
	if c.Type == config.TypePush {
		return true
	}
	for _, o := range c.AllSources() {
		if o.Type == config.TypePush {
			return true
		}
	}
	return false
}

// retune applies what a reload changed in a stream that stays. With another lineup, a
// source that is in both goes on; when the one that delivers is not, viewers are held until
// another one does. On an error the stream is as it was.
func (p *Pump) retune(st *station, c config.Stream, whole *config.Config, anew bool) error {
	setBounds(st.stream, c, whole)
	st.stream.SetName(c.Name)
	if !anew {
		st.cfg = c // the gates follow
		return nil
	}
	l, err := p.lineupOf(c, whole, st.lineup)
	if err != nil {
		return err
	}
	st.cfg = c
	if !l.pushFirst && st.playing() == nil {
		st.stream.Kick() // an encoder that may not push any more, or no longer comes first
	}
	if st.sup != nil && len(l.list) > 0 {
		st.lineup = l
		st.sup.Update(st.roll())
		return nil
	}
	st.stop()
	st.stop = func() {}
	p.feed(st, whole, l)
	return nil
}

// remove takes a station off: its viewers get the end of the stream.
func (p *Pump) remove(st *station) {
	p.registry.Remove(st.stream)
	st.stream.Close()
	st.stop()
	p.metrics.RemoveStream(st.stream.Path())
	p.leaving.Go(func() { p.discard(st.stream) })
}

// discard gives the packets of a removed stream back once nobody reads them any more.
func (p *Pump) discard(s *stream.Stream) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for s.Viewers() > 0 {
		select {
		case <-look.C:
			continue
		case <-p.gone:
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), discardTime)
	defer cancel()
	if err := s.Discard(ctx); err != nil {
		p.log.Error("packets of a removed stream are lost to the pool", slog.Any("error", err))
	}
}

// discardTime is how long a publisher may take to let go of its stream.
const discardTime = 5 * time.Second

// billing is what the configuration says of a stream, for the API.
type billing struct {
	kind    string
	sources []string
}

// billed returns what is configured of a stream. Any goroutine.
func (p *Pump) billed(path string) billing {
	return (*p.billings.Load())[strings.ToLower(path)]
}

// publish lets encoders and the API see the stations as they are now. The caller holds p.mu.
func (p *Pump) publish() {
	m := make(map[string]*ingest.Target, len(p.stations))
	bills := make(map[string]billing, len(p.stations))
	viewing := make(map[string]*access.Gate, len(p.stations))
	for key, st := range p.stations {
		bills[key] = billing{kind: st.cfg.Type, sources: sourceNames(st.cfg)}
		viewing[key] = st.gates.play
		if st.target != nil {
			m[key] = st.target
		}
	}
	p.targets.Store(&m)
	p.viewing.Store(&viewing)
	p.billings.Store(&bills)
}

// lookupTarget finds what an encoder pushes to. Any goroutine.
func (p *Pump) lookupTarget(path string) (*ingest.Target, bool) {
	t, ok := (*p.targets.Load())[strings.ToLower(path)]
	return t, ok
}
