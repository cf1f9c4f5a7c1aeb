package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// needIPv6 skips the test where there is no IPv6 at all.
func needIPv6(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		_ = ln.Close()
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no IPv6 here: %v", err)
	}
	t.Skipf("no IPv6 here: %v", err)
}

// The whole way over IPv6 alone: an encoder pushes, another pump pulls (straight, through a real HTTP proxy by plain
// GET, and by CONNECT with TLS), players play, and addresses come out right in play lists, rules, the API and the log.
func TestIPv6(t *testing.T) {
	need(t, "ffmpeg", "vlc", "tinyproxy")
	needIPv6(t)
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	dir := t.TempDir()
	authority := certtest.NewAuthority(t, "authority")
	cert, key := certtest.Write(t, dir, authority.Issue(t, certtest.Spec{}))
	port, secure := freePort(t), freePort(t)
	first := Pump(t, fmt.Sprintf(`
ssl: true
ssl_port: %d
ssl_key: %s
ssl_cert: %s
streams:
  - {name: Push, type: mmsh_push, path: push, publish: {allow: ["::1"]}, play: {allow: ["::/0"]}}
  - {name: Shut, type: test_card, path: shut, play: {deny: ["::1/128"]}}
  - {name: None, type: mmsh_push, path: none, publish: {allow: ["2001:db8::/32"]}}`, secure, key, cert), fmt.Sprintf("STREAM_PUMP_LISTEN=[::1]:%d", port))
	base := fmt.Sprintf("//[::1]:%d/streams/", port)
	defer FFmpegPush(t, file, "http:"+base+"push_push", "asf")()
	first.WaitState(t, "push", "live", 15*time.Second)

	at, log := tinyproxy(t, "::1", secure)
	second := freePort(t)
	relay := Pump(t, fmt.Sprintf(`
http_proxy_host: "::1"
http_proxy_port: %d
use_proxy_for_local_addresses: true
streams:
  - {name: Straight, type: mmsh_pull, path: straight, source_options: {host: "::1", port: %d, path: /streams/push}}
  - {name: GET, type: mmsh_pull, path: get, proxy: true, sources: [{url: "mmsh:%s"}]}
  - {name: CONNECT, type: mmsh_pull, path: connect, proxy: true, sources: [{url: "https://[::1]:%d/streams/push"}]}`,
		at, port, base+"push", secure), fmt.Sprintf("STREAM_PUMP_LISTEN=:%d", second), "SSL_CERT_FILE="+certtest.WriteFile(t, dir, "ca.pem", authority.PEM()))
	for _, path := range []string{"straight", "get", "connect"} {
		relay.WaitState(t, path, "live", 15*time.Second)
	}
	for _, want := range []string{fmt.Sprintf("GET http:%spush", base), fmt.Sprintf("CONNECT [::1]:%d", secure)} {
		if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the proxy was not asked to %s: %v\n%s", want, err, text)
		}
	}
	url := fmt.Sprintf("mmsh://[::1]:%d/streams/", second)
	get, connect := audience(t, url+"get"), audience(t, url+"connect")
	defer get()
	defer connect()

	asked := func(address string) (status int, text string) {
		answer, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		all, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(all)
	}
	if status, list := asked("http:" + base + "push.asx"); status != 200 || !strings.Contains(list, `"mms:`+base+`push"`) || !strings.Contains(list, `"http:`+base+"push?") {
		t.Errorf("the play list: %d\n%s", status, list)
	}
	if status, text := asked("http:" + base + "shut"); status != http.StatusForbidden {
		t.Errorf("a network that is denied: %d %s", status, text)
	}
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-c", "copy", "-f", "asf_stream", "-method", "POST", "http:"+base+"none_push").CombinedOutput(); err == nil {
		t.Errorf("pushed from a network that is not allowed: %s", out)
	}
	first.eventuallySaid(t, "push refused", "[::1]:")
	var list []struct{ Address, Stream string }
	first.get(t, "/api/v1/viewers", &list)
	if len(list) < 3 {
		t.Errorf("%d viewers, want the three of the other pump", len(list))
	}
	for _, v := range list {
		if host, _, err := net.SplitHostPort(v.Address); err != nil || host != "::1" {
			t.Errorf("a viewer from %q", v.Address)
		}
	}
	var mapped []struct{ Address string }
	four, err := joinRaw(second, "straight", false) // IPv4 at the same dual-stack port
	if err != nil {
		t.Fatal(err)
	}
	defer four.close()
	relay.get(t, "/api/v1/viewers", &mapped)
	for _, v := range mapped {
		if strings.Contains(v.Address, "ffff:") {
			t.Errorf("a viewer from %q, want it as IPv4", v.Address)
		}
	}
}
