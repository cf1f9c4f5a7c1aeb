package loadtest

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// watched is a process whose CPU and memory are measured.
type watched struct {
	id         int
	base, peak uint64 // bytes
	gone       bool
	lastSeen   usage
}

// watch begins to watch a process: 0 is none, below 0 ourselves.
func watch(pid int) (*watched, error) {
	w := &watched{id: pid}
	if pid == 0 {
		return w, nil
	}
	if pid > 0 {
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		w.lastSeen = u
	}
	w.base = w.use().rss
	return w, nil
}

// use is what it has used up. A process that has ended keeps what was seen last.
func (w *watched) use() usage {
	switch {
	case w.id < 0:
		w.lastSeen = ownUsage()
	case w.id > 0 && !w.gone:
		u, err := usageOf(w.id)
		if w.gone = err != nil; !w.gone {
			w.lastSeen = u
		}
	}
	w.peak = max(w.peak, w.lastSeen.rss)
	return w.lastSeen
}

// mark is the sum of all counters at a moment.
type mark struct {
	at                                    time.Time
	started, joined, joins, alive, failed int64
	bytes, packets, lost, protocol        uint64
	churned, rejoined, ended              uint64
	viewerSeconds                         float64
	server, self                          usage
	machine                               machineTime // at the ends of the steady state only
}

func (r *run) mark() mark {
	m := mark{at: time.Now(), server: r.server.use(), self: r.self.use()}
	for _, c := range r.crews {
		t := c.tallied()
		m.started += t.started.Load()
		m.joined += t.joined.Load()
		m.joins += t.joins.Load()
		m.alive += t.alive.Load()
		m.failed += t.failed.Load()
		m.bytes += t.bytes.Load()
		m.packets += t.packets.Load()
		m.lost += t.lost.Load()
		m.protocol += t.protocol.Load()
		m.churned += t.churned.Load()
		m.rejoined += t.rejoined.Load()
		m.ended += t.ended.Load()
	}
	m.viewerSeconds = r.last.viewerSeconds
	if !r.last.at.IsZero() {
		m.viewerSeconds += float64(m.alive+r.last.alive) / 2 * m.at.Sub(r.last.at).Seconds()
	}
	return m
}

// sample keeps one point of the curves; when there are too many, every other one goes.
func (r *run) sample() {
	m := r.mark()
	took := m.at.Sub(r.last.at).Seconds()
	r.series = append(r.series, Sample{
		At: m.at.Sub(r.begun).Seconds(), Phase: r.phase, Steady: r.stage == stageSteady, Viewers: int(m.alive),
		Joins: float64(m.joins-r.last.joins) / took, Mbit: float64(m.bytes-r.last.bytes) * 8 / 1e6 / took,
		Cores: (m.server.cpu - r.last.server.cpu).Seconds() / took, RSS: m.server.rss,
		Own: (m.self.cpu - r.last.self.cpu).Seconds() / took,
	})
	r.last, r.lastSamp = m, m.at
	if len(r.series) >= maxSamples {
		kept := r.series[:0]
		for i := 1; i < len(r.series); i += 2 {
			kept = append(kept, r.series[i])
		}
		r.series, r.every = kept, r.every*2
	}
}

// phaseResult is what is known of a phase when it is over.
type phaseResult struct {
	phase         Phase
	from, to      mark
	joining       effort // until all had joined
	efforts       effort // in the steady state
	join, latency *hdrhistogram.Histogram
}

// collect takes the phase's histograms, late packets included.
func (p *phaseResult) collect(r *run) {
	p.join, p.latency = newHistogram(), newHistogram()
	for _, c := range r.crews {
		c.do(func() {
			t := c.tallied()
			p.join.Merge(t.phase)
			p.latency.Merge(t.ages())
			t.latency.Merge(t.ages())
		})
	}
}

func (p *phaseResult) seconds() float64       { return p.to.at.Sub(p.from.at).Seconds() }
func (p *phaseResult) viewerSeconds() float64 { return p.to.viewerSeconds - p.from.viewerSeconds }
func (p *phaseResult) serverCPU() float64     { return (p.to.server.cpu - p.from.server.cpu).Seconds() }
func (p *phaseResult) ownCPU() float64        { return (p.to.self.cpu - p.from.self.cpu).Seconds() }
func (p *phaseResult) bytes() uint64          { return p.to.bytes - p.from.bytes }

func (p *phaseResult) report() PhaseReport {
	return PhaseReport{Name: p.phase.Name, Clients: p.phase.Clients, Alive: int(p.to.alive), DurationS: p.seconds(),
		Mbit: ratio(float64(p.bytes())*8/1e6, p.seconds()), Join: quantilesOf(p.join), Latency: quantilesOf(p.latency),
		CPU: p.serverCPU(), PerViewer: ratio(p.serverCPU()*1e6, p.viewerSeconds()), RSS: p.to.server.rss}
}

// ratio is 0 where it would be none.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
