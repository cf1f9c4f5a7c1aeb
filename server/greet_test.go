package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// Headers of clients that are somewhere else; version 2 is spelled out, so that the test
// does not believe the library it tests.
const (
	proxy4 = "PROXY TCP4 203.0.113.1 192.0.2.1 4711 80\r\n"
	proxy6 = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n"
	v2Sign = "\r\n\r\n\x00\r\nQUIT\n"
)

var (
	proxyV24     = v2Sign + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x01" + "\xc0\x00\x02\x01" + "\x12\x67" + "\x00\x50"
	proxyV26     = v2Sign + "\x21\x21\x00\x24" + mapped("203.0.113.1") + mapped("192.0.2.1") + "\x12\x67" + "\x00\x50"
	proxyV2Local = v2Sign + "\x20\x00\x00\x00"
	proxyV2Long  = v2Sign + "\x21\x11\xff\xff"
	proxyV2Bad   = v2Sign + "\x21\x11\x00\x01x"
)

func mapped(s string) string {
	a := netip.AddrFrom16(netip.MustParseAddr(s).As16()).As16()
	return string(a[:])
}

var loopback = access.NewProxies(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))

// behindProxy is a world whose clients may be proxies.
func behindProxy(t *testing.T, p plan, proxies *access.Proxies) (*world, *worldtest.Log) {
	t.Helper()
	log := &worldtest.Log{}
	p.log = slog.New(slog.NewTextHandler(log, nil))
	p.settings.Proxies = proxies
	return newWorld(t, p), log
}

// doors are the ways in: an event loop, and a goroutine behind TLS, where a PROXY header
// comes before the handshake.
var doors = map[string]func(w *world, header string, cut int) (*client, error){
	"plain": func(w *world, header string, cut int) (*client, error) {
		c := w.dial()
		c.write(header[:cut])
		c.write(header[cut:])
		return c, nil
	},
	"TLS": func(w *world, header string, cut int) (*client, error) {
		if w.tlsA == "" {
			w.serveTLS()
		}
		conn, err := net.Dial("tcp", w.tlsA)
		if err != nil {
			return nil, err
		}
		w.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		for _, part := range []string{header[:cut], header[cut:]} {
			if _, err := io.WriteString(conn, part); err != nil {
				return nil, err
			}
		}
		tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		if err := tc.Handshake(); err != nil {
			return nil, err
		}
		return bareClient(w.TB, tc), nil
	},
}

// A trusted proxy says who is behind it, and that is who the viewer is.
func TestProxyNamesTheViewer(t *testing.T) {
	for name, dial := range doors {
		t.Run(name, func(t *testing.T) {
			w, log := behindProxy(t, plan{}, loopback)
			w.onAir().send(1)
			for header, want := range map[string]string{
				proxy4: "203.0.113.1:4711", proxy6: "[2001:db8::7]:4711", proxyV24: "203.0.113.1:4711", proxyV26: "203.0.113.1:4711",
				"": "", "PROXY UNKNOWN\r\n": "", proxyV2Local: "",
			} {
				for _, cut := range []int{0, 1, len(header) / 2, len(header) - 1} {
					c, err := dial(w, header, max(0, min(cut, len(header))))
					if err != nil {
						t.Fatal(err)
					}
					c.tape(play(oldAgent))
					worldtest.Eventually(t, "it watches", func() bool { return len(w.srv.Viewers(t.Context())) == 1 })
					want := cmp.Or(want, c.conn.LocalAddr().String())
					if v := w.srv.Viewers(t.Context()); v[0].Address != want {
						t.Errorf("%q cut at %d: the viewer is %s, want %s", header, cut, v[0].Address, want)
					}
					c.close()
					worldtest.Eventually(t, "it has left", func() bool { return w.stream.Viewers() == 0 })
				}
			}
			if log.Has("PROXY header refused") {
				t.Errorf("the log says\n%s", log)
			}
		})
	}
}

// A PROXY header from anybody else is an error, told to both sides; one that is broken
// closes the connection without a word. Nobody else notices.
func TestProxyHeaderIsRefused(t *testing.T) {
	nobody := access.NewProxies(netip.MustParsePrefix("192.0.2.0/24"))
	for name, c := range map[string]struct {
		proxies *access.Proxies
		header  string
		says    string
		status  int // 0: none
	}{
		"from a stranger":             {nobody, proxy4, "not in trusted_proxies", 400},
		"version 2, from a stranger":  {nobody, proxyV24, "not in trusted_proxies", 400},
		"where there are no proxies":  {nil, proxy4, "not in trusted_proxies", 400},
		"broken":                      {loopback, "PROXY TCP4 here there 1 2\r\n", "invalid address", 0},
		"without end":                 {loopback, "PROXY TCP4 " + strings.Repeat("1", 100), "longer than", 0},
		"version 2, broken":           {loopback, proxyV2Bad, "invalid length", 0},
		"version 2, longer than ever": {loopback, proxyV2Long, "longer than", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, log := behindProxy(t, plan{}, c.proxies)
			e := w.onAir()
			e.send(1)
			other := w.dial().tape(play(oldAgent))
			other.awaitPacket(t, 0)
			w.serveTLS()
			for door, addr := range map[string]string{"plain": w.addr, "TLS": w.tlsA} {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(conn, c.header)
				b, _ := io.ReadAll(conn)
				if want := fmt.Sprintf("HTTP/1.0 %d ", c.status); c.status == 0 && len(b) > 0 || c.status != 0 && !strings.HasPrefix(string(b), want) {
					t.Errorf("%s: answered %q", door, b)
				}
				_ = conn.Close()
			}
			worldtest.Eventually(t, "the log says why", func() bool { return log.Has("PROXY header refused", "address=127.0.0.1:", c.says) })
			e.send(1)
			other.awaitPacket(t, 1)
		})
	}
}

