package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/porttest"
)

// line is one line a process wrote to stderr, and when.
type line struct {
	at   time.Duration // since the process was started
	text string
}

// process is a child in a session and process group of its own. It is killed, group and all, at the end of the test
// at the latest. All methods may be called from any goroutine.
type process struct {
	name  string
	cmd   *exec.Cmd
	began time.Time
	done  chan struct{} // closed when the process has ended and its stderr is read
	err   error         // of Wait; read it after done
	took  time.Duration // from start to end; read it after done

	mu    sync.Mutex
	lines []line
}

// maxLines bounds what is kept of a talkative process.
const maxLines = 20_000

// start runs a command. Its stdin is empty; readers get its stdout and further files before this call.
func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	ownGroup(cmd.SysProcAttr)
	cmd.WaitDelay = 2 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, cmd: cmd, began: time.Now(), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	favour(cmd.Process.Pid)
	go p.watch(stderr)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.tail(200))
		}
	})
	return p
}

func (p *process) watch(stderr io.Reader) {
	defer close(p.done)
	for scan := bufio.NewScanner(stderr); scan.Scan(); {
		p.mu.Lock()
		if len(p.lines) < maxLines {
			p.lines = append(p.lines, line{time.Since(p.began), scan.Text()})
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, stderr)
	p.err = p.cmd.Wait()
	p.took = time.Since(p.began)
}

// kill ends the whole group and waits for it. It does nothing when the process has ended and was reaped.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// stop asks with the signal and tells whether the process ended within the limit, and its slack; then it is killed.
func (p *process) stop(sig os.Signal, limit time.Duration) bool {
	_ = p.cmd.Process.Signal(sig)
	ended := p.ended(limit)
	p.kill()
	return ended
}

// ended tells whether the process ends within the limit, and its slack.
func (p *process) ended(limit time.Duration) bool {
	timer := time.NewTimer(slack * limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// said gives the lines for which keep holds.
func (p *process) said(keep func(string) bool) []line {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []line
	for _, l := range p.lines {
		if keep(l.text) {
			kept = append(kept, l)
		}
	}
	return kept
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines[max(0, len(p.lines)-n):] {
		b.WriteString("  " + l.at.Round(time.Millisecond).String() + "  " + l.text + "\n")
	}
	return b.String()
}

// freePort gives a TCP port that stays free, and the test's own, until the test ends.
func freePort(t *testing.T) int {
	t.Helper()
	return porttest.Free(t)
}

// zombie tells whether the process has ended and nobody has asked for its status yet.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
