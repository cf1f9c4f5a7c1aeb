package live

import (
	"maps"
	"slices"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// maxHouses bounds the houses whose own pumps are known.
const maxHouses = 64

// IsHouse tells whether it is a pump within a house.
func (p *Pump) IsHouse() bool { return p.house }

// AddHouse makes the pump within a house known, by what [fleet.HouseID] returns: it is not on
// the roster, nobody is sent to it, and it is no carrier of streams. Its viewers are the
// fleet's like all others. Another house is forgotten when it falls silent; own says that it is
// this one, which cannot be gone. False: the id is no house's, or there are too many houses.
func (f *Fleet) AddHouse(id string, own bool) bool {
	if !fleet.ValidHouseID(id) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.View()
	if old.byID[id] != nil {
		return true
	}
	if len(old.Houses) >= maxHouses {
		return false
	}
	p := &Pump{id: id, house: true, own: own}
	p.report.Store(noReport)
	p.wanted.Store(&roster.Pump{ID: id, Title: id[len(fleet.HousePrefix):] + " (relay)", Enabled: true})
	v := *old
	v.Revision++
	v.Houses = append(slices.Clone(old.Houses), p)
	v.byID = maps.Clone(old.byID)
	v.byID[id] = p
	f.view.Store(&v)
	return true
}

// removeHouse forgets a house that is not heard any more: whom it served is gone with it.
func (f *Fleet) removeHouse(p *Pump, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.View()
	v := *old
	v.Revision++
	v.Houses = slices.DeleteFunc(slices.Clone(old.Houses), func(o *Pump) bool { return o == p })
	v.byID = maps.Clone(old.byID)
	delete(v.byID, p.id)
	f.view.Store(&v)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed = true
	p.up.Store(false)
	f.crowd.empty(f, p, "the house is gone", now)
}

// sweepHouses finds houses that have fallen silent.
func (f *Fleet) sweepHouses(frozen bool, now time.Time) {
	for _, p := range f.View().Houses {
		p.mu.Lock()
		silent := now.Sub(p.link.heard) > f.opts.DeadAfter
		if silent && p.own {
			f.setUp(p, false, now)
		}
		p.mu.Unlock()
		if silent && !p.own && !frozen {
			f.removeHouse(p, now)
		}
	}
}
