package web

import (
	"slices"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
)

// look puts together what the fleet does now.
type look struct {
	view   *live.View
	links  map[link]int64 // streams that pumps get from others, by who gives
	pumps  []PumpInfo
	relays []PumpInfo // the pumps within houses
}

// link is a stream at the pump that gives it; an empty stream stands for all of them.
type link struct{ pump, stream string }

// see looks at the whole fleet. Pumps downstream are viewers of their parents; they are
// taken off there, by what both say.
func see(f *live.Fleet) *look {
	l := &look{view: f.View(), links: map[link]int64{}}
	for _, p := range everyPump(l.view) {
		if !p.Up() {
			continue
		}
		for _, s := range p.Report().Streams {
			if s.Parent != "" && s.Delivering() {
				l.links[link{s.Parent, strings.ToLower(s.Path)}]++
				l.links[link{s.Parent, ""}]++
			}
		}
	}
	l.pumps = make([]PumpInfo, len(l.view.Pumps))
	for i, p := range l.view.Pumps {
		l.pumps[i] = l.pump(p)
	}
	l.relays = make([]PumpInfo, len(l.view.Houses))
	for i, p := range l.view.Houses {
		l.relays[i] = l.pump(p)
	}
	return l
}

// everyPump is those of the roster, and those within houses.
func everyPump(v *live.View) []*live.Pump { return slices.Concat(v.Pumps, v.Houses) }

func (l *look) pump(p *live.Pump) PumpInfo {
	w, r := p.Wanted(), p.Report()
	info := PumpInfo{
		ID: p.ID(), Title: w.Title, URL: p.URL(), State: StateNever, Since: moment(p.Since()), Heard: moment(r.Heard),
		Enabled: w.Enabled, Draining: w.Draining, Parents: append([]string{}, w.Parents...),
		MaxViewers: int64(w.MaxViewers), MaxOutBPS: w.MaxBandwidth, Faults: []string{}, Streams: []PumpStream{},
	}
	if info.Title == "" {
		info.Title = info.ID
	}
	if info.MaxViewers == 0 {
		info.MaxViewers = r.ViewersMax
	}
	if info.MaxOutBPS == 0 {
		info.MaxOutBPS = r.OutMaxBPS
	}
	if !p.Up() {
		if info.Since != nil {
			info.State = StateDown
		}
		return info
	}
	l.figures(&info, r)
	return info
}

// figures adds what a pump that is up says of itself.
func (l *look) figures(info *PumpInfo, r *live.Report) {
	info.State = StateUp
	info.Downstream = min(max(l.links[link{info.ID, ""}], r.Pumps), r.Viewers) // the pump knows it first when one comes, the other when it goes
	info.Viewers, info.InBPS, info.OutBPS = r.Viewers-info.Downstream, r.InBPS, r.OutBPS
	info.CPU, info.Processors, info.Memory, info.UptimeS = r.CPU, r.Processors, r.Memory, r.UptimeS
	info.Joined, info.Refused, info.Skipped = r.Joined, r.Refused, r.Skipped
	info.Draining = info.Draining || r.Draining
	info.Full = info.MaxViewers > 0 && r.Counted() >= info.MaxViewers || info.MaxOutBPS > 0 && r.OutBPS >= info.MaxOutBPS
	info.ConfigFault, info.Faults = r.ConfigFault, append(info.Faults, r.Faults...)
	for i := range r.Streams {
		s := &r.Streams[i]
		info.Streams = append(info.Streams, PumpStream{
			Path: s.Path, State: s.State, Viewers: max(0, s.Viewers-l.links[link{info.ID, strings.ToLower(s.Path)}]),
			BPS: s.BPS, InBPS: s.InBPS, OutBPS: s.OutBPS, Skipped: s.Skipped, Source: s.Source, Parent: s.Parent, UpS: s.UpS,
		})
	}
}

func (l *look) totals(f *live.Fleet) Totals {
	t := Totals{Pumps: len(l.pumps), Streams: len(l.view.Streams), KnownByID: f.Watching()}
	limited := true
	for i := range l.pumps {
		p := &l.pumps[i]
		if p.State != StateUp {
			continue
		}
		t.Up++
		t.Viewers += p.Viewers
		t.Links += p.Downstream
		t.InBPS += p.InBPS
		t.OutBPS += p.OutBPS
		t.MaxViewers += p.MaxViewers
		limited = limited && p.MaxViewers > 0
	}
	for i := range l.relays {
		p := &l.relays[i]
		t.MaxViewers += p.MaxViewers // one that may have nobody says 0, and serves nobody
		t.Viewers += p.Viewers
		t.Relayed += p.Viewers
		t.InBPS += p.InBPS
		t.OutBPS += p.OutBPS
	}
	if !limited {
		t.MaxViewers = 0
	}
	for _, s := range l.streams() {
		if s.Pumps > 0 && s.Type != "" {
			t.StreamsOn++
		}
	}
	return t
}

// streams are those that the house gives out, in its order, and then those that only pumps'
// own files name.
func (l *look) streams() []StreamInfo {
	list := make([]StreamInfo, 0, len(l.view.Streams))
	place := map[string]int{}
	for _, s := range l.view.Streams {
		place[s.Key] = len(list)
		list = append(list, StreamInfo{Path: s.Path, Name: s.Name, Type: s.Type, Enabled: s.Enabled})
	}
	for i := range l.pumps {
		for _, s := range l.pumps[i].Streams {
			key := strings.ToLower(s.Path)
			at, ok := place[key]
			if !ok {
				at = len(list)
				place[key] = at
				list = append(list, StreamInfo{Path: s.Path, Name: s.Path, Enabled: true})
			}
			list[at].add(&s)
		}
	}
	for i := range l.relays {
		for _, s := range l.relays[i].Streams {
			if at, ok := place[strings.ToLower(s.Path)]; ok {
				list[at].Viewers += s.Viewers
				list[at].Relayed += s.Viewers
				list[at].OutBPS += s.OutBPS
			}
		}
	}
	return list
}

func (s *StreamInfo) add(p *PumpStream) {
	if p.State == "live" || p.State == "fallback" {
		s.Pumps++
		if s.BPS == 0 {
			s.BPS = p.BPS
		}
	}
	s.Viewers += p.Viewers
	s.OutBPS += p.OutBPS
}

func (l *look) overview(o *Options) Overview {
	return Overview{
		House: o.House, Version: o.Version, Time: o.Now().UTC(), Revision: l.view.Revision,
		Totals: l.totals(o.Fleet), Pumps: l.pumps, Relays: l.relays, Streams: l.streams(),
	}
}

func history(p *live.Pump) []Sample {
	list := p.History()
	out := make([]Sample, len(list))
	for i, s := range list {
		out[i] = Sample{At: s.At.UTC().Truncate(time.Millisecond), Up: s.Up, Viewers: s.Viewers, InBPS: s.InBPS, OutBPS: s.OutBPS, CPU: s.CPU}
	}
	return out
}

// historyOf sums up the last two minutes of all pumps.
func historyOf(pumps []*live.Pump) []Sample {
	var lists [][]live.Sample
	longest := 0
	for _, p := range pumps {
		h := p.History()
		lists, longest = append(lists, h), max(longest, len(h))
	}
	sums := make([]Sample, longest)
	for _, h := range lists {
		for i, x := range h {
			s := &sums[longest-len(h)+i]
			s.At, s.Up = x.At.UTC().Truncate(time.Millisecond), true
			s.Viewers += x.Viewers
			s.InBPS += x.InBPS
			s.OutBPS += x.OutBPS
			s.CPU += x.CPU
		}
	}
	return sums
}
