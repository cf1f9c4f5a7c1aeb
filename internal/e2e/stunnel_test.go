package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// stunnel runs the real program with one service, and waits until it listens. It speaks plain to whoever connects to the
// returned port, or TLS if the service says so.
func stunnel(t *testing.T, service string) (p *process, port int) {
	t.Helper()
	need(t, "stunnel4")
	port = freePort(t)
	config := filepath.Join(t.TempDir(), "stunnel.conf")
	text := fmt.Sprintf("foreground = yes\npid =\nsyslog = no\ndebug = info\n[pump]\naccept = 127.0.0.1:%d\n%s", port, service)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, "stunnel", exec.Command("stunnel4", config))
	awaitPort(t, p, port)
	return p, port
}

// tinyproxy runs the real HTTP proxy at a loopback address, which allows tunnels to the given port only.
// It writes what it is asked for into the file log.
func tinyproxy(t *testing.T, host string, to int) (port int, log string) {
	t.Helper()
	need(t, "tinyproxy")
	port = freePort(t)
	dir := t.TempDir()
	config, log := filepath.Join(dir, "tinyproxy.conf"), filepath.Join(dir, "log")
	text := fmt.Sprintf("Port %d\nListen %s\nTimeout 600\nMaxClients 20\nAllow %[2]s\nConnectPort %[3]d\nLogLevel Connect\nLogFile %q\n", port, host, to, log)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitPortAt(t, start(t, "tinyproxy", exec.Command("tinyproxy", "-d", "-c", config)), host, port)
	return port, log
}

func awaitPort(t *testing.T, p *process, port int) {
	t.Helper()
	awaitPortAt(t, p, "127.0.0.1", port)
}

func awaitPortAt(t *testing.T, p *process, host string, port int) {
	t.Helper()
	eventually(t, 10*time.Second, p.name+" listens", func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), time.Second)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// tunnelledPump is a pump that takes pushes from loopback over TLS; keys are more of its settings.
type tunnelledPump struct {
	*PumpProc
	secure int    // its TLS port
	ca     string // file of the authority of its certificate
}

func startTunnelledPump(t *testing.T, keys string) *tunnelledPump {
	t.Helper()
	dir := t.TempDir()
	authority := certtest.NewAuthority(t, "pump's authority")
	cert, key := certtest.Write(t, dir, authority.Issue(t, certtest.Spec{Name: "pump"}))
	p := &tunnelledPump{secure: freePort(t), ca: certtest.WriteFile(t, dir, "ca.pem", authority.PEM())}
	p.PumpProc = Pump(t, fmt.Sprintf("ssl: true\nssl_port: %d\nssl_key: %s\nssl_cert: %s\n%s\nstreams:\n  - {name: Push, type: mmsh_push, path: push}", p.secure, key, cert, keys))
	return p
}

// client is a stunnel service that brings plain connections to the pump's TLS port, and believes only its certificate.
func (p *tunnelledPump) client(more string) string {
	return fmt.Sprintf("client = yes\nconnect = 127.0.0.1:%d\nCAfile = %s\nverifyChain = yes\ncheckIP = 127.0.0.1\n%s", p.secure, p.ca, more)
}

// carries pushes with a real encoder that knows nothing of TLS, by way of the port, and plays what comes out.
func (p *tunnelledPump) carries(t *testing.T, file string, port int) {
	t.Helper()
	stop := FFmpegPush(t, file, fmt.Sprintf("http://127.0.0.1:%d/streams/push_push", port), "asf")
	defer stop()
	p.WaitState(t, "push", "live", 15*time.Second)
	const packets = 60
	frames := watchRaw(t, p.Port, "push", false, 20*time.Second, func(f []rawFrame) bool { return len(f) > packets })
	if len(frames) > packets && (frames[0].kind != 'H' || !keyFrames(t, frames[0].payload)(frames[1])) {
		t.Errorf("a viewer's stream begins with $%c and no key frame", frames[0].kind)
	}
}

