package access

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks is a list of networks. It is immutable; the zero value is empty.
type Networks struct{ prefixes []netip.Prefix }

// NewNetworks returns the list of the given prefixes, host bits ignored.
func NewNetworks(prefixes ...netip.Prefix) Networks {
	list := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.IsValid() {
			list = append(list, unmapPrefix(p).Masked())
		}
	}
	return Networks{prefixes: list}
}

// ParseNetworks parses CIDRs ("10.0.0.0/8", "2001:db8::/32") and single addresses.
func ParseNetworks(list ...string) (Networks, error) {
	var prefixes []netip.Prefix
	for _, s := range list {
		p, err := ParsePrefix(s)
		if err != nil {
			return Networks{}, err
		}
		prefixes = append(prefixes, p)
	}
	return NewNetworks(prefixes...), nil
}

// ParsePrefix parses one CIDR, or one address as the network of that address alone.
func ParsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no network and no address", s)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network in CIDR form", s)
	}
	return p, nil
}

// unmapPrefix turns ::ffff:a.b.c.d/n into a.b.c.d/(n-96).
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Len returns the number of networks.
func (n Networks) Len() int { return len(n.prefixes) }

// Contains reports whether addr is in one of the networks. IPv4 addresses in IPv6
// form are the IPv4 addresses they are; zones do not matter.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range n.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Rules allow and deny. Deny wins; an empty Allow allows everyone not denied.
type Rules struct{ Allow, Deny Networks }

// Permits reports whether addr may come in. An invalid addr may not, unless there
// are no rules at all.
func (r Rules) Permits(addr netip.Addr) bool {
	if r.Deny.Len() == 0 && r.Allow.Len() == 0 {
		return true
	}
	if !addr.IsValid() || r.Deny.Contains(addr) {
		return false
	}
	return r.Allow.Len() == 0 || r.Allow.Contains(addr)
}
