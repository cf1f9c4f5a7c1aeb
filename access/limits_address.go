package access

import (
	"net/netip"
	"slices"
)

// addressUse is what one remote address takes. It is forgotten when that is nothing.
type addressUse struct {
	streams        []addressStream // watched as a viewer
	viewers, pumps int
	since          int64 // ns of Limits.now, when the first of the viewers came; while there are any
	connections    int
	heads          int     // of these, those whose request's head is unfinished
	arrivals       window  // of connections, kept only while their rate is bounded
	burst          *Bucket // nil while the bursts of an address are not bounded
}

type addressStream struct {
	use *streamUse
	n   int
}

// nobody stands for an address that takes nothing.
var nobody = &addressUse{}

func (a *addressUse) orNobody() *addressUse {
	if a == nil {
		return nobody
	}
	return a
}

// rate returns what the address's viewers cost together, in bit/s.
func (a *addressUse) rate() (sum int64) {
	for _, s := range a.streams {
		sum += int64(s.n) * s.use.rate
	}
	return sum
}

// watch adds n viewers or pumps of a stream.
func (a *addressUse) watch(u *streamUse, pump bool, n int) {
	if pump {
		a.pumps += n
		return
	}
	a.viewers += n
	i := slices.IndexFunc(a.streams, func(s addressStream) bool { return s.use == u })
	if i < 0 {
		a.streams = append(a.streams, addressStream{u, n})
		return
	}
	if a.streams[i].n += n; a.streams[i].n == 0 {
		a.streams = slices.Delete(a.streams, i, i+1)
	}
}

// address returns what is kept of an address.
func (l *Limits) address(p netip.Prefix) *addressUse {
	a := l.addresses[p]
	if a == nil {
		a = &addressUse{}
		l.addresses[p] = a
	}
	return a
}

// idleAddress is an address that takes nothing, and is kept for a second because the rate
// of its connections counts.
type idleAddress struct {
	prefix netip.Prefix
	until  int64 // ns
}

// forget drops an address that takes nothing any more, at once or when its last
// connections are a second old.
func (l *Limits) forget(p netip.Prefix) {
	a := l.addresses[p]
	if a == nil || a.viewers+a.pumps+a.connections > 0 {
		return
	}
	now := l.now()
	if a.arrivals.used(now) == 0 {
		delete(l.addresses, p)
		return
	}
	l.idle = append(l.idle, idleAddress{p, now + second})
}

// sweep forgets the addresses whose second is over.
func (l *Limits) sweep(now int64) {
	n := 0
	for n < len(l.idle) && l.idle[n].until <= now {
		n++
	}
	due := l.idle[:n]
	l.idle = l.idle[n:]
	for _, d := range due {
		if a := l.addresses[d.prefix]; a != nil && a.viewers+a.pumps+a.connections == 0 && a.arrivals.used(now) == 0 {
			delete(l.addresses, d.prefix)
		}
	}
	if len(l.idle) == 0 {
		l.idle = nil
	}
}

// customer is what counts as one remote address: an IPv4 address or an IPv6 /64,
// since whoever has one IPv6 address has that many.
func customer(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	bits := addr.BitLen()
	if addr.Is6() && !addr.IsLoopback() {
		bits = ipv6CustomerPrefixes
	}
	p, _ := addr.Prefix(bits)
	return p
}
