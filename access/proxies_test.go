package access

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestProxiesClient(t *testing.T) {
	p := NewProxies(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("::ffff:192.0.2.1/128"))
	const client, proxy = "198.51.100.7:4711", "10.0.0.1:80"
	for name, c := range map[string]struct {
		peer  string
		lines []string
		want  string
	}{
		"nobody in between":                           {client, nil, client},
		"a stranger's word is not taken":              {client, []string{"203.0.113.1"}, client},
		"a proxy without a word speaks for itself":    {proxy, nil, proxy},
		"a proxy's word":                              {proxy, []string{"203.0.113.1"}, "203.0.113.1:0"},
		"what the client wrote itself does not count": {proxy, []string{"127.0.0.1, 203.0.113.1"}, "203.0.113.1:0"},
		"several proxies":                             {proxy, []string{"1.1.1.1, 203.0.113.1, 10.9.9.9, 2001:db8:1::5"}, "203.0.113.1:0"},
		"in several lines":                            {proxy, []string{"1.1.1.1", "203.0.113.1", "10.9.9.9"}, "203.0.113.1:0"},
		"nothing but proxies":                         {proxy, []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3:0"},
		"with a port":                                 {proxy, []string{"203.0.113.1:99"}, "203.0.113.1:99"},
		"IPv6":                                        {proxy, []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		"IPv6 in brackets":                            {proxy, []string{"[2001:db8::7]"}, "[2001:db8::7]:0"},
		"IPv6 with a port":                            {proxy, []string{"[2001:db8::7]:99"}, "[2001:db8::7]:99"},
		"IPv6 in quotes":                              {proxy, []string{`"[2001:db8::7]:99"`}, "[2001:db8::7]:99"},
		"IPv4 in IPv6 form":                           {proxy, []string{"::ffff:203.0.113.1"}, "203.0.113.1:0"},
		"a zone of another machine":                   {proxy, []string{"fe80::1%eth0"}, "[fe80::1]:0"},
		"a proxy over IPv6":                           {"[2001:db8:1::1]:80", []string{"203.0.113.1"}, "203.0.113.1:0"},
		"a proxy given in IPv6 form":                  {"192.0.2.1:80", []string{"203.0.113.1"}, "203.0.113.1:0"},
		"what cannot be read ends the search":         {proxy, []string{"203.0.113.1, unknown"}, proxy},
		"behind what could":                           {proxy, []string{"203.0.113.1, unknown, 10.1.1.1"}, "10.1.1.1:0"},
		"empty places":                                {proxy, []string{" ,203.0.113.1, ,,", ""}, "203.0.113.1:0"},
		"nothing but commas":                          {proxy, []string{",,,"}, proxy},
		"far too many":                                {proxy, []string{"203.0.113.1," + strings.Repeat("10.1.1.1,", 100)}, "10.1.1.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"X-Forwarded-For": c.lines}
			before := strings.Join(c.lines, "|")
			if got := p.Client(netip.MustParseAddrPort(c.peer), h).String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if strings.Join(h["X-Forwarded-For"], "|") != before {
				t.Error("the header was changed")
			}
		})
	}
	var nobody *Proxies
	if got := nobody.Client(netip.MustParseAddrPort(proxy), http.Header{"X-Forwarded-For": {"203.0.113.1"}}); got.String() != proxy {
		t.Errorf("without proxies: %s", got)
	}
	if p.Trusts(netip.Addr{}) {
		t.Error("who has no address is trusted")
	}
}