// An encoder that speaks no TLS pushes through stunnel to the pump's TLS port, straight or by way of an HTTP proxy that
// allows CONNECT, with or without a certificate of its own.
func TestStunnelCarriesAnEncoder(t *testing.T) {
	need(t, "ffmpeg", "stunnel4", "tinyproxy")
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	t.Run("straight", func(t *testing.T) {
		t.Parallel()
		p := startTunnelledPump(t, "")
		_, port := stunnel(t, p.client(""))
		p.carries(t, file, port)
	})
	t.Run("through an HTTP proxy", func(t *testing.T) {
		t.Parallel()
		p := startTunnelledPump(t, "")
		at, log := tinyproxy(t, "127.0.0.1", p.secure)
		service := strings.Replace(p.client(""), fmt.Sprintf("connect = 127.0.0.1:%d", p.secure),
			fmt.Sprintf("connect = 127.0.0.1:%d\nprotocol = connect\nprotocolHost = 127.0.0.1:%d", at, p.secure), 1)
		_, port := stunnel(t, service)
		p.carries(t, file, port)
		if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), fmt.Sprintf("CONNECT 127.0.0.1:%d", p.secure)) {
			t.Errorf("the proxy was passed by: %v\n%s", err, text)
		}
	})
	t.Run("with a certificate", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		encoders := certtest.NewAuthority(t, "encoders")
		cert, key := certtest.Write(t, dir, encoders.Issue(t, certtest.Spec{Name: "encoder"}))
		p := startTunnelledPump(t, "ssl_client_certificate: require\nssl_client_ca: "+certtest.WriteFile(t, dir, "ca.pem", encoders.PEM()))
		stranger, without := stunnel(t, p.client(""))
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", without)); err == nil {
			_ = c.SetDeadline(time.Now().Add(slack * 10 * time.Second))
			_, _ = c.Write([]byte("GET /streams/push HTTP/1.0\r\n\r\n"))
			if n, _ := c.Read(make([]byte, 1)); n > 0 {
				t.Error("answered without a certificate")
			}
			_ = c.Close()
		}
		eventually(t, 10*time.Second, "stunnel without a certificate is turned away", func() bool {
			return len(stranger.said(func(l string) bool { return strings.Contains(l, "certificate required") })) > 0
		})
		_, port := stunnel(t, p.client(fmt.Sprintf("cert = %s\nkey = %s\n", cert, key)))
		p.carries(t, file, port)
	})
}

// stunnel in front of the plain port brings TLS viewers, and says by the PROXY protocol who they are.
func TestStunnelNamesItsClients(t *testing.T) {
	need(t, "stunnel4")
	t.Parallel()
	dir := t.TempDir()
	cert, key := certtest.Write(t, dir, certtest.NewAuthority(t, "front").Issue(t, certtest.Spec{}))
	for trusted, want := range map[string]string{"[127.0.0.1]": "127.0.0.77", "[192.0.2.1]": ""} {
		pump := Pump(t, "trusted_proxies: "+trusted+"\nstreams:\n  - {name: Card, type: test_card, path: card}")
		pump.WaitState(t, "card", "live", 10*time.Second)
		_, port := stunnel(t, fmt.Sprintf("connect = 127.0.0.1:%d\nprotocol = proxy\ncert = %s\nkey = %s\n", pump.Port, cert, key))
		viewer, err := joinRawBy(&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}, port, "card", true)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "400") {
				t.Errorf("a PROXY header of a stranger: %v, want an answer 400", err)
			}
			pump.eventuallySaid(t, "PROXY header refused", "not in trusted_proxies")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer viewer.close()
		if _, err := viewer.next(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		var list []struct{ Address string }
		pump.get(t, "/api/v1/viewers", &list)
		if len(list) != 1 || !strings.HasPrefix(list[0].Address, want+":") {
			t.Errorf("viewers %+v, want one from %s", list, want)
		}
	}
}
