package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first thing people do: no configuration, one command, and every player they have, at once (MUST-P8; libmms is
// represented by its requests alone, in the server's tests).
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
	toTheEnd := startFFmpeg(t, url)
	vlcToTheEnd := startVLC(t, url, "--play-and-exit")
	checkOthers := startOtherPlayers(t, url)
	check()
	checkOthers()

	if !demo.stop(syscall.SIGTERM, 15*time.Second) || demo.err != nil {
		t.Errorf("the demo has not ended well after SIGTERM: %v", demo.err)
	}
	r := toTheEnd.wait(t, 5*time.Second).WithoutEnd()
	r.CheckFrom(t, r.Settled(), atLeast)
	if !vlcToTheEnd.ended(10*time.Second) || vlcToTheEnd.err != nil {
		t.Errorf("VLC has not ended well with the stream: %v", vlcToTheEnd.err)
	}
}

// startOtherPlayers lets mpv and MPlayer play the address as far as they are installed; nothing else here needs them.
// The function it returns waits and judges them by how they end, and when.
func startOtherPlayers(t *testing.T, url string) (check func()) {
	t.Helper()
	const playing = 10 * time.Second
	players := map[string][]string{
		"mpv": {"--no-config", "--vo=null", "--ao=null", "--msg-level=all=warn", "--length=10", url},
		"mplayer": {"-noconfig", "all", "-vo", "null", "-ao", "null", "-really-quiet", "-nolirc", "-frames",
			strconv.Itoa(frameRate * int(playing.Seconds())), url},
	}
	var running []*process
	for name, args := range players {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s is not installed", name)
			continue
		}
		cmd := exec.Command(name, args...)
		cmd.Env = []string{"HOME=" + filepath.Join(scratch, name), "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
		running = append(running, start(t, name, cmd))
	}
	return func() {
		t.Helper()
		for _, p := range running {
			ended := p.ended(playing + 30*time.Second)
			took := p.took
			p.kill()
			t.Logf("%s played %v in %v", p.name, playing, took.Round(time.Millisecond))
			if !ended || p.err != nil || took < playing-joinTime {
				t.Errorf("%s: %v after %v", p.name, p.err, took)
			}
		}
	}
}
