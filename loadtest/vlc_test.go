package loadtest

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/porttest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// vlcUser is whom VLC runs as when we are root, which it refuses.
const vlcUser = "streampump-test"

// need skips a test, or fails it in continuous integration, where everything must be there.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") != "":
		t.Fatalf("%s, and CI is set", what)
	default:
		t.Skip(what)
	}
}

// vlcServer is VLC's own MMSH server with a clip of FFmpeg's test picture.
func vlcServer(t *testing.T) (url string, pid int) {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	need(t, err == nil, "ffmpeg is not installed (scripts/install-test-deps)")
	cvlc, err := exec.LookPath("cvlc")
	need(t, err == nil, "cvlc is not installed (scripts/install-test-deps)")
	dir, err := os.MkdirTemp("", "loadtest-vlc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	clip := filepath.Join(dir, "clip.asf")
	if out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25",
		"-f", "lavfi", "-i", "sine", "-t", "30", "-c:v", "wmv2", "-b:v", "250k", "-g", "25", "-c:a", "wmav2", "-b:a", "48k",
		clip).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	address := "127.0.0.1:" + strconv.Itoa(porttest.Free(t))
	cmd := exec.CommandContext(t.Context(), cvlc, "-q", "--loop", clip, "--sout", "#std{access=mmsh,mux=asfh,dst="+address+"/x}")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: ordinaryUser(t, dir, clip)}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for until := time.Now().Add(time.Minute); !vlcStreams(address); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("VLC does not stream within a minute")
		}
	}
	return "mmsh://" + address + "/x", cmd.Process.Pid
}

// ordinaryUser is nil unless we are root; then the files are handed to that user.
func ordinaryUser(t *testing.T, files ...string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(vlcUser)
	need(t, err == nil, "VLC does not run as root and there is no user "+vlcUser+" (scripts/install-test-deps)")
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, f := range files {
		if err := os.Chown(f, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
}

// vlcStreams says whether a description can be had.
func vlcStreams(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	conn.Write(mmsh.AppendDescribeRequest(nil, mmsh.ClientParams{Path: "/x", Host: address}))
	b := make([]byte, 15)
	n, _ := conn.Read(b)
	return string(b[:n]) == "HTTP/1.0 200 OK" || n >= 12 && string(b[9:12]) == "200"
}

// Any MMSH server can be measured: here VLC's, which knows nothing of stamps.
func TestAgainstVLC(t *testing.T) {
	if testing.Short() {
		t.Skip("real programs are left out of short runs")
	}
	t.Parallel()
	url, pid := vlcServer(t)
	rep := mustRun(t, Options{Clients: 100, URLs: []string{url}, Ramp: 200, Duration: 2 * time.Second, MaxJoin: 30 * time.Second, JoinTimeout: 30 * time.Second, ServerPID: pid})
	wantVerdict(t, rep, Pass)
	if rep.Clients.AliveAtEnd != 100 || rep.Delivery.Min != 1 || rep.Protocol != 0 || rep.Gaps.Packets != 0 {
		t.Errorf("clients %+v, delivery %+v, %d protocol errors, gaps %+v", rep.Clients, rep.Delivery, rep.Protocol, rep.Gaps)
	}
	if rep.Setup.Stamped || rep.Latency.Count != 0 {
		t.Error("VLC's packets have no stamps, so there is no latency")
	}
	if rep.Mbit < 10 || rep.Server.RSS == 0 {
		t.Errorf("%.1f Mbit/s, server %+v", rep.Mbit, rep.Server)
	}
}
