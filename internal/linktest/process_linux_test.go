package linktest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs builds stream-pump and loadtest once per test run, without the race detector: what is measured here is the
// programs as they are used.
var programs = sync.OnceValues(func() (folder string, err error) {
	folder = filepath.Join(scratch, "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder+"/", "../../cmd/stream-pump", "../../cmd/loadtest")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return folder, nil
})

// maxLines bounds what is kept of what a process says.
const maxLines = 1000

// process is a child in a namespace. It is killed at the end of the test at the latest, and dies with the test run.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read it after done

	mu    sync.Mutex
	lines []string // of its stderr
}

// start runs one of our programs inside the namespace.
func start(t *testing.T, in namespace, program string, args ...string) *process {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: program + " in " + string(in), cmd: in.command(filepath.Join(folder, program), args...), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	go p.watch(stderr)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.said())
		}
	})
	return p
}

func (p *process) watch(stderr io.Reader) {
	defer close(p.done)
	for scan := bufio.NewScanner(stderr); scan.Scan(); {
		p.mu.Lock()
		if len(p.lines) < maxLines {
			p.lines = append(p.lines, scan.Text())
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, stderr)
	p.err = p.cmd.Wait()
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// slack is how many times longer than a test says anything may take. The limits in the tests are those of a machine that
// has nothing else to do; on a slow or busy one a test is to take longer, and not to fail.
const slack = 4

// ask sends the signal and waits until the process has ended.
func (p *process) ask(t *testing.T, sig os.Signal, limit time.Duration) {
	t.Helper()
	_ = p.cmd.Process.Signal(sig)
	p.await(t, limit)
}

func (p *process) await(t *testing.T, limit time.Duration) {
	t.Helper()
	limit *= slack
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		t.Fatalf("%s has not ended within %v", p.name, limit)
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// eventually polls until ok holds, and fails the test when it does not within the limit, and its slack. It returns how
// long that took.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	limit *= slack
	begun := time.Now()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
	return time.Since(begun)
}
