package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

const (
	tickEvery   = 10 * time.Millisecond
	sampleEvery = 500 * time.Millisecond
	maxSamples  = 1200
	stallAfter  = time.Second
	graceMost   = 3 * time.Second        // for the last packets of the last phase
	gracePhase  = 250 * time.Millisecond // for those of other phases
	leaveMost   = 3 * time.Second        // for logs of Windows-like viewers
)

// Run brings up the viewers, holds them phase by phase, and reports. When the context ends it stops early and reports
// what it has. An error means that nothing could be measured; a server that did badly is no error but a verdict.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkFiles(o.Clients); err != nil {
		return nil, err
	}
	r := &run{ctx: ctx, o: o, how: newManner(o), progress: newProgress(o)}
	if len(o.URLs) == 0 {
		r.own, err = startOwn(ctx, o, r.progress.say)
		if err != nil {
			return nil, err
		}
		defer r.own.stop()
		r.o.URLs, r.o.ServerPID = []string{r.own.viewURL}, r.own.pump.pid()
		o.Log.Info("own pump and source are there", "url", r.own.viewURL, "pid", r.o.ServerPID)
	}
	defer r.stopCrews()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r.measure()
}

// run is one call of Run. It belongs to its goroutine; the viewers belong to their crews.
type run struct {
	ctx      context.Context
	o        Options
	own      *ownServer
	progress *progress
	how      *manner
	targets  []*target
	crews    []crew
	members  []member // by number, from 0
	active   int      // members that were not released
	reader   string   // of the loops
	noIntake error    // why it is epoll, when io_uring was tried
	begun    time.Time
	dropped  uint64 // by the machine's queues before

	server   *watched
	self     *watched
	series   []Sample
	every    time.Duration // between samples
	last     mark          // at the sample before
	lastSamp time.Time

	phase  int
	stage  string // of the phase
	phases []phaseResult
}

// member is a viewer and where it belongs.
type member struct {
	crew crew
	c    *client
}

// prepare resolves the addresses and makes the crews.
func (r *run) prepare() error {
	var proxy *target
	ways := &network{}
	if r.o.Proxy != "" {
		p, err := parseTarget(r.o.Proxy)
		if err != nil {
			return err
		}
		if p.addr, err = resolve(r.ctx, p.host, p.port); err != nil {
			return fmt.Errorf("looking up the proxy: %w", err)
		}
		proxy, ways.proxy = p, p.addr
	}
	secure := 0
	for i, u := range r.o.URLs {
		t, err := parseTarget(u)
		if err != nil {
			return err
		}
		if r.o.Plain {
			t = t.withPlainExtension()
		}
		if t.index = i; t.tls {
			secure++
		}
		if t.addr = ways.proxy; proxy == nil {
			if t.addr, err = resolve(r.ctx, t.host, t.port); err != nil {
				return fmt.Errorf("looking up %s: %w", t.host, err)
			}
		}
		r.targets = append(r.targets, t)
	}
	if ways.from, _ = netip.ParseAddr(r.o.From); ways.from.IsValid() && !isOurs(ways.from) { // its form was checked
		return fmt.Errorf("from: %s is no address of this machine", ways.from)
	}
	ways.sources.Store(int32(r.o.Sources))
	if r.o.Sources == 0 {
		ways.sources.Store(int32(sourcesFor(r.o.Clients / len(r.targets))))
	}
	return r.makeCrews(ways, proxy, secure)
}

// isOurs says whether a connection can come from the address.
func isOurs(a netip.Addr) bool {
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return !errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	l.Close()
	return true
}

func (r *run) makeCrews(net *network, proxy *target, secure int) error {
	tallied := func() *tally {
		t := newTally(len(r.targets), int64(stallAfter))
		t.slowBPS = r.o.SlowBPS
		return t
	}
	if secure < len(r.targets) {
		if spare := r.o.Loops + 1; runtime.GOMAXPROCS(0) < spare {
			runtime.GOMAXPROCS(spare)
		}
		for range r.o.Loops {
			l, err := newLoop(tallied(), net, r.o.Reader)
			if err != nil {
				return fmt.Errorf("making an event loop: %w", err)
			}
			if r.reader = ReaderURing; l.noIntake != nil {
				r.reader, r.noIntake = ReaderEpoll, l.noIntake
			} else if l.in == nil {
				r.reader = ReaderEpoll
			}
			r.crews = append(r.crews, l)
		}
	}
	if secure > 0 {
		r.crews = append(r.crews, newGoroutines(tallied(), net, r.o.Insecure, proxy))
	}
	return nil
}

