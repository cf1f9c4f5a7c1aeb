//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// guardVerb makes this program the guard of another copy of itself.
const guardVerb = "guard"

// guardian is a process that outlives us by a moment: when our end of its pipe closes,
// however that came, it kills the groups that were not reported gone and removes the
// folder. The kernel's own help ends with a server's first process, not with those
// that one has started.
type guardian struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

func startGuard() (*guardian, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, guardVerb)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	return &guardian{pipe: pipe, cmd: cmd}, nil
}

func (g *guardian) tell(line string) { fmt.Fprintln(g.pipe, line) }

func (g *guardian) close() {
	g.pipe.Close()
	_ = g.cmd.Wait()
}

// guard is the guardian's side.
func guard(pipe io.Reader) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	groups := map[int]bool{}
	var dir string
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		verb, what, _ := strings.Cut(lines.Text(), " ")
		pid, _ := strconv.Atoi(what)
		switch {
		case verb == "dir":
			dir = what
		case verb == "group" && pid > 1:
			groups[pid] = true
		case verb == "gone":
			delete(groups, pid)
		}
	}
	for pid := range groups {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
}
