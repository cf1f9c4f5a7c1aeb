package roster

import (
	"cmp"
	"net/netip"
	"slices"
)

// networkIndex finds the networks of a roster that contain an address, without looking at
// each of them.
type networkIndex struct {
	lengths map[int][]int // of prefixes that there are, by length of the address
	hits    map[netip.Prefix][]hit
}

type hit struct{ pump, priority int }

func indexOf(r *Roster) *networkIndex {
	x := &networkIndex{lengths: map[int][]int{}, hits: map[netip.Prefix][]hit{}}
	for i := range r.Pumps {
		for _, n := range r.Pumps[i].Networks {
			bits := n.Prefix.Addr().BitLen()
			if !slices.Contains(x.lengths[bits], n.Prefix.Bits()) {
				x.lengths[bits] = append(x.lengths[bits], n.Prefix.Bits())
			}
			x.hits[n.Prefix] = append(x.hits[n.Prefix], hit{i, n.Priority})
		}
	}
	return x
}

// levels returns the pumps with a network that contains the address, the highest priority
// first; each pump once, with its highest.
func (x *networkIndex) levels(a netip.Addr) []level {
	a = a.Unmap()
	var all []hit
	for _, bits := range x.lengths[a.BitLen()] {
		prefix, err := a.Prefix(bits)
		if err != nil {
			continue // an address that is none
		}
		all = append(all, x.hits[prefix]...)
	}
	slices.SortFunc(all, func(a, b hit) int { return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.pump, b.pump)) })
	var list []level
	seen := map[int]bool{}
	for _, h := range all {
		if seen[h.pump] {
			continue
		}
		seen[h.pump] = true
		if n := len(list); n == 0 || list[n-1].priority != h.priority {
			list = append(list, level{priority: h.priority})
		}
		l := &list[len(list)-1]
		l.pumps = append(l.pumps, h.pump)
	}
	return list
}

// level is pumps of one priority.
type level struct {
	priority int
	pumps    []int // places in the roster
}