func (r *run) stopCrews() {
	for _, c := range r.crews {
		c.stop()
	}
}

// measure is the run itself.
func (r *run) measure() (*Report, error) {
	r.begun, r.every, r.dropped = time.Now(), sampleEvery, queueDrops()
	var err error
	if r.server, err = watch(r.o.ServerPID); err != nil {
		return nil, err
	}
	r.self, _ = watch(-1)
	r.last, r.lastSamp = r.mark(), r.begun
	for i := range r.o.Phases {
		r.phase = i
		r.o.Log.Info("phase begins", "name", r.o.Phases[i].Name, "viewers", r.o.Phases[i].Clients, "streams", len(r.targets))
		last := i == len(r.o.Phases)-1
		r.phases = append(r.phases, r.runPhase(r.o.Phases[i], last))
		if r.stopped() {
			break
		}
	}
	report := r.report()
	r.farewell()
	if r.own != nil {
		report.Source = r.own.source.account()
		report.Notes = append(report.Notes, r.own.deaths()...)
	}
	r.progress.end()
	judge(report, r.o)
	r.account(report)
	return report, nil
}

// account puts what the report is about into the log.
func (r *run) account(rep *Report) {
	for _, f := range rep.Faults {
		r.o.Log.Debug("fault", "kind", f.Kind, "client", f.Client, "packet", f.Packet, "at_byte", f.Place, "what", f.Text)
	}
	for why, n := range rep.Failures {
		r.o.Log.Info("viewers failed", "viewers", n, "why", why)
	}
	if rep.Interrupted {
		r.o.Log.Warn("stopped before its time")
	}
	r.o.Log.Info("over", "verdict", rep.Verdict, "joined", rep.Clients.Connected, "failed", rep.Clients.Failed, "protocol_errors", rep.Protocol)
}

func (r *run) stopped() bool { return r.ctx.Err() != nil }

// tick waits a moment and sees to samples and progress; false when the run is to stop.
func (r *run) tick() bool {
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(tickEvery):
	}
	if time.Since(r.lastSamp) >= r.every {
		r.sample()
	}
	r.progress.show(r)
	return true
}

// Stages of a phase.
const (
	stageJoining = "joining"
	stageSteady  = "steady"
	stageEnding  = "ending" // what was published before the end is awaited
)

// runPhase ramps up or down, waits for the joins, and holds.
func (r *run) runPhase(p Phase, last bool) phaseResult {
	for _, c := range r.crews {
		c.do(func() {
			c.tallied().phase.Reset()
			c.effort(true)
		})
	}
	r.stage = stageJoining
	r.ramp(p)
	r.settle()
	joining := r.efforts()
	r.stage = stageSteady
	from := r.open(p)
	until := from.at.Add(p.Duration)
	for time.Now().Before(until) && r.tick() {
	}
	to, newest := r.shut()
	result := phaseResult{phase: p, from: from, to: to, joining: joining, efforts: r.efforts()}
	r.stage = stageEnding
	r.grace(newest, last)
	result.collect(r)
	r.progress.phaseDone(r, result)
	return result
}

// ramp brings the number of viewers to the phase's.
func (r *run) ramp(p Phase) {
	begun, from := time.Now(), r.active
	for r.active != p.Clients && !r.stopped() {
		want := p.Clients
		if p.Ramp > 0 {
			moved := int(time.Since(begun).Seconds()*p.Ramp) + 1
			want = min(p.Clients, from+moved)
			if p.Clients < from {
				want = max(p.Clients, from-moved)
			}
		}
		r.bring(want)
		if r.active != p.Clients {
			r.tick()
		}
	}
}

// bring adds or releases viewers at once.
func (r *run) bring(want int) {
	for r.active > want {
		r.active--
		m := r.members[len(r.members)-1]
		r.members = r.members[:len(r.members)-1]
		m.crew.do(func() { m.crew.release(m.c) })
	}
	batch := make(map[crew][]*client)
	for r.active < want {
		m := r.newMember(r.active)
		r.active++
		r.members = append(r.members, m)
		batch[m.crew] = append(batch[m.crew], m.c)
	}
	for crew, clients := range batch {
		crew.do(func() {
			for _, c := range clients {
				crew.add(c)
			}
		})
	}
}

