package roster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// compare tells what is different between two rosters, in the order of the new one, then
// what is gone.
func compare(now, next *Roster) []PumpChange {
	var list []PumpChange
	before, after := places(now), places(next)
	for i := range next.Pumps {
		p := &next.Pumps[i]
		old, known := before[p.ID]
		if !known {
			list = append(list, PumpChange{p.ID, "added"})
			continue
		}
		if what := differences(&now.Pumps[old], p); len(what) > 0 {
			list = append(list, PumpChange{p.ID, strings.Join(what, "; ")})
		}
	}
	for i := range now.Pumps {
		if _, stays := after[now.Pumps[i].ID]; !stays {
			list = append(list, PumpChange{now.Pumps[i].ID, "removed"})
		}
	}
	return list
}

func differences(a, b *Pump) (list []string) {
	for _, d := range []struct{ key, was, is string }{
		{"title", a.Title, b.Title},
		{"url", a.URL, b.URL},
		{"parents", strings.Join(a.Parents, ", "), strings.Join(b.Parents, ", ")},
		{"max_viewers", fmt.Sprint(a.MaxViewers), fmt.Sprint(b.MaxViewers)},
		{"max_bandwidth", a.file("").MaxBandwidth, b.file("").MaxBandwidth},
		{"enabled", fmt.Sprint(a.Enabled), fmt.Sprint(b.Enabled)},
		{"draining", fmt.Sprint(a.Draining), fmt.Sprint(b.Draining)},
	} {
		if d.was != d.is {
			list = append(list, fmt.Sprintf("%s: %s → %s", d.key, cmp.Or(d.was, None), cmp.Or(d.is, None)))
		}
	}
	if !slices.Equal(a.Networks, b.Networks) {
		list = append(list, "networks: "+networkChange(a, b))
	}
	return list
}

// networkChange shows few networks in full, and of many how many are not the same.
func networkChange(a, b *Pump) string {
	if len(a.Networks) <= showNetworks && len(b.Networks) <= showNetworks {
		return cmp.Or(networks(a), None) + " → " + cmp.Or(networks(b), None)
	}
	had := make(map[Network]bool, len(a.Networks))
	for _, n := range a.Networks {
		had[n] = true
	}
	added := 0
	for _, n := range b.Networks {
		if !had[n] {
			added++
		}
	}
	removed := len(a.Networks) - (len(b.Networks) - added)
	return fmt.Sprintf("%d → %d, of these %d new, %d gone", len(a.Networks), len(b.Networks), added, removed)
}

const showNetworks = 4

func networks(p *Pump) string {
	var list []string
	for _, n := range p.Networks {
		list = append(list, fmt.Sprintf("%s (%d)", n.Prefix, n.Priority))
	}
	return strings.Join(list, ", ")
}
