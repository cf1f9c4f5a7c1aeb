package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process of ours that must not outlive us.
type child struct {
	name string
	cmd  *exec.Cmd
	tail tail // the end of what it wrote to standard error
	done chan struct{}
	err  error // valid once done is closed
}

const (
	childGrace  = 12 * time.Second // between asking a child to end and killing it
	tailBytes   = 4 << 10
	childOutput = 64 << 10
)

// startChild runs a command. lines, when not nil, gets each line of its standard output, from a goroutine of its own.
func startChild(name string, command []string, lines func(string)) (*child, error) {
	c := &child{name: name, cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	c.cmd.Stderr = &c.tail
	// Its own group, so that an interrupt on the terminal reaches us alone; and no life without us.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.cmd.WaitDelay = time.Second
	if lines != nil {
		c.cmd.Stdout = &lineWriter{line: lines}
	}
	started := make(chan error)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return c, nil
}

// run starts the child and waits for its end, on a thread of its own: the kernel binds the child's life to that of the
// thread which started it, and another that the runtime hands out may end with a goroutine that was locked to it.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
		close(c.done)
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop ends it, in peace if it can.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-c.done:
	case <-time.After(childGrace):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// death says how it ended and what it said last.
func (c *child) death() error {
	err := c.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	if said := c.tail.String(); said != "" {
		return fmt.Errorf("%s ended: %w; it said:\n%s", c.name, err, said)
	}
	return fmt.Errorf("%s ended: %w", c.name, err)
}

// until polls a condition until it holds, the child ends, the time is up or the context ends.
func (c *child) until(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-c.done:
			return c.death()
		case <-ctx.Done():
			if said := c.tail.String(); said != "" {
				return fmt.Errorf("%s: %s did not happen within %v; it said:\n%s", c.name, what, limit, said)
			}
			return fmt.Errorf("%s: %s did not happen within %v", c.name, what, limit)
		case <-tick.C:
		}
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

// lineWriter hands on whole lines; what is too long for one is cut.
type lineWriter struct {
	line func(string)
	b    []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	for {
		i := bytes.IndexByte(w.b, '\n')
		if i < 0 {
			break
		}
		w.line(string(w.b[:i]))
		w.b = w.b[:copy(w.b, w.b[i+1:])]
	}
	if len(w.b) > childOutput {
		w.b = w.b[:0]
	}
	return len(p), nil
}

var _ io.Writer = (*lineWriter)(nil)

// executable says whether a file can be run.
func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
