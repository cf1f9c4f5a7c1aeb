package access

import (
	"net/netip"
	"testing"
)

// FuzzNetworks: what reads as a network holds its own address, in each of its spellings, and reads
// the same when it is written again.
func FuzzNetworks(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:10.0.0.1/104", "::ffff:10.0.0.1", "fe80::1%eth0", "0.0.0.0/0", "::/0", "10.1.2.3/33", " ::1 ", "/8", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrefix(s)
		if err != nil {
			return
		}
		list := NewNetworks(p)
		if !p.IsValid() || list.Len() != 1 {
			t.Fatalf("%q is the network %v", s, p)
		}
		addr := p.Addr()
		if wide := p.Bits() < 96; !list.Contains(addr) && !(wide && addr.Is4In6()) {
			t.Fatalf("%v is not in %v", addr, p)
		}
		if addr.Is4() && !list.Contains(netip.AddrFrom16(addr.As16())) {
			t.Fatalf("%v in the form of IPv6 is not in %v", addr, p)
		}
		if again, err := ParsePrefix(p.String()); err != nil || again != p {
			t.Fatalf("%v is read again as %v: %v", p, again, err)
		}
	})
}
