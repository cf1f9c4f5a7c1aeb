package access

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 is a header of version 2.
func v2(t testing.TB, command proxyproto.ProtocolVersionAndCommand, family proxyproto.AddressFamilyAndProtocol, from, to net.Addr, tlvs ...proxyproto.TLV) string {
	t.Helper()
	h := proxyproto.Header{Version: 2, Command: command, TransportProtocol: family, SourceAddr: from, DestinationAddr: to}
	if err := h.SetTLVs(tlvs); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tcp(s string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func v2TCP4(t testing.TB) string {
	return v2(t, proxyproto.PROXY, proxyproto.TCPv4, tcp("203.0.113.1:4711"), tcp("192.0.2.1:80"))
}

func TestProxyHeader(t *testing.T) {
	unix := func(s string) net.Addr { return &net.UnixAddr{Net: "unix", Name: s} }
	for name, c := range map[string]struct{ header, client string }{
		"1, IPv4":                        {"PROXY TCP4 203.0.113.1 192.0.2.1 4711 80\r\n", "203.0.113.1:4711"},
		"1, IPv6":                        {"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "[2001:db8::7]:4711"},
		"1, IPv4 in IPv6 form":           {"PROXY TCP6 ::ffff:203.0.113.1 ::ffff:192.0.2.1 4711 80\r\n", "203.0.113.1:4711"},
		"1, mixed as nginx writes it":    {"PROXY TCP6 203.0.113.1 2001:db8::1 4711 80\r\n", "203.0.113.1:4711"},
		"1, unknown":                     {"PROXY UNKNOWN\r\n", ""},
		"1, unknown with something":      {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		"2, IPv4":                        {v2TCP4(t), "203.0.113.1:4711"},
		"2, IPv6":                        {v2(t, proxyproto.PROXY, proxyproto.TCPv6, tcp("[2001:db8::7]:4711"), tcp("[2001:db8::1]:80")), "[2001:db8::7]:4711"},
		"2, IPv4 in IPv6 form":           {v2(t, proxyproto.PROXY, proxyproto.TCPv6, tcp("[::ffff:203.0.113.1]:4711"), tcp("[2001:db8::1]:80")), "203.0.113.1:4711"},
		"2, with additions":              {v2(t, proxyproto.PROXY, proxyproto.TCPv4, tcp("203.0.113.1:4711"), tcp("192.0.2.1:80"), proxyproto.TLV{Type: 2, Value: []byte("pump.example.org")}), "203.0.113.1:4711"},
		"2, local":                       {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", ""},
		"2, local, with addresses":       {strings.Replace(v2TCP4(t), "\x21\x11", "\x20\x11", 1), ""},
		"2, of a local socket":           {v2(t, proxyproto.PROXY, proxyproto.UnixStream, unix("/run/a"), unix("/run/b")), ""},
		"2, of a datagram (no TCP peer)": {v2(t, proxyproto.PROXY, proxyproto.UDPv4, &net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 1}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			whole := []byte(c.header + "GET / HTTP/1.0\r\n\r\n")
			for n := range len(c.header) { // however it is cut
				if n > 0 && SniffProxyHeader(whole[:n]) == SniffOther {
					t.Fatalf("the first %d bytes are taken for something else", n)
				}
				if SniffProxyHeader(whole[:n]) != SniffProxy {
					continue
				}
				if client, length, err := ParseProxyHeader(whole[:n]); client.IsValid() || length != 0 || err != nil {
					t.Fatalf("the first %d bytes: %v, %d, %v", n, client, length, err)
				}
			}
			client, length, err := ParseProxyHeader(whole)
			got := ""
			if client.IsValid() {
				got = client.String()
			}
			if err != nil || length != len(c.header) || got != c.client {
				t.Errorf("%q, %d bytes, %v; want %q, %d bytes", got, length, err, c.client, len(c.header))
			}
		})
	}
}

func TestProxyHeaderRefused(t *testing.T) {
	for name, header := range map[string]string{
		"1, no address":            "PROXY TCP4 here there 1 2\r\n",
		"1, wrong family":          "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
		"1, port":                  "PROXY TCP4 203.0.113.1 192.0.2.1 65536 80\r\n",
		"1, nothing":               "PROXY \r\n",
		"1, something else":        "PROXY HTTP/1.1\r\n",
		"1, bare line feed":        "PROXY TCP4 203.0.113.1 192.0.2.1 4711 80\n",
		"1, too long":              "PROXY TCP4 " + strings.Repeat("1", 200),
		"1, too long and ended":    "PROXY UNKNOWN " + strings.Repeat("1", 200) + "\r\n",
		"2, version 3":             strings.Replace(v2TCP4(t), "\x21", "\x31", 1),
		"2, unknown command":       strings.Replace(v2TCP4(t), "\x21", "\x22", 1),
		"2, unknown family":        strings.Replace(v2TCP4(t), "\x21\x11", "\x21\x14", 1),
		"2, address too short":     "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04\x01\x02\x03\x04",
		"2, longer than anybody's": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
		"2, longer than it may be": "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x10\x01",
	} {
		t.Run(name, func(t *testing.T) {
			if client, length, err := ParseProxyHeader([]byte(header)); err == nil || client.IsValid() || length != 0 {
				t.Errorf("%v, %d, %v", client, length, err)
			}
		})
	}
	if _, _, err := ParseProxyHeader([]byte("PROXY " + strings.Repeat("x", 200))); !errors.Is(err, errProxyLong) {
		t.Error(err)
	}
}

func TestSniffProxyHeader(t *testing.T) {
	for text, want := range map[string]Sniff{
		"": SniffMore, "P": SniffMore, "PROXY": SniffMore, "PROXY ": SniffProxy, "PROXY TCP4": SniffProxy,
		"POST": SniffOther, "PRO": SniffMore, "PROP": SniffOther, "GET / HTTP/1.0": SniffOther, "proxy ": SniffOther,
		"\r\n": SniffMore, "\r\n\r\n": SniffMore, "\r\nGET": SniffOther, "\r\n\r\n\x00\r\nQUIT\n": SniffProxy, "\x16\x03\x01": SniffOther,
	} {
		if got := SniffProxyHeader([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// Whatever a connection begins with, reading it ends, takes no more than there is and no
// more than it may, and says an address in one form only.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 203.0.113.1 192.0.2.1 4711 80\r\nGET", "PROXY TCP6 ::ffff:203.0.113.1 ::1 1 2\r\n", "PROXY UNKNOWN\r\n",
		v2TCP4(f) + "x", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", "PROXY \n", "GET / HTTP/1.0\r\n\r\n",
		v2(f, proxyproto.PROXY, proxyproto.TCPv6, tcp("[::ffff:203.0.113.1]:4711"), tcp("[2001:db8::1]:80"), proxyproto.TLV{Type: 4, Value: make([]byte, 300)}),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if SniffProxyHeader(b) != SniffProxy {
			return
		}
		before := bytes.Clone(b)
		client, length, err := ParseProxyHeader(b)
		if length < 0 || length > min(len(b), MaxProxyHeader) || err != nil && length != 0 {
			t.Fatalf("%d of %d bytes, %v", length, len(b), err)
		}
		if length == 0 && err == nil && len(b) >= MaxProxyHeader {
			t.Fatal("it wants still more")
		}
		if client.IsValid() && (length == 0 || client.Addr().Is4In6() || client.Addr().Zone() != "") {
			t.Fatalf("client %v", client)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the bytes were changed")
		}
	})
}

// Whatever a proxy writes, the client is one address in its normal form, and the header
// stays as it is.
func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{"203.0.113.1, 10.0.0.1", `"[2001:db8::1]:99"`, "unknown", ",,", "::ffff:203.0.113.1", "fe80::1%eth0, 10.1.1.1", "10.0.0.1,10.0.0.2 , 1.1.1.1:80"} {
		f.Add(s, s)
	}
	p := NewProxies(netip.MustParsePrefix("10.0.0.0/8"))
	peer := netip.MustParseAddrPort("10.0.0.9:1")
	f.Fuzz(func(t *testing.T, a, b string) {
		h := map[string][]string{"X-Forwarded-For": {a, b}}
		c := p.Client(peer, h)
		if !c.IsValid() || c.Addr().Is4In6() || c.Addr().Zone() != "" {
			t.Fatalf("client %v", c)
		}
		if l := h["X-Forwarded-For"]; len(l) != 2 || l[0] != a || l[1] != b {
			t.Fatalf("the header is now %q", l)
		}
	})
}
