package roster

import (
	"cmp"
	"fmt"
	"strings"
)

// compare tells what is different between two rosters, in the order of the new one, then
// what is gone.
func compare(now, next *Roster) []PumpChange {
	var list []PumpChange
	for i := range next.Pumps {
		p := &next.Pumps[i]
		old, known := now.Pump(p.ID)
		if !known {
			list = append(list, PumpChange{p.ID, "added"})
			continue
		}
		if what := differences(&old, p); len(what) > 0 {
			list = append(list, PumpChange{p.ID, strings.Join(what, "; ")})
		}
	}
	for i := range now.Pumps {
		if next.Index(now.Pumps[i].ID) < 0 {
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
		{"networks", networks(a), networks(b)},
		{"max_viewers", fmt.Sprint(a.MaxViewers), fmt.Sprint(b.MaxViewers)},
		{"max_bandwidth", a.file("").MaxBandwidth, b.file("").MaxBandwidth},
		{"enabled", fmt.Sprint(a.Enabled), fmt.Sprint(b.Enabled)},
		{"draining", fmt.Sprint(a.Draining), fmt.Sprint(b.Draining)},
	} {
		if d.was != d.is {
			list = append(list, fmt.Sprintf("%s: %s → %s", d.key, cmp.Or(d.was, None), cmp.Or(d.is, None)))
		}
	}
	return list
}

func networks(p *Pump) string {
	if len(p.Networks) > 4 {
		return fmt.Sprintf("%d networks", len(p.Networks))
	}
	var list []string
	for _, n := range p.Networks {
		list = append(list, fmt.Sprintf("%s (%d)", n.Prefix, n.Priority))
	}
	return strings.Join(list, ", ")
}
