package roster

import (
	"net/netip"
	"slices"
)

// Pump is one pump of the fleet, as the operator wants it. Its key is not here: keys are
// secrets and live apart.
type Pump struct {
	ID           string
	Title        string
	URL          string    // where viewers and other pumps reach it: http or https, host and port; empty: as it says itself
	Parents      []string  // ids, in order of preference; empty: it gets the original sources
	Networks     []Network // whom it serves; empty: nobody is sent to it by address
	MaxViewers   int       // 0: no limit
	MaxBandwidth int64     // bit/s to viewers; 0: no limit
	Enabled      bool
	Draining     bool // no new viewers
}

// Network is a network that a pump serves. The higher priority wins, whatever the length
// of the prefix.
type Network struct {
	Prefix   netip.Prefix // masked; IPv4 as IPv4
	Priority int
}

// Expectation says where a viewer has to be sent if the whole fleet is up and empty.
type Expectation struct {
	Address netip.Addr
	Pump    string // id; "none": nowhere
}

// Roster is all pumps of a fleet, in the order of the file.
type Roster struct {
	Pumps        []Pump
	Expectations []Expectation
}

// Index returns the place of a pump, -1 if there is none with this id.
func (r *Roster) Index(id string) int {
	return slices.IndexFunc(r.Pumps, func(p Pump) bool { return p.ID == id })
}

// Pump returns a pump by its id.
func (r *Roster) Pump(id string) (Pump, bool) {
	if i := r.Index(id); i >= 0 {
		return r.Pumps[i], true
	}
	return Pump{}, false
}

// maxCycles bounds how many circles are told.
const maxCycles = 20

// Cycles returns the ids of pumps that would get their streams from each other, each circle
// in order with the first again at the end. All parents count, not only the first ones.
func (r *Roster) Cycles() [][]string {
	w := walker{pumps: make(map[string]*Pump, len(r.Pumps)), state: make(map[string]int, len(r.Pumps))}
	for i := range r.Pumps {
		if p := &r.Pumps[i]; w.pumps[p.ID] == nil {
			w.pumps[p.ID] = p
		}
	}
	for i := range r.Pumps {
		w.walk(r.Pumps[i].ID)
	}
	return w.cycles
}

// walker goes up from pumps to their parents, each way once.
type walker struct {
	pumps  map[string]*Pump
	state  map[string]int // 0 not seen, then:
	way    []string
	cycles [][]string
}

const (
	onTheWay = 1
	done     = 2
)

func (w *walker) walk(id string) {
	p := w.pumps[id]
	switch {
	case p == nil || w.state[id] == done:
		return
	case w.state[id] == onTheWay:
		if len(w.cycles) < maxCycles {
			circle := slices.Clone(w.way[slices.Index(w.way, id):])
			w.cycles = append(w.cycles, append(circle, id))
		}
		return
	}
	w.state[id] = onTheWay
	w.way = append(w.way, id)
	for _, parent := range p.Parents {
		w.walk(parent)
	}
	w.way = w.way[:len(w.way)-1]
	w.state[id] = done
}

// Acyclic returns whom each pump may get its streams from, in order, without those that would
// close a circle: two houses can each have made a change that is right by itself. What is
// left out is the same in all houses, because it follows from the order of the roster.
func (r *Roster) Acyclic() map[string][]string {
	up := make(map[string][]string, len(r.Pumps))
	known := make(map[string]bool, len(r.Pumps))
	for i := range r.Pumps {
		known[r.Pumps[i].ID] = true
	}
	for i := range r.Pumps {
		p := &r.Pumps[i]
		for _, parent := range p.Parents {
			if parent != p.ID && known[parent] && !reaches(up, parent, p.ID) {
				up[p.ID] = append(up[p.ID], parent)
			}
		}
	}
	return up
}

// reaches tells whether one comes from a pump to another by going up.
func reaches(up map[string][]string, from, to string) bool {
	seen := map[string]bool{}
	var walk func(string) bool
	walk = func(id string) bool {
		if id == to {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(up[id], walk)
	}
	return walk(from)
}
