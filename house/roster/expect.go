package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/stream-pump/stream-pump/config"
)

// Candidates returns the pumps that a viewer would be sent to if the whole fleet were up and
// empty: those with a network of the highest priority that contains the address, in the
// order of the roster. Of several, viewers are spread over all.
func (r *Roster) Candidates(a netip.Addr) []string {
	a = a.Unmap()
	var list []string
	best, found := 0, false
	for i := range r.Pumps {
		p := &r.Pumps[i]
		if !p.Enabled || p.Draining {
			continue
		}
		priority, contains := p.priority(a)
		switch {
		case !contains || found && priority < best:
		case found && priority == best:
			list = append(list, p.ID)
		default:
			best, found, list = priority, true, []string{p.ID}
		}
	}
	return list
}

// priority is the highest of the networks that contain an address.
func (p *Pump) priority(a netip.Addr) (priority int, contains bool) {
	for _, n := range p.Networks {
		if n.Prefix.Contains(a) && (!contains || n.Priority > priority) {
			priority, contains = n.Priority, true
		}
	}
	return priority, contains
}

// Unmet returns the expectations that the roster does not fulfil. Where viewers are spread
// over several pumps, each of these is as expected.
func (r *Roster) Unmet() []config.Fault {
	var list []config.Fault
	for i, e := range r.Expectations {
		got := r.Candidates(e.Address)
		if e.Pump == None && len(got) == 0 || slices.Contains(got, e.Pump) {
			continue
		}
		to := strings.Join(got, " or ")
		if to == "" {
			to = None
		}
		list = append(list, config.Fault{Path: fmt.Sprintf("expect[%d]", i), What: fmt.Sprintf("%s goes to %s, not to %s", e.Address, to, e.Pump),
			Right: "networks and priorities that send it there, or another expectation"})
	}
	return list
}

// Check is [Load] that also runs the expectations.
func Check(file string) (*File, error) {
	return made(config.LoadRoster(file, func(f *config.RosterFile) []config.Fault {
		r := of(f)
		if list := r.Faults(); len(list) > 0 {
			return list
		}
		return r.Unmet()
	}))
}
