package telemetry

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what a Spool keeps.
const (
	spoolLines = 1024
	spoolBytes = 1 << 20
)

// Spool stands between a log and the file, terminal or pipe that takes its lines: whoever
// logs never waits, and never fails, for it. Lines that do not fit, because a pipe's reader is
// stuck, and lines that are not taken, because a disk is full, are lost and counted; the
// number is logged as soon as lines are taken again. At most 1024 lines and 1 MiB wait.
//
// All methods may be called from any goroutine.
type Spool struct {
	to      io.Writer
	lines   chan []byte
	waiting atomic.Int64 // bytes in lines
	lost    atomic.Uint64
	log     atomic.Pointer[slog.Logger]
	closing sync.Once
	quit    chan struct{}
	done    chan struct{}
}

// NewSpool returns a Spool that writes to to, on a goroutine that runs until Close.
func NewSpool(to io.Writer) *Spool {
	s := &Spool{to: to, lines: make(chan []byte, spoolLines), quit: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// Report names the log, one that writes to s, in which lost lines are told.
func (s *Spool) Report(log *slog.Logger) { s.log.Store(log) }

// Lost returns how many lines were lost since that was last told.
func (s *Spool) Lost() uint64 { return s.lost.Load() }

// Write takes one line. It never fails: a log has nobody to tell.
func (s *Spool) Write(line []byte) (int, error) {
	if s.waiting.Add(int64(len(line))) > spoolBytes {
		s.drop(line)
		return len(line), nil
	}
	select {
	case s.lines <- append([]byte(nil), line...):
	default:
		s.drop(line)
	}
	return len(line), nil
}

func (s *Spool) drop(line []byte) {
	s.waiting.Add(-int64(len(line)))
	s.lost.Add(1)
}

// Fd is the descriptor below, for who wants to know whether it is a terminal; an invalid
// one when there is none.
func (s *Spool) Fd() uintptr {
	if f, ok := s.to.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

func (s *Spool) run() {
	defer close(s.done)
	for {
		select {
		case line := <-s.lines:
			s.put(line)
		case <-s.quit:
			for {
				select {
				case line := <-s.lines:
					s.put(line)
				default:
					return
				}
			}
		}
	}
}

// put writes one line, and when that works and lines were lost before it, says so.
func (s *Spool) put(line []byte) {
	s.waiting.Add(-int64(len(line)))
	if _, err := s.to.Write(line); err != nil {
		s.lost.Add(1)
		return
	}
	if log := s.log.Load(); log != nil {
		if n := s.lost.Swap(0); n > 0 {
			log.Warn("log lines were lost: standard error did not take them", slog.Uint64("lines", n))
		}
	}
}

// Close writes what waits, for so long at most, and takes nothing more. It reports whether
// everything was written; if not, the goroutine that is stuck in a write stays behind.
func (s *Spool) Close(limit time.Duration) bool {
	s.closing.Do(func() { close(s.quit) })
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.done:
		return len(s.lines) == 0
	case <-timer.C:
		return false
	}
}
