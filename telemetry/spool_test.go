package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// outlet takes lines, or is full, or is stuck, as the test wants.
type outlet struct {
	mu    sync.Mutex
	b     bytes.Buffer
	full  bool
	stuck chan struct{} // nil: it is not
}

func (s *outlet) Write(p []byte) (int, error) {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return 0, errors.New("no space left on device")
	}
	return s.b.Write(p)
}

func (s *outlet) set(full bool, stuck chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full, s.stuck = full, stuck
}

func (s *outlet) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func spooled(t *testing.T) (*outlet, *Spool, *slog.Logger) {
	t.Helper()
	to := &outlet{}
	s := NewSpool(to)
	log := slog.New(slog.NewTextHandler(s, nil))
	s.Report(log)
	t.Cleanup(func() { s.Close(10 * time.Second) })
	return to, s, log
}

func awaited(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

func TestSpoolKeepsTheOrder(t *testing.T) {
	to, s, log := spooled(t)
	for i := range 500 {
		log.Info("line", "n", i)
	}
	if !s.Close(10 * time.Second) {
		t.Fatal("not everything was written")
	}
	lines := strings.Split(strings.TrimSpace(to.String()), "\n")
	for i, line := range lines {
		if !strings.HasSuffix(line, fmt.Sprintf("n=%d", i)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(lines) != 500 || s.Lost() != 0 {
		t.Errorf("%d lines, %d lost", len(lines), s.Lost())
	}
}

// A disk that is full takes nothing; who logs does not notice, and what was lost is told
// once there is room.
func TestSpoolOfAFullDisk(t *testing.T) {
	to, s, log := spooled(t)
	to.set(true, nil)
	for range 10 {
		log.Info("lost")
	}
	awaited(t, "ten lines are counted", func() bool { return s.Lost() == 10 })
	to.set(false, nil)
	log.Info("room again")
	awaited(t, "the loss is told", func() bool { return strings.Contains(to.String(), "log lines were lost") })
	if text := to.String(); strings.Contains(text, "msg=lost") || !strings.Contains(text, "lines=10") {
		t.Errorf("%s", text)
	}
}

// The reader of a pipe is stuck: who logs goes on, in little memory.
func TestSpoolOfAStuckReader(t *testing.T) {
	for name, tc := range map[string]struct{ length, kept int }{
		"many lines":   {10, spoolLines + 1},
		"a great deal": {64 << 10, spoolBytes/(64<<10) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			to := &outlet{stuck: make(chan struct{})}
			s := NewSpool(to)
			line := []byte(strings.Repeat("x", tc.length-1) + "\n")
			const most = 3 * spoolLines
			for range most {
				if n, err := s.Write(line); n != len(line) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
			if kept := most - int(s.Lost()); kept > tc.kept {
				t.Errorf("%d lines are kept", kept)
			}
			if s.Close(time.Millisecond) {
				t.Error("told to be written while the reader is stuck")
			}
			free := to.stuck
			to.set(false, nil)
			close(free)
			if !s.Close(10 * time.Second) {
				t.Error("not written when the reader goes on")
			}
			if got := strings.Count(to.String(), "\n"); got != most-int(s.Lost()) {
				t.Errorf("%d lines written, %d lost, of %d", got, s.Lost(), most)
			}
		})
	}
}
