package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first thing people do: no configuration, one command, and every player they have.
func TestDemo(t *testing.T) {
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	port := freePort(t)
	cmd := exec.Command(binary, "demo", "-listen", fmt.Sprintf("127.0.0.1:%d", port))
	demo := start(t, "stream-pump demo", cmd)
	url := fmt.Sprintf("mmsh://127.0.0.1:%d/streams/demo", port)
	eventually(t, 15*time.Second, "the demo is on the air", func() bool {
		return describes(t, strings.Replace(url, "mmsh:", "http:", 1))
	})

	check := audience(t, url)
	toTheEnd := startFFmpeg(t, url, 0)
	vlcToTheEnd := startVLC(t, url, "--play-and-exit")
	t.Run("other players", func(t *testing.T) { otherPlayers(t, url) })
	check()

	if !demo.stop(syscall.SIGTERM, 15*time.Second) || demo.err != nil {
		t.Errorf("the demo has not ended well after SIGTERM: %v", demo.err)
	}
	r := toTheEnd.wait(t, 5*time.Second).WithoutEnd()
	r.CheckFrom(t, r.Settled(), atLeast)
	if !vlcToTheEnd.ended(10*time.Second) || vlcToTheEnd.err != nil {
		t.Errorf("VLC has not ended well with the stream: %v", vlcToTheEnd.err)
	}
}

// otherPlayers lets mpv, MPlayer and GStreamer play the address as far as they are installed; none of them is asked
// for by the other tests.
func otherPlayers(t *testing.T, url string) {
	const playing = "10"
	players := map[string][]string{
		"mpv":     {"--no-config", "--vo=null", "--ao=null", "--msg-level=all=warn", "--length=" + playing, url},
		"mplayer": {"-noconfig", "all", "-vo", "null", "-ao", "null", "-really-quiet", "-nolirc", "-endpos", playing, url},
	}
	for name, args := range players {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			cmd := exec.Command(name, args...)
			cmd.Env = []string{"HOME=" + filepath.Join(scratch, name), "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
			p := start(t, name, cmd)
			if !p.ended(30 * time.Second) {
				t.Errorf("has not ended 30s after it should have played %ss", playing)
			}
			took := time.Since(p.began)
			p.kill()
			t.Logf("%s played %ss in %v; it said:\n%s", name, playing, took.Round(time.Millisecond), p.tail(20))
			if p.err != nil || took < 7*time.Second {
				t.Errorf("%v after %v", p.err, took)
			}
		})
	}
}
