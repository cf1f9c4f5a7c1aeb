package delegate

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/stream-pump/stream-pump/house/relay"
)

// maxUpstreams is how many pumps the house's own pump is told for one stream.
const maxUpstreams = 4

// Upstreams returns the pumps that the house's own pump should take a stream from: first those of have that will still
// do, then those that serve the house's own addresses, chosen as for a viewer there, then any others by their room, and
// those that are full at last: the house comes as a pump downstream, for which a pump has limits of their own. A place is
// kept at the first one if it is new.
func (d *Delegator) Upstreams(stream string, have []relay.Source) []relay.Source {
	x := d.index.Load()
	i, ok := x.streams[strings.ToLower(stream)]
	if !ok {
		return nil
	}
	q := query{key: max(mix(hashString(hashString(fnvOffset, d.opts.House), x.keys[i])), 1), stream: i, step: look, now: d.opts.Now().UnixNano()}
	var chosen []*slot
	for _, s := range have {
		if t := x.byHash[pumpKey(s.Pump)]; t != nil && t.pump.ID() == s.Pump && t.pump.URL() == s.URL {
			if t.fresh(q.now); t.open(i) {
				chosen = append(chosen, t)
			}
		}
	}
	for _, a := range d.opts.Addresses() {
		for q.addr = a; len(chosen) < maxUpstreams; {
			s, _ := x.best(q, chosen)
			if s == nil {
				break
			}
			chosen = append(chosen, s)
		}
	}
	chosen = append(chosen, x.roomiest(q, chosen)...)
	chosen = chosen[:min(len(chosen), maxUpstreams)]
	var list []relay.Source
	for _, s := range chosen {
		list = append(list, relay.Source{Pump: s.pump.ID(), URL: s.pump.URL()})
	}
	if len(list) > 0 && (len(have) == 0 || have[0] != list[0]) {
		_ = chosen[0].seat.take(q.now, max(chosen[0].rates[i].Load(), 0)) // a pump that is full by now says so itself
	}
	return list
}

// roomiest returns the pumps that deliver the stream, whomever they serve, those with most room first and those without
// any last.
func (x *index) roomiest(q query, but []*slot) []*slot {
	var list []*slot
	for _, s := range x.slots {
		if slices.Contains(but, s) {
			continue
		}
		if s.fresh(q.now); s.open(q.stream) {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *slot) int {
		return cmp.Compare(b.weight(q), a.weight(q))
	})
	return list
}

// weight is how much the house belongs here; nothing where there is no room.
func (s *slot) weight(q query) float64 {
	if room := s.room(q.stream); room >= 1 {
		return s.score(q.key, room)
	}
	return 0
}

// AnyUp tells whether any pump of the roster is up.
func (d *Delegator) AnyUp() bool {
	return slices.ContainsFunc(d.index.Load().slots, func(s *slot) bool { return s.pump.Up() })
}

// ownAddresses are where this machine is, those within it last.
func ownAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			own = append(own, p.Addr().Unmap())
		}
	}
	slices.SortStableFunc(own, func(a, b netip.Addr) int { return cmp.Compare(within(a), within(b)) })
	return own
}

func within(a netip.Addr) int {
	if a.IsLoopback() {
		return 1
	}
	return 0
}
