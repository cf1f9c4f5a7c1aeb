package access

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the machines whose word is taken on who is behind them: load balancers,
// reverse proxies, tunnels. It is immutable; a nil *Proxies trusts nobody.
type Proxies struct{ networks Networks }

// NewProxies trusts the addresses in the given networks.
func NewProxies(networks ...netip.Prefix) *Proxies {
	return &Proxies{networks: NewNetworks(networks...)}
}

// Trusts tells whether addr is one of the proxies.
func (p *Proxies) Trusts(addr netip.Addr) bool {
	return p != nil && addr.IsValid() && p.networks.Contains(addr)
}

// maxHops is how many proxies in a row are followed. A request that came by way of more is
// taken as sent by the last one that was.
const maxHops = 16

// Client returns who sent a request that came over a connection from peer: peer itself,
// unless that is a trusted proxy and the request's X-Forwarded-For says more. The list is
// read from its end, each address by the word of the one behind it: the first that is no
// trusted proxy is the client, whatever stands before it, which the client may have
// written. What cannot be read ends the search. A port that is not told is 0. Forwarded
// (RFC 7239) is not read: a proxy that sets one of the two headers hands the other one
// through as the client sent it.
func (p *Proxies) Client(peer netip.AddrPort, h http.Header) netip.AddrPort {
	if !p.Trusts(peer.Addr()) {
		return peer
	}
	said := h["X-Forwarded-For"]
	for range maxHops {
		hop, ok := lastHop(&said)
		if !ok {
			return peer
		}
		if peer = hop; !p.Trusts(hop.Addr()) {
			return peer
		}
	}
	return peer
}

// lastHop takes the last address off the lists.
func lastHop(lists *[]string) (netip.AddrPort, bool) {
	for n := len(*lists); n > 0; n-- {
		list, rest := (*lists)[n-1], []string(nil)
		text := list
		if i := strings.LastIndexByte(list, ','); i >= 0 {
			text, rest = list[i+1:], []string{list[:i]}
		}
		*lists = append((*lists)[:n-1:n-1], rest...)
		if text = strings.TrimSpace(text); text != "" {
			return parseHop(text)
		}
		if rest != nil { // an empty place in a list
			n++
		}
	}
	return netip.AddrPort{}, false
}

// parseHop reads an address as proxies write it: with or without port, IPv6 in brackets or
// not, sometimes in quotes.
func parseHop(s string) (netip.AddrPort, bool) {
	s = strings.Trim(s, `"`)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return normal(ap), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return normal(netip.AddrPortFrom(a, 0)), true
}

// normal is the address in the one form that rules, limits and logs know: IPv4 where it is
// an IPv4 address in IPv6 form, and without a zone, which means something on the machine
// that wrote it only.
func normal(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
