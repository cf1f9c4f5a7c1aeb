package live

import (
	"strings"

	"github.com/stream-pump/stream-pump/house/roster"
)

// SetRoster puts a roster in force. Pumps that are in both stay what they are; the viewers
// of pumps that go are forgotten as left.
func (f *Fleet) SetRoster(r *roster.Roster) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.View()
	v := &View{Revision: old.Revision + 1, Roster: r, Streams: old.Streams, Houses: old.Houses, byStream: old.byStream, byID: make(map[string]*Pump, len(r.Pumps))}
	now := f.opts.Now()
	for i := range r.Pumps {
		want := &r.Pumps[i]
		p := old.byID[want.ID]
		if p == nil {
			p = &Pump{id: want.ID}
			p.report.Store(noReport)
		}
		p.wanted.Store(want)
		v.Pumps = append(v.Pumps, p)
		v.byID[want.ID] = p
	}
	for _, p := range old.Houses {
		v.byID[p.id] = p
	}
	f.view.Store(v)
	for id, p := range old.byID {
		if v.byID[id] == nil {
			p.mu.Lock()
			p.removed = true
			f.crowd.empty(f, p, "the pump was taken off the roster", now)
			f.setUp(p, false, now)
			p.mu.Unlock()
		}
	}
	f.bell.ring(Happening{Time: now, Kind: RosterChanged})
}

// SetStreams puts the list of streams in force. Paths are different without regard to case.
func (f *Fleet) SetStreams(list []Stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := *f.View()
	v.Revision++
	v.Streams, v.byStream = list, make(map[string]int, len(list))
	for i := range list {
		list[i].Key = strings.ToLower(list[i].Path)
		v.byStream[list[i].Key] = i
	}
	f.view.Store(&v)
	f.bell.ring(Happening{Time: f.opts.Now(), Kind: RosterChanged})
}
