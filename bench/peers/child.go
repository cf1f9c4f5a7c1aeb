//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a server or an encoder, in a session of its own, by which all its processes
// are found, measured and ended.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string // file of what it says
	done  chan struct{}
	guard *guardian
}

// command is a program to run.
type command struct {
	name string // for people
	argv []string
	as   *syscall.Credential
	home string
}

// start runs a program. Its output goes to a file, so that nobody waits for a pipe.
func (s *stage) start(c command) (*child, error) {
	log, err := os.CreateTemp(s.dir, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.home, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + c.home, "XDG_RUNTIME_DIR=" + c.home, "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: c.as}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	s.guard.tell(fmt.Sprintf("group %d", cmd.Process.Pid))
	k := &child{name: c.name, cmd: cmd, log: log.Name(), done: make(chan struct{}), guard: s.guard}
	go func() {
		_ = cmd.Wait()
		close(k.done)
	}()
	return k, nil
}

func (k *child) pid() int { return k.cmd.Process.Pid }

const stopTimeout = 3 * time.Second

// stop asks, then kills the whole group.
func (k *child) stop() {
	_ = k.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-k.done:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(-k.pid(), syscall.SIGKILL)
	<-k.done
	k.guard.tell(fmt.Sprintf("gone %d", k.pid()))
	_ = os.Remove(k.log)
}

// ended says how a child that should still run has ended, with its last words.
func (k *child) ended() error {
	select {
	case <-k.done:
	default:
		return nil
	}
	return fmt.Errorf("%s has ended: %v%s", k.name, k.cmd.ProcessState, k.lastWords())
}

func (k *child) lastWords() string {
	b, err := os.ReadFile(k.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return ": " + strings.Join(lines[max(0, len(lines)-3):], " / ")
}

// children ends with whoever was started last.
type children []*child

func (list children) stop() {
	for i := len(list) - 1; i >= 0; i-- {
		list[i].stop()
	}
}

func (list children) ended() error {
	var errs []error
	for _, k := range list {
		errs = append(errs, k.ended())
	}
	return errors.Join(errs...)
}

// home makes a folder for a run, which belongs to the user that servers run as.
func (s *stage) home() (string, error) {
	dir, err := os.MkdirTemp(s.dir, "h")
	if err != nil {
		return "", err
	}
	return dir, s.handOver(dir)
}

// subfolder makes a folder of an instance of the server in the run's.
func (v *venue) subfolder(name string) (string, error) {
	dir := filepath.Join(v.home, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, v.handOver(dir)
}

func (s *stage) handOver(dir string) error {
	if s.as == nil {
		return nil
	}
	return os.Chown(dir, int(s.as.Uid), int(s.as.Gid))
}

// write puts a configuration file into the folder and returns its name.
func write(dir, name, text string) (string, error) {
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(text), 0o644)
}

func output(ctx context.Context, argv ...string) string {
	b, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	return strings.TrimSpace(string(b))
}
