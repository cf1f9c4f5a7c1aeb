package roster

import (
	"fmt"
	"strings"

	"github.com/stream-pump/stream-pump/config"
)

// MaxPumps bounds a roster.
const MaxPumps = 20_000

// None stands in an [Expectation] for no pump at all.
const None = "none"

// Faults returns everything that is wrong between the pumps of a roster, with the path in
// the file: ids that are there twice, parents that are not there or go in a circle,
// networks that are there twice, expectations of unknown pumps.
func (r *Roster) Faults() []config.Fault {
	var list []config.Fault
	fault := func(path, what, right string) {
		list = append(list, config.Fault{Path: path, What: what, Right: right})
	}
	if len(r.Pumps) > MaxPumps {
		fault("pumps", fmt.Sprintf("there are %d pumps", len(r.Pumps)), fmt.Sprintf("at most %d", MaxPumps))
		return list
	}
	first := make(map[string]int, len(r.Pumps))
	for i, p := range r.Pumps {
		if j, taken := first[p.ID]; taken && p.ID != "" {
			fault(fmt.Sprintf("pumps[%d].id", i), fmt.Sprintf("a second pump has the id %s", p.ID), fmt.Sprintf("an id of its own: the other is %q", r.Pumps[j].Title))
			continue
		}
		first[p.ID] = i
		if p.ID == None {
			fault(fmt.Sprintf("pumps[%d].id", i), `no pump can be called "none"`, "another id")
		}
	}
	for i := range r.Pumps {
		r.pumpFaults(i, first, fault)
	}
	for _, c := range r.Cycles() {
		fault(fmt.Sprintf("pumps[%d].parents", first[c[0]]), "pumps get their streams from each other: "+strings.Join(c, " ← "), "parents without a circle")
	}
	for i, e := range r.Expectations {
		if _, known := first[e.Pump]; !known && e.Pump != "" && e.Pump != None {
			fault(fmt.Sprintf("expect[%d]", i), fmt.Sprintf("an expectation names %s, which is no pump", e.Pump), "an id of this roster, or none")
		}
	}
	return list
}

func (r *Roster) pumpFaults(i int, known map[string]int, fault func(path, what, right string)) {
	p := &r.Pumps[i]
	seen := map[string]bool{}
	for _, parent := range p.Parents {
		at := fmt.Sprintf("pumps[%d].parents", i)
		switch _, there := known[parent]; {
		case !there:
			fault(at, fmt.Sprintf("%s has the parent %s, which is no pump", p.ID, parent), "an id of this roster")
		case seen[parent]:
			fault(at, fmt.Sprintf("%s has the parent %s twice", p.ID, parent), "each parent once, the preferred one first")
		}
		seen[parent] = true
	}
	networks := map[Network]bool{}
	for j, n := range p.Networks {
		same := Network{Prefix: n.Prefix}
		if networks[same] && n.Prefix.IsValid() {
			fault(fmt.Sprintf("pumps[%d].networks[%d]", i, j), fmt.Sprintf("%s has the network %s twice", p.ID, n.Prefix), "each network once")
		}
		networks[same] = true
	}
}

// Problems returns the faults of a roster that is in no file.
func (r *Roster) Problems() error {
	var list config.Problems
	for _, f := range r.Faults() {
		list = append(list, config.Problem{File: f.Path, What: f.What, Right: f.Right})
	}
	if len(list) == 0 {
		return nil
	}
	return list
}
