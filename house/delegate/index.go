package delegate

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/stream-pump/stream-pump/house/live"
)

// index finds the pumps that serve an address. It is made anew when roster or streams change, and is not changed then,
// but for the slots' figures.
type index struct {
	revision uint64 // of the view it was made from
	made     uint32 // number of the index
	streams  map[string]int32
	keys     []string // lower case, by number of the stream
	paths    []string // as written
	names    []string
	slots    []*slot // in the order of the roster
	bySeat   map[uint32]*slot
	networks bart.Table[*node]

	byHash       map[uint64]*slot // what other houses call pumps and streams
	streamHashes map[uint64]int32
}

// node is one network of the roster, with the pumps that serve it.
type node struct {
	parent *node   // the next larger network that contains it
	groups []group // the highest priority first
}

// group is the pumps with the same priority for the same network.
type group struct {
	priority int
	slots    []*slot
}

// maxDepth is how many networks can contain one address: one of each length.
const maxDepth = 129

// network is one line of the roster.
type network struct {
	prefix   netip.Prefix
	priority int
	slot     *slot
}

// newIndex makes an index of a view. seats keeps what is known of pumps from index to index.
func newIndex(v *live.View, seats *seats, made uint32) *index {
	x := &index{revision: v.Revision, made: made, streams: make(map[string]int32, len(v.Streams)), bySeat: make(map[uint32]*slot, len(v.Pumps)),
		byHash: make(map[uint64]*slot, len(v.Pumps)), streamHashes: make(map[uint64]int32, len(v.Streams))}
	for _, s := range v.Streams {
		if s.Enabled {
			x.streams[s.Key] = int32(len(x.paths)) //nolint:gosec // thousands
			x.keys, x.paths, x.names = append(x.keys, s.Key), append(x.paths, s.Path), append(x.names, s.Name)
		}
	}
	for key, i := range x.streams {
		x.streamHashes[hashString(fnvOffset, key)] = i
	}
	var list []network
	for _, p := range v.Pumps {
		s := newSlot(p, seats.of(p), x.keys)
		x.slots = append(x.slots, s)
		x.bySeat[s.seat.number], x.byHash[s.seat.hash] = s, s
		for _, n := range p.Wanted().Networks {
			if n.Prefix.IsValid() {
				list = append(list, network{plain(n.Prefix), n.Priority, s})
			}
		}
	}
	x.fill(list)
	return x
}

// plain is the network in the one form that is compared.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// fill sorts networks so that a larger one comes before those within it, and links each with the one around it.
func (x *index) fill(list []network) {
	slices.SortStableFunc(list, func(a, b network) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(b.priority, a.priority))
	})
	type open struct {
		prefix netip.Prefix
		node   *node
	}
	var around []open // each contains the next
	for _, n := range list {
		for len(around) > 0 && !contains(around[len(around)-1].prefix, n.prefix) {
			around = around[:len(around)-1]
		}
		if len(around) == 0 || around[len(around)-1].prefix != n.prefix {
			at := &node{}
			if len(around) > 0 {
				at.parent = around[len(around)-1].node
			}
			around = append(around, open{n.prefix, at})
			x.networks.Insert(n.prefix, at)
		}
		at := around[len(around)-1].node
		if last := len(at.groups) - 1; last < 0 || at.groups[last].priority != n.priority {
			at.groups = append(at.groups, group{priority: n.priority})
		}
		g := &at.groups[len(at.groups)-1]
		g.slots = append(g.slots, n.slot)
	}
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// levels walks through the pumps of an address from the highest priority to the lowest.
type levels struct {
	nodes [maxDepth]*node
	next  [maxDepth]uint16 // group of the node that is next
	n     int

	groups [maxDepth]uint16 // of this level: node
	count  int              // of groups
	total  int              // slots in them
}

// start begins with a network and all around it.
func (l *levels) start(at *node) {
	for ; at != nil && l.n < maxDepth; at = at.parent {
		l.nodes[l.n] = at
		l.n++
	}
}

// step goes to the next level, and tells whether there is one.
func (l *levels) step() bool {
	best, found := 0, false
	for i := range l.n {
		if at := l.nodes[i]; int(l.next[i]) < len(at.groups) {
			if p := at.groups[l.next[i]].priority; !found || p > best {
				best, found = p, true
			}
		}
	}
	l.count, l.total = 0, 0
	for i := range l.n {
		if at := l.nodes[i]; int(l.next[i]) < len(at.groups) && at.groups[l.next[i]].priority == best {
			l.groups[l.count] = uint16(i) //nolint:gosec // below maxDepth
			l.count++
			l.total += len(at.groups[l.next[i]].slots)
			l.next[i]++
		}
	}
	return found
}

// slots returns the i-th group of this level.
func (l *levels) slots(i int) []*slot {
	at := l.groups[i]
	return l.nodes[at].groups[l.next[at]-1].slots
}

// at returns the i-th slot of this level.
func (l *levels) at(i int) *slot {
	for g := range l.count {
		list := l.slots(g)
		if i < len(list) {
			return list[i]
		}
		i -= len(list)
	}
	return nil
}

// serves tells whether a pump is among those of an address.
func (x *index) serves(a netip.Addr, s *slot) bool {
	at, ok := x.networks.Lookup(a)
	if !ok {
		return false
	}
	for ; at != nil; at = at.parent {
		for i := range at.groups {
			if slices.Contains(at.groups[i].slots, s) {
				return true
			}
		}
	}
	return false
}
