package roster

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Seat is a viewer of now.
type Seat struct {
	Pump    string // id
	Stream  string // path, lower case
	Address netip.Addr
	BPS     int64 // what he gets, bit/s
}

// Plan is what a roster would do to the viewers of now, if each of them came anew under it.
// Who may stay where he is stays.
type Plan struct {
	Viewers int
	Stay    int
	Moves   []Move    // the most viewers first
	Refused []Refusal // likewise
	Pumps   []PumpChange

	Expected int      // expectations of the new roster
	Unmet    []string // those that it does not fulfil
}

// Move is viewers who would be sent to another pump.
type Move struct {
	From, To string // ids
	Viewers  int
	AtOnce   bool // their pump would not have the stream any more; else when they come again
}

// Refusal is viewers for whom there would be no pump.
type Refusal struct {
	From    string // id
	Viewers int
	AtOnce  bool
	Why     string
}

// PumpChange is what is different about one pump.
type PumpChange struct {
	ID   string
	What string // added, removed, or what has changed
}

// Why a viewer would be refused.
const (
	noNetwork = "no pump has a network with their address"
	noneLive  = "no pump with their address is there and has the stream"
	allFull   = "all pumps for them are full"
)

// Usable tells whether a pump could serve a stream, as things are now.
type Usable func(pump, stream string) bool

// PlanFor works out what putting next in the place of now would do. usable is asked of the
// pumps that both have; one that is new counts as if it did what it is for.
func PlanFor(now, next *Roster, seats []Seat, usable Usable) *Plan {
	before := places(now)
	p := &planner{next: next, places: places(next), networks: indexOf(next), load: make([]load, len(next.Pumps)), usable: func(i int, stream string) bool {
		want := &next.Pumps[i]
		if !want.Enabled {
			return false
		}
		old, known := before[want.ID]
		return !known || !now.Pumps[old].Enabled || usable(want.ID, stream)
	}, moves: map[Move]int{}, refused: map[Refusal]int{}}
	plan := &Plan{Viewers: len(seats), Pumps: compare(now, next), Expected: len(next.Expectations)}
	for _, f := range next.Unmet() {
		plan.Unmet = append(plan.Unmet, f.What)
	}
	var rest []waiting
	for i := range seats {
		if w := p.consider(&seats[i]); w != nil {
			rest = append(rest, *w)
		}
	}
	for i := range rest {
		p.place(&rest[i])
	}
	p.tell(plan)
	return plan
}

// places returns where in a roster each pump stands, by id.
func places(r *Roster) map[string]int {
	m := make(map[string]int, len(r.Pumps))
	for i := range r.Pumps {
		m[r.Pumps[i].ID] = i
	}
	return m
}

// tell sums up what became of all viewers.
func (p *planner) tell(plan *Plan) {
	plan.Stay = plan.Viewers
	for m, n := range p.moves {
		plan.Stay -= n
		m.Viewers = n
		plan.Moves = append(plan.Moves, m)
	}
	for r, n := range p.refused {
		plan.Stay -= n
		r.Viewers = n
		plan.Refused = append(plan.Refused, r)
	}
	slices.SortFunc(plan.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Viewers, a.Viewers), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	slices.SortFunc(plan.Refused, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Viewers, a.Viewers), strings.Compare(a.From, b.From), strings.Compare(a.Why, b.Why))
	})
}

// load is what a pump would carry.
type load struct {
	viewers int
	bps     int64
}

// planner places viewers one after the other.
type planner struct {
	next     *Roster
	places   map[string]int // of the pumps in next, by id
	networks *networkIndex
	load     []load // by place in next
	usable   func(pump int, stream string) bool
	moves    map[Move]int
	refused  map[Refusal]int
}

// waiting is a viewer who cannot stay.
type waiting struct {
	seat   *Seat
	levels []level
	atOnce bool
}

// consider lets a viewer stay where he is if he would be sent there too, and returns those
// who have to be placed.
func (p *planner) consider(s *Seat) *waiting {
	at, there := p.places[s.Pump]
	levels := p.networks.levels(s.Address)
	w := &waiting{seat: s, levels: levels, atOnce: !there || !p.next.Pumps[at].Enabled}
	if w.atOnce || p.next.Pumps[at].Draining {
		return w
	}
	for _, l := range levels {
		usable := slices.DeleteFunc(slices.Clone(l.pumps), func(i int) bool {
			return p.next.Pumps[i].Draining || !p.usable(i, s.Stream)
		})
		if len(usable) == 0 {
			continue
		}
		if !slices.Contains(usable, at) || p.full(at, s) {
			return w
		}
		p.take(at, s)
		return nil
	}
	return w
}

func (p *planner) full(i int, s *Seat) bool {
	want, l := &p.next.Pumps[i], &p.load[i]
	return want.MaxViewers > 0 && l.viewers >= want.MaxViewers || want.MaxBandwidth > 0 && l.bps+s.BPS > want.MaxBandwidth
}

func (p *planner) take(i int, s *Seat) {
	p.load[i].viewers++
	p.load[i].bps += s.BPS
}

// place sends a viewer to the pump with the most room of the highest priority that has any.
func (p *planner) place(w *waiting) {
	usable, known := 0, 0
	for _, l := range w.levels {
		best := -1
		for _, i := range l.pumps {
			known++
			if p.next.Pumps[i].Draining || !p.usable(i, w.seat.Stream) {
				continue
			}
			usable++
			if !p.full(i, w.seat) && (best < 0 || p.used(i) < p.used(best)) {
				best = i
			}
		}
		if best >= 0 {
			p.take(best, w.seat)
			if to := p.next.Pumps[best].ID; to != w.seat.Pump {
				p.moves[Move{From: w.seat.Pump, To: to, AtOnce: w.atOnce}]++
			}
			return
		}
	}
	why := allFull
	switch {
	case known == 0:
		why = noNetwork
	case usable == 0:
		why = noneLive
	}
	p.refused[Refusal{From: w.seat.Pump, AtOnce: w.atOnce, Why: why}]++
}

// used is how much of a pump is used, from 0 to 1. One without a limit fills more slowly the
// larger it is thought to be.
func (p *planner) used(i int) float64 {
	want, l := &p.next.Pumps[i], &p.load[i]
	most, unlimited := want.MaxViewers, 1_000_000
	if most == 0 {
		most = unlimited
	}
	used := float64(l.viewers) / float64(most)
	if want.MaxBandwidth > 0 {
		used = max(used, float64(l.bps)/float64(want.MaxBandwidth))
	}
	return used
}
