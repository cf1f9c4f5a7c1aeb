package linktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	namespaces = "/var/run/netns" // where ip keeps the names
	prefix     = "stream-pump-link-"
	ipTimeout  = slack * 10 * time.Second
)

// namespace is the name of a network namespace. The name says which process made it.
type namespace string

func named(owner int, side string) namespace {
	return namespace(fmt.Sprintf("%s%d-%s", prefix, owner, side))
}

// owner is the process that made the namespace; false when it is none of ours.
func (n namespace) owner() (pid int, ours bool) {
	rest, ours := strings.CutPrefix(string(n), prefix)
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	return pid, ours && err == nil && pid > 0
}

func (n namespace) file() string { return filepath.Join(namespaces, string(n)) }

func (n namespace) exists() bool {
	_, err := os.Stat(n.file())
	return err == nil
}

// command runs a program inside the namespace.
func (n namespace) command(program string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", string(n), program}, args...)...)
}

// dial connects from inside the namespace. A connection stays in the namespace it was made in.
func (n namespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread()
		back, err := n.enter()
		if err != nil {
			runtime.UnlockOSThread()
			done <- outcome{err: err}
			return
		}
		conn, err := (&net.Dialer{Timeout: slack * 5 * time.Second}).DialContext(ctx, network, address)
		// The thread must not end here: children that it has started are bound to its life. One that cannot be
		// brought back may not serve others either, and ends with its goroutine.
		if back() == nil {
			runtime.UnlockOSThread()
		}
		done <- outcome{conn, err}
	}()
	got := <-done
	return got.conn, got.err
}

// enter moves the calling thread into the namespace; back returns it to where it was.
func (n namespace) enter() (back func() error, err error) {
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return nil, err
	}
	there, err := os.Open(n.file())
	if err != nil {
		_ = home.Close()
		return nil, err
	}
	defer func() { _ = there.Close() }()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		_ = home.Close()
		return nil, fmt.Errorf("entering the namespace %s: %w", n, err)
	}
	return func() error {
		defer func() { _ = home.Close() }()
		return unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
	}, nil
}

// system runs ip or tc and gives what it printed.
func system(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ipTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// Cables are laid, and swept away, one at a time: two would remove the same, or both make the place for the names.
var laying sync.Mutex

// sweep removes the namespaces, and what still runs in them, of test runs that are dead.
func sweep(t *testing.T) {
	t.Helper()
	laying.Lock()
	defer laying.Unlock()
	entries, err := os.ReadDir(namespaces)
	if err != nil {
		return // nobody has made one yet
	}
	for _, e := range entries {
		n := namespace(e.Name())
		if pid, ours := n.owner(); !ours || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		t.Logf("removing the namespace %s, whose test run is dead", n)
		n.clear()
		n.remove(t)
	}
}

// clear kills what runs in the namespace.
func (n namespace) clear() {
	out, err := system("ip", "netns", "pids", string(n))
	if err != nil {
		return
	}
	for _, text := range strings.Fields(out) {
		if pid, err := strconv.Atoi(text); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// remove takes the name away; the namespace itself goes with the last process in it.
func (n namespace) remove(t *testing.T) {
	t.Helper()
	if !n.exists() {
		return // set-up stopped before
	}
	if _, err := system("ip", "netns", "del", string(n)); err != nil {
		t.Errorf("removing a namespace: %v", err)
	}
}