// newMember makes viewer n, counted from 0: addresses in turn, loops in turn, slow ones spread evenly.
func (r *run) newMember(n int) member {
	t := r.targets[n%len(r.targets)]
	at := r.crews[(n/len(r.targets))%len(r.crews)]
	if last := r.crews[len(r.crews)-1]; len(r.crews) > 1 {
		if _, secure := last.(*goroutines); secure {
			at = last
			if plain := len(r.crews) - 1; !t.tls {
				at = r.crews[(n/len(r.targets))%plain]
			}
		}
	}
	kind := steady
	if int(float64(n+1)*r.o.Slow) != int(float64(n)*r.o.Slow) {
		kind = stopped
		if r.o.SlowBPS > 0 {
			kind = throttled
		}
	}
	return member{crew: at, c: newClient(n+1, t, r.how, at.tallied(), kind)}
}

// settle waits until every viewer has joined or failed.
func (r *run) settle() {
	until := time.Now().Add(r.o.JoinTimeout + time.Second)
	for time.Now().Before(until) {
		m := r.mark()
		if m.started == m.joined+m.failed {
			return
		}
		if !r.tick() {
			return
		}
	}
}

// open begins the steady state.
func (r *run) open(p Phase) mark {
	at := now()
	for _, c := range r.crews {
		c.do(func() {
			c.tallied().beginWindow(at)
			c.churn(p.Churn / float64(len(r.crews)))
			c.effort(true)
		})
	}
	return r.edgeMark()
}

// shut ends the steady state and says, for each address, up to where its packets had been published.
func (r *run) shut() (mark, []edge) {
	newest := make([]edge, len(r.targets))
	at := now()
	for _, c := range r.crews {
		c.do(func() {
			t := c.tallied()
			t.endWindow(at)
			c.churn(0)
			for i, e := range t.newest {
				newest[i] = newest[i].later(e)
			}
		})
	}
	return r.edgeMark(), newest
}

// edgeMark is a mark at the beginning or end of the steady state.
func (r *run) edgeMark() mark {
	m := r.mark()
	m.machine = timeOfMachine()
	return m
}

func (r *run) efforts() effort {
	var worst effort
	for _, c := range r.crews {
		c.do(func() {
			e := c.effort(false)
			worst = effort{max(worst.busy, e.busy), max(worst.lagP99, e.lagP99), max(worst.lagMax, e.lagMax), max(worst.toil, e.toil)}
		})
	}
	return worst
}

// grace lets packets come that were published before the end. After the last phase it waits until everybody has them.
func (r *run) grace(newest []edge, last bool) {
	until := time.Now().Add(gracePhase)
	if last {
		until = time.Now().Add(graceMost)
	}
	for time.Now().Before(until) && r.tick() {
		if last && r.behind(newest) == 0 {
			break
		}
	}
	if last {
		for _, c := range r.crews {
			c.do(c.thaw)
		}
		r.endAll(newest)
	}
}

// behind counts the viewers that have not got all that was published, or are on their way back.
func (r *run) behind(newest []edge) int {
	n := 0
	for _, c := range r.crews {
		c.do(func() {
			c.each(func(v *client) {
				if v.returning() || v.joined && v.cohort == steady && v.reader.behind(newest[v.home.index]) {
					n++
				}
			})
		})
	}
	return n
}

// endAll closes the accounts of all viewers.
func (r *run) endAll(newest []edge) {
	for _, c := range r.crews {
		c.do(func() {
			t := c.tallied()
			c.each(func(v *client) {
				if quiet := t.to - v.lastData; v.joined && quiet > t.stall {
					v.stalled(quiet)
				}
				v.reader.settle(v.edge(newest[v.home.index]))
			})
		})
	}
}

// farewell has all viewers leave; Windows-like ones post their logs, for which they get a moment.
func (r *run) farewell() {
	for _, c := range r.crews {
		c.do(func() { c.each(func(v *client) { c.release(v) }) })
	}
	until := time.Now().Add(leaveMost)
	for r.o.WMP && time.Now().Before(until) && r.leaving() > 0 {
		time.Sleep(tickEvery)
	}
}

func (r *run) leaving() int {
	n := 0
	for _, c := range r.crews {
		c.do(func() {
			c.each(func(v *client) {
				if v.state != finished {
					n++
				}
			})
		})
	}
	return n
}
