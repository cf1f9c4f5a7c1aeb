package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// nginx runs the real program, with what docs/operations.md says for it, in front of a pump.
func nginx(t *testing.T, pump int) (port int) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	location := regexp.MustCompile(`(?s)\n +location /streams/ \{.*?\n +\}\n`).FindString(string(page))
	if n := strings.Count(location, "127.0.0.1:8086"); n != 1 {
		t.Fatalf("the page names the pump %d times: %s", n, location)
	}
	location = strings.Replace(location, ":8086", fmt.Sprintf(":%d", pump), 1)
	dir := t.TempDir()
	text := "daemon off;\nmaster_process off;\nerror_log stderr;\npid pid;\nevents {}\nhttp {\n  access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += fmt.Sprintf("  %s_temp_path %s/%[1]s;\n", kind, dir)
	}
	port = freePort(t)
	text += fmt.Sprintf("  server {\n    listen 127.0.0.1:%d;%s  }\n}\n", port, location)
	if os.Geteuid() == 0 {
		text = "user root;\n" + text
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitPort(t, start(t, "nginx", exec.Command("nginx", "-p", dir, "-e", "stderr", "-c", config)), port)
	return port
}

// nginx, set up as the documentation says, hands encoders on while they push, whose bodies have no length or a large one, and viewers;
// and says who they are.
func TestNginxAsDocumented(t *testing.T) {
	need(t, "ffmpeg")
	film := MakeMedia(t, smallMedia)
	t.Parallel()
	pump := Pump(t, "trusted_proxies: [127.0.0.1]\nstreams:\n  - {type: mmsh_push, path: chunks}\n  - {type: mmsh_push, path: windows}")
	port := nginx(t, pump.Port)
	push := func(path string) string { return fmt.Sprintf("http://127.0.0.1:%d/streams/%s_push", port, path) }
	FFmpegPush(t, film, push("chunks"), "asf")
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	start(t, "stream-pump push", exec.Command(binary, "push", "-loop", film, push("windows")))
	for _, path := range []string{"chunks", "windows"} {
		pump.WaitState(t, path, "live", 20*time.Second)
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.77")}}
		viewer, err := joinRawAt(dialer, "127.0.0.1", port, path, false)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := viewer.next(10 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		var list []struct{ Address string }
		pump.get(t, "/api/v1/viewers?stream="+path, &list)
		if len(list) != 1 || list[0].Address != "127.0.0.77:0" {
			t.Errorf("%s: viewers %+v, want one from 127.0.0.77:0", path, list)
		}
		viewer.close()
	}
}
