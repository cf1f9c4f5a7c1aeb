package e2e

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// front is one way through HAProxy to the pump.
type front struct {
	name   string
	lines  string // of its listen section; %d is the port at which it listens
	from   string // the client's address
	at     string // where the client finds it
	secure bool
	want   string // how the pump calls the client; "": by its address and port
}

// haproxy runs the real program with the fronts and returns their ports.
func haproxy(t *testing.T, fronts []front) (ports []int) {
	t.Helper()
	need(t, "haproxy")
	text := "global\n  maxconn 100\ndefaults\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
	for i, f := range fronts {
		port := freePort(t)
		text += fmt.Sprintf("listen front%d\n%s", i, fmt.Sprintf(f.lines, port))
		ports = append(ports, port)
	}
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "haproxy", exec.Command("haproxy", "-db", "-f", config))
	for i, f := range fronts {
		awaitPortAt(t, p, f.at, ports[i])
	}
	return ports
}

// HAProxy in front tells who its clients are, by either version of the PROXY protocol or by X-Forwarded-For, over IPv4
// and IPv6 and with the pump's TLS behind it; an IPv4 client at a dual-stack port of HAProxy is an IPv4 client.
func TestHAProxyNamesItsClients(t *testing.T) {
	need(t, "haproxy")
	needIPv6(t)
	t.Parallel()
	cert, key := certificate(t)
	plain, secure := freePort(t), freePort(t)
	pump := Pump(t, fmt.Sprintf("ssl: true\nssl_port: %d\nssl_key: %s\nssl_cert: %s\ntrusted_proxies: [127.0.0.1, \"::1\"]\nstreams:\n  - {name: Card, type: test_card, path: card}",
		secure, key, cert), fmt.Sprintf("STREAM_PUMP_LISTEN=:%d", plain))
	pump.WaitState(t, "card", "live", 10*time.Second)
	tcp := func(bind, server, how string, port int) string {
		return fmt.Sprintf("  mode tcp\n  bind %s\n  server pump %s:%d %s\n", bind, server, port, how)
	}
	fronts := []front{
		{"version 1", tcp("127.0.0.1:%d", "127.0.0.1", "send-proxy", plain), "127.0.0.77", "127.0.0.1", false, ""},
		{"version 1, IPv6", tcp("[::1]:%d", "[::1]", "send-proxy", plain), "::1", "::1", false, ""},
		{"version 2", tcp("127.0.0.1:%d", "[::1]", "send-proxy-v2", plain), "127.0.0.77", "127.0.0.1", false, ""},
		{"version 2, dual stack", tcp("[::]:%d v4v6", "127.0.0.1", "send-proxy-v2", plain), "127.0.0.77", "127.0.0.1", false, ""},
		{"version 2, TLS behind it", tcp("127.0.0.1:%d", "[::1]", "send-proxy-v2", secure), "127.0.0.77", "127.0.0.1", true, ""},
		{"X-Forwarded-For", fmt.Sprintf("  mode http\n  bind 127.0.0.1:%%d\n  option forwardfor\n  server pump [::1]:%d\n", plain), "127.0.0.77", "127.0.0.1", false, "127.0.0.77:0"},
	}
	for i, port := range haproxy(t, fronts) {
		f := fronts[i]
		t.Run(f.name, func(t *testing.T) {
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.from)}}
			viewer, err := joinRawAt(dialer, f.at, port, "card", f.secure)
			if err != nil {
				t.Fatal(err)
			}
			defer viewer.close()
			if _, err := viewer.next(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			var list []struct{ Address string }
			pump.get(t, "/api/v1/viewers", &list)
			if want := cmp.Or(f.want, viewer.conn.LocalAddr().String()); len(list) != 1 || list[0].Address != want {
				t.Errorf("viewers %+v, want one from %s", list, want)
			}
			viewer.close()
			eventually(t, 20*time.Second, "it has left", func() bool {
				list = nil
				pump.get(t, "/api/v1/viewers", &list)
				return len(list) == 0
			})
		})
	}
}

// OpenSSL, which speaks older versions still, is refused with them, and served with newer ones.
func TestTLSVersions(t *testing.T) {
	need(t, "openssl")
	t.Parallel()
	_, port, _ := securePump(t)
	for version, served := range map[string]bool{"-tls1": false, "-tls1_1": false, "-tls1_2": true, "-tls1_3": true} {
		cmd := exec.Command("openssl", "s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), version, "-cipher", "DEFAULT:@SECLEVEL=0")
		cmd.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null") // Debian's leaves older versions out
		out, err := cmd.CombinedOutput()
		switch {
		case served && (err != nil || !strings.Contains(string(out), "Verify return code")):
			t.Errorf("%s: %v\n%s", version, err, out)
		case !served && (err == nil || !strings.Contains(string(out), "alert protocol version")):
			t.Errorf("%s is not refused for its version: %v\n%s", version, err, out)
		}
	}
}
