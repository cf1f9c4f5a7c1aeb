package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// vlcUser is the ordinary user that plays VLC when the tests run as root.
const vlcUser = "streampump-test"

// vlcBuffer is VLC's own buffer in milliseconds. It is longer than by default, and late pictures are decoded and shown all
// the same, so that a busy test machine is not mistaken for a bad stream.
const vlcBuffer = "3000"

// vlcCommand makes a command that runs VLC without display, sound card and session bus, with a home folder
// of its own, as an ordinary user.
func vlcCommand(t *testing.T, args ...string) (cmd *exec.Cmd, home string) {
	t.Helper()
	need(t, "vlc")
	home, err := os.MkdirTemp(scratch, "vlc-")
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("vlc", append([]string{"--no-interact", "--no-dbus", "--no-osd", "--no-spu",
		"--network-caching", vlcBuffer, "--file-caching", vlcBuffer,
		"--no-drop-late-frames", "--no-skip-frames", "--no-avcodec-hurry-up", "--vout", "vdummy", "--aout", "adummy"}, args...)...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C", "XDG_RUNTIME_DIR=" + home}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ordinaryUser(t, home)}
	}
	return cmd, home
}

func ordinaryUser(t *testing.T, home string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(vlcUser)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("VLC does not run as root, and %v; run scripts/install-test-deps", err)
		}
		t.Skipf("VLC does not run as root, and %v; scripts/install-test-deps makes that user", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	if err := os.Chown(home, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// VLCServe makes VLC a real MMSH server of the file and returns its address. VLC begins each viewer anywhere
// in the stream, not at a key frame. It serves the file once, in real time; the longest media is right.
func VLCServe(t *testing.T, file string) (url string) {
	t.Helper()
	port := freePort(t)
	cmd, _ := vlcCommand(t, "-I", "dummy", "--http-host", "127.0.0.1", "--http-port", strconv.Itoa(port), file,
		"--sout", fmt.Sprintf("#std{access=mmsh,mux=asfh,dst=127.0.0.1:%d/live}", port))
	p := start(t, "vlc serving", cmd)
	eventually(t, 15*time.Second, "VLC serves MMSH", func() bool {
		select {
		case <-p.done:
			t.Fatalf("vlc ended: %v", p.err)
		default:
		}
		return describes(t, fmt.Sprintf("http://127.0.0.1:%d/live", port))
	})
	return fmt.Sprintf("mmsh://127.0.0.1:%d/live", port)
}

// describes tells whether a Describe request is answered with a header packet. VLC takes connections
// before it has one to give.
func describes(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "NSPlayer/4.1.0.3856")
	req.Header.Set("Pragma", "no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	var first [2]byte
	_, err = io.ReadFull(resp.Body, first[:])
	return err == nil && first == [2]byte{'$', 'H'}
}

// VLCPlay lets VLC play the address until it has shown d of picture and sound, and reads its counters: what
// reached the picture and sound outputs, not only what was decoded.
func VLCPlay(t *testing.T, url string, d time.Duration) Result {
	t.Helper()
	return StartVLCPlay(t, url, d)()
}

// StartVLCPlay begins to play; the function it returns waits until d is shown.
func StartVLCPlay(t *testing.T, url string, d time.Duration) (wait func() Result) {
	t.Helper()
	v := startVLC(t, url)
	return func() Result {
		t.Helper()
		v.until(t, d, lasts(d))
		return v.leave(t)
	}
}

// vlcSocket is the name of VLC's remote control in its home folder.
const vlcSocket = "rc.sock"

// startVLC begins to play, until it is stopped or the test ends.
func startVLC(t *testing.T, url string, options ...string) *player {
	t.Helper()
	options = append(options, "-v", "-I", "oldrc", "--rc-fake-tty", "--rc-unix", vlcSocket, url)
	cmd, home := vlcCommand(t, options...)
	v := &player{process: start(t, "vlc "+url, cmd), complains: vlcComplains}
	v.result.counted = true
	v.watching.Go(func() { v.readCounters(filepath.Join(home, vlcSocket)) })
	return v
}

// vlcComplains is true for whatever the decoders' library says and for errors of VLC's own stages. VLC also
// reports an error for each protocol it tries before the one that fits; those are no complaints. That it comes late with
// what it has, to its outputs or to its decoder, is said of the machine and not of the bytes.
func vlcComplains(text string) bool {
	if strings.Contains(text, " of late video") {
		return false
	}
	if strings.HasPrefix(text, "[wm") && strings.Contains(text, " @ 0x") {
		return true
	}
	for _, stage := range []string{" decoder error", " demux error", " packetizer error", " input error"} {
		if strings.Contains(text, stage) {
			return true
		}
	}
	return false
}
