package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// chatter makes a pump log until the test has what it waits for: each reload is some lines.
func (p *PumpProc) chatter(t *testing.T, what string, holds func() bool) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	eventually(t, 20*time.Second, what, func() bool {
		for range 20 {
			resp, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/api/v1/reload", p.AdminPort), "", nil)
			if err != nil {
				t.Fatalf("the pump does not answer: %v", err)
			}
			_ = resp.Body.Close()
		}
		return holds()
	})
	http.DefaultClient.CloseIdleConnections()
}

// unmoved sees that a viewer gets on, and one that comes is served.
func (p *PumpProc) unmoved(t *testing.T) {
	t.Helper()
	p.waitPackets(t, "card", 30)
	watchRaw(t, p.Port, "card", false, 10*time.Second, func(f []rawFrame) bool { return len(f) > 10 })
}

// The disk that takes the log is full: the pump goes on without it, and with it when there is room again.
func TestLogDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a small disk")
	}
	disk := t.TempDir()
	// The disk is mounted in a namespace of the pump's own, and goes with it.
	script := `mount -t tmpfs -o size=16k none "$0" && exec "$@" 2>>"$0/log"`
	pump := pumpBy(t, "streams:\n  - {name: Card, type: test_card, path: card}", func(cmd *exec.Cmd) *exec.Cmd {
		own := exec.Command("sh", append([]string{"-c", script, disk}, cmd.Args...)...)
		own.Env = cmd.Env
		own.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		return own
	})
	pump.WaitState(t, "card", "live", 10*time.Second)
	end := onlooker(t, pump, "card")
	log := filepath.Join(fmt.Sprintf("/proc/%d/root", pump.proc.cmd.Process.Pid), disk, "log")
	size := func() int64 {
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const whole = 16 << 10
	pump.chatter(t, "the disk is full", func() bool { return size() == whole })
	pump.chatter(t, "more is logged than there is room for", func() bool { return true })
	pump.unmoved(t)
	if n := size(); n != whole {
		t.Errorf("%d bytes on a disk of %d", n, whole)
	}
	if err := os.Truncate(log, 0); err != nil {
		t.Fatal(err)
	}
	var lines string
	pump.chatter(t, "the log goes on, and tells what was lost", func() bool {
		text, _ := os.ReadFile(log)
		lines = string(text)
		return strings.Contains(lines, "log lines were lost")
	})
	for line := range strings.Lines(lines) {
		if strings.HasSuffix(line, "\n") && !json.Valid([]byte(line)) {
			t.Errorf("no whole line: %q", line)
		}
	}
	checkUnbroken(t, end())
}

// Whoever reads the log from a pipe is stuck, or has gone: the pump goes on, and ends in order when it is asked to.
func TestLogReader(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	for _, gone := range []bool{false, true} {
		t.Run(map[bool]string{false: "stuck", true: "gone"}[gone], func(t *testing.T) {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = read.Close() })
			if _, err := unix.FcntlInt(read.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
				t.Fatal(err)
			}
			pump := pumpBy(t, "streams:\n  - {name: Card, type: test_card, path: card}", func(cmd *exec.Cmd) *exec.Cmd {
				own := exec.Command("sh", append([]string{"-c", `exec "$@" 2>&3 3>&-`, "sh"}, cmd.Args...)...)
				own.Env, own.ExtraFiles = cmd.Env, []*os.File{write}
				return own
			})
			_ = write.Close()
			pump.WaitState(t, "card", "live", 10*time.Second)
			end := onlooker(t, pump, "card")
			if gone {
				_ = read.Close()
			}
			for range 3 { // far more than the pipe holds
				pump.chatter(t, "it logs", func() bool { return true })
			}
			pump.unmoved(t)
			checkUnbroken(t, end())
			pump.Stop(t)
		})
	}
}
