package access

import (
	"net/netip"
	"testing"
)

func TestNetworks(t *testing.T) {
	n, err := ParseNetworks("10.1.2.3/8", " 192.0.2.7", "2001:db8::/32", "::ffff:172.16.0.0/108")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false, "::ffff:10.0.0.1": true,
		"2001:db8::1": true, "2001:db9::1": false, "2001:db8::1%eth0": true, "172.20.0.1": true, "::1": false,
	} {
		if got := n.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if n.Contains(netip.Addr{}) || n.Len() != 4 || NewNetworks(netip.Prefix{}).Len() != 0 {
		t.Error("an address or network that is none counts")
	}
	for _, bad := range []string{"", "office", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0", "fe80::1%eth0", "1.2.3.4:80", "/8"} {
		if _, err := ParseNetworks(bad); err == nil {
			t.Errorf("%q is taken for a network", bad)
		}
	}
}

func TestRules(t *testing.T) {
	lan, _ := ParseNetworks("10.0.0.0/8")
	one, _ := ParseNetworks("10.0.0.1")
	for _, c := range []struct {
		name  string
		rules Rules
		addr  string
		want  bool
	}{
		{"none", Rules{}, "10.0.0.1", true},
		{"allowed", Rules{Allow: lan}, "10.0.0.1", true},
		{"not allowed", Rules{Allow: lan}, "11.0.0.1", false},
		{"denied", Rules{Deny: one}, "10.0.0.1", false},
		{"not denied", Rules{Deny: one}, "10.0.0.2", true},
		{"allowed and denied", Rules{Allow: lan, Deny: one}, "10.0.0.1", false},
		{"allowed, another denied", Rules{Allow: lan, Deny: one}, "10.0.0.2", true},
	} {
		if got := c.rules.Permits(netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if !(Rules{}).Permits(netip.Addr{}) || (Rules{Deny: one}).Permits(netip.Addr{}) {
		t.Error("no address")
	}
}
