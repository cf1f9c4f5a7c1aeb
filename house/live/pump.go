package live

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// Pump is one pump of the roster, or within a house, with what it says of itself. A Pump lives
// as long as its id stays in the roster: it may be a key of a map. Methods may be called from any
// goroutine and do not wait.
type Pump struct {
	id     string
	house  bool // within a house, not on the roster
	own    bool // this house
	wanted atomic.Pointer[roster.Pump]
	report atomic.Pointer[Report]
	url    atomic.Pointer[string] // as the pump says, or as it was seen; nil: not known
	up     atomic.Bool
	full   atomic.Bool
	since  atomic.Int64 // ns: up or down since

	mu      sync.Mutex // guards what follows; taken before crowd.mu
	removed bool       // from the roster, for good
	link    link
	history [historyLen]Sample
	samples int // ever taken
}

// Report is what a pump last said of itself. It is not changed.
type Report struct {
	fleet.State
	Boot  string
	Heard time.Time // by this house's clock

	streams map[string]*fleet.StreamState // by lower-case path
}

var noReport = &Report{streams: map[string]*fleet.StreamState{}}

// Stream returns what the pump says of a stream, nil if it does not have it. key is the
// path in lower case.
func (r *Report) Stream(key string) *fleet.StreamState { return r.streams[key] }

func newReport(s fleet.State, boot string, heard time.Time) *Report {
	r := &Report{State: s, Boot: boot, Heard: heard, streams: make(map[string]*fleet.StreamState, len(s.Streams))}
	for i := range s.Streams {
		r.streams[strings.ToLower(s.Streams[i].Path)] = &r.State.Streams[i]
	}
	return r
}

// ID returns the pump's id.
func (p *Pump) ID() string { return p.id }

// Wanted returns what the roster says of the pump.
func (p *Pump) Wanted() *roster.Pump { return p.wanted.Load() }

// Up tells whether the pump was heard of lately.
func (p *Pump) Up() bool { return p.up.Load() }

// Since returns since when the pump is up, or down; zero if it never was up.
func (p *Pump) Since() time.Time {
	ns := p.since.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Report returns what the pump last said, never nil. It may be old: see [Pump.Up].
func (p *Pump) Report() *Report { return p.report.Load() }

// URL returns where viewers and other pumps reach it: as the roster says, else as the pump
// says, else as the house saw it. Empty: not known.
func (p *Pump) URL() string {
	if w := p.wanted.Load(); w.URL != "" {
		return w.URL
	}
	if u := p.url.Load(); u != nil {
		return *u
	}
	return ""
}

// SetURL notes where the pump can be reached, for pumps of which the roster does not say.
func (p *Pump) SetURL(url string) { p.url.Store(&url) }

// Delivers tells whether viewers get a stream here now. key is the path in lower case.
func (p *Pump) Delivers(key string) bool {
	if !p.up.Load() {
		return false
	}
	s := p.report.Load().streams[key]
	return s != nil && s.Delivering()
}

const historyLen = 120

// Sample is a pump at one moment of the last two minutes.
type Sample struct {
	At      time.Time
	Viewers int64
	InBPS   int64
	OutBPS  int64
	CPU     float64
	Up      bool
}

// History returns the last two minutes, one sample a second at most, the oldest first.
func (p *Pump) History() []Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.samples, historyLen)
	list := make([]Sample, 0, n)
	for i := p.samples - n; i < p.samples; i++ {
		list = append(list, p.history[i%historyLen])
	}
	return list
}

// sample notes the report unless the last sample is fresh. The caller holds p.mu.
func (p *Pump) sample(r *Report, up bool, now time.Time) {
	if p.samples > 0 && now.Sub(p.history[(p.samples-1)%historyLen].At) < 900*time.Millisecond {
		return
	}
	s := Sample{At: now, Up: up}
	if up {
		s.Viewers, s.InBPS, s.OutBPS, s.CPU = r.Viewers, r.InBPS, r.OutBPS, r.CPU
	}
	p.history[p.samples%historyLen] = s
	p.samples++
}