// A PROXY header has the time of a request's head.
func TestProxyHeaderIsLate(t *testing.T) {
	for _, begun := range []string{proxy4[:20], proxyV24[:14]} {
		for _, door := range []string{"plain", "TLS"} {
			w, log := behindProxy(t, plan{settings: Settings{HeadTimeout: 100 * time.Millisecond}}, loopback)
			addr := w.addr
			if door == "TLS" {
				w.serveTLS()
				addr = w.tlsA
			}
			worldtest.Eventually(t, door+": the log says why", func() bool { // the term may be over before the first byte is there
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(conn, begun)
				if b, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
					t.Errorf("%s: %q, %v", door, b, err)
				}
				return log.Has("PROXY header refused", "not finished in time")
			})
			w.shutdown()
		}
	}
}

// A PROXY header is the first thing on a connection or nothing.
func TestProxyHeaderBehindARequest(t *testing.T) {
	w, _ := behindProxy(t, plan{}, loopback)
	c := w.dial()
	if r := c.ask(ask("OPTIONS * HTTP/1.1")); r.status != 200 {
		t.Fatalf("%d", r.status)
	}
	if r := c.ask(proxy4 + "\r\n"); r.status == 200 {
		t.Error("it was taken")
	}
}

// The word of X-Forwarded-For is taken for each request by itself.
func TestForwardedForNamesTheViewer(t *testing.T) {
	for name, c := range map[string]struct {
		proxies      *access.Proxies
		header, line string
		want         string
	}{
		"a trusted proxy":                {loopback, "", "X-Forwarded-For: 127.0.0.1, 203.0.113.1, 127.0.0.9", "203.0.113.1:0"},
		"IPv4 in IPv6 form":              {loopback, "", "X-Forwarded-For: ::ffff:203.0.113.1", "203.0.113.1:0"},
		"IPv6":                           {loopback, "", "X-Forwarded-For: 2001:db8::7", "[2001:db8::7]:0"},
		"a stranger":                     {nil, "", "X-Forwarded-For: 203.0.113.1", ""},
		"a client behind a PROXY header": {loopback, proxyV24, "X-Forwarded-For: 8.8.8.8", "203.0.113.1:4711"},
		"a proxy behind a PROXY header":  {loopback, "PROXY TCP4 127.0.0.7 192.0.2.1 4711 80\r\n", "X-Forwarded-For: 8.8.8.8", "8.8.8.8:0"},
		"Forwarded is not read":          {loopback, "", "Forwarded: for=203.0.113.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := behindProxy(t, plan{}, c.proxies)
			w.onAir().send(1)
			v := w.dial()
			v.write(c.header)
			v.tape(strings.Replace(play(oldAgent), "\r\n\r\n", "\r\n"+c.line+"\r\n\r\n", 1))
			worldtest.Eventually(t, "it watches", func() bool { return len(w.srv.Viewers(t.Context())) == 1 })
			want := cmp.Or(c.want, v.conn.LocalAddr().String())
			if got := w.srv.Viewers(t.Context())[0].Address; got != want {
				t.Errorf("the viewer is %s, want %s", got, want)
			}
		})
	}
}

// Limits count who is behind the proxy.
func TestLimitsCountWhoIsBehindTheProxy(t *testing.T) {
	w, _ := behindProxy(t, plan{bounds: access.Bounds{ViewersPerAddress: 1}}, loopback)
	w.onAir().send(1)
	watch := func(header, line string) int {
		c := w.dial()
		c.write(header)
		return c.ask(strings.Replace(play(oldAgent), "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1)).status
	}
	for _, c := range []struct {
		header, line string
		want         int
	}{
		{proxy4, "", 200}, {proxy6, "", 200}, {proxyV26, "", 453}, {"", "X-Forwarded-For: ::ffff:203.0.113.1", 453},
		{"", "X-Forwarded-For: 203.0.113.2", 200}, {"", "X-Forwarded-For: 2001:db8::8", 453}, // of the same /64
	} {
		if got := watch(c.header, c.line); got != c.want {
			t.Errorf("%q %q: %d, want %d", c.header, c.line, got, c.want)
		}
	}
}

// An encoder behind a proxy is known by its own address, at both doors.
func TestProxyNamesTheEncoder(t *testing.T) {
	for name, dial := range doors {
		w, _ := behindProxy(t, plan{push: namedPush{}}, loopback)
		push := strings.Replace(post("", "X-Forwarded-For: 203.0.113.9"), "/x ", "/x_push ", 1)
		for header, want := range map[string]string{"": "203.0.113.9:0 ", proxyV24: "203.0.113.1:4711 203.0.113.1:4711"} {
			c, err := dial(w, header, 0)
			if err != nil {
				t.Fatal(err)
			}
			if header == "" {
				want += c.conn.LocalAddr().String()
			}
			if r := c.ask(push); string(r.body) != want {
				t.Errorf("%s, %q: %q, want %q", name, header, r.body, want)
			}
		}
		w.shutdown()
	}
}
