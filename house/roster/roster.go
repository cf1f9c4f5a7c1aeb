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

// Cycle returns the ids of pumps that would get their streams from each other, in order,
// the first again at the end; nil if there are none. All parents count, not only the first.
func (r *Roster) Cycle() []string {
	const (
		unseen = iota
		open
		done
	)
	state := make(map[string]int, len(r.Pumps))
	byID := make(map[string]*Pump, len(r.Pumps))
	for i := range r.Pumps {
		byID[r.Pumps[i].ID] = &r.Pumps[i]
	}
	var way []string
	var walk func(id string) []string
	walk = func(id string) []string {
		p := byID[id]
		if p == nil || state[id] == done {
			return nil
		}
		if state[id] == open {
			return append(slices.Clone(way[slices.Index(way, id):]), id)
		}
		state[id] = open
		way = append(way, id)
		for _, parent := range p.Parents {
			if c := walk(parent); c != nil {
				return c
			}
		}
		way = way[:len(way)-1]
		state[id] = done
		return nil
	}
	for _, p := range r.Pumps {
		if c := walk(p.ID); c != nil {
			return c
		}
	}
	return nil
}
