//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ordinaryUser is whom foreign servers run as when we are root; some refuse root.
const ordinaryUser = "streampump-test"

// stage is where the runs take place: a temporary folder with the stream's files and
// the pump's program, and whoever ends the servers when we are killed.
type stage struct {
	dir   string
	media map[mediaKey]media
	as    *syscall.Credential // of foreign servers; nil is our own
	guard *guardian
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "peers-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, media: map[mediaKey]media{}}
	if s.guard, err = startGuard(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := s.standIn(); err != nil {
			s.close()
			return nil, err
		}
	}
	s.guard.tell("dir " + dir)
	return s, nil
}

func (s *stage) close() {
	os.RemoveAll(s.dir)
	s.guard.close()
}

// standIn gives the folder to the ordinary user.
func (s *stage) standIn() error {
	u, err := user.Lookup(ordinaryUser)
	if err != nil {
		return fmt.Errorf("VLC and Icecast do not run as root, and there is no user %s: scripts/install-bench-peers makes it", ordinaryUser)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
	return s.handOver(s.dir)
}

// prepare builds the pump and encodes the streams.
func (s *stage) prepare(ctx context.Context, p plan) error {
	for _, q := range p.peers {
		if _, err := exec.LookPath(q.program); q.program != "" && err != nil {
			return fmt.Errorf("%s is not installed: scripts/install-bench-peers installs it, -only leaves it out", q.program)
		}
	}
	if err := s.build(ctx); err != nil {
		return err
	}
	for _, q := range p.peers {
		for _, rate := range p.rates {
			key := mediaKey{q.container, rate}
			if _, ok := s.media[key]; ok {
				continue
			}
			fmt.Fprintf(os.Stderr, "encoding %v of %s at %s …\n", p.mediaLength(), q.container, number(rate))
			m, err := encode(ctx, s.dir, key, p.mediaLength())
			if err != nil {
				return err
			}
			s.media[key] = m
		}
	}
	return nil
}

// build makes the pump, with its version where the tree has one.
func (s *stage) build(ctx context.Context) error {
	args := []string{"build", "-trimpath", "-o", s.path(pumpProgram)}
	if version, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		args = append(args, "-ldflags", "-X main.version="+strings.TrimSpace(string(version)))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/stream-pump")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the pump: %w", err)
	}
	return nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// raiseFileLimit makes sure that we and the servers, who inherit the limit, can have so
// many connections.
func raiseFileLimit(viewers int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if need := uint64(viewers + 200); l.Max < need {
		return fmt.Errorf("%d viewers need %d open files and a process may have %d: raise the hard limit (ulimit -Hn)", viewers, need, l.Max)
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // also makes children inherit it, which Go else undoes
}

// Ports lie below the range of which the system takes those of outgoing connections,
// so that no viewer sits on one.
const firstPort, lastPort = 12_000, 32_000

func freePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port on %s", loopback)
}

const loopback = "127.0.0.1"

// await asks every now and then until it holds.
func await(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
