package telemetry

import (
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// maxPanicSites bounds how many places of panics are told apart.
const maxPanicSites = 64

// panics are those of this process that were caught. They are the process's and not a
// registry's: wherever one happens, it is a mistake of the program.
var panics struct {
	total atomic.Uint64
	mu    sync.Mutex
	sites map[string]uint64 // by the place where it began
}

// Panics returns how many panics were caught since the program began.
func Panics() uint64 { return panics.total.Load() }

// CaughtPanic counts and logs a panic that a deferred function has recovered; where says
// what it was that ended, for people. The first panic of a place is logged with its
// stack, later ones without, and only the 2nd, 4th, 8th and so on: who can cause one can
// cause thousands. Call it from the deferred function itself. Any goroutine.
func CaughtPanic(log *slog.Logger, where string, value any) {
	panics.total.Add(1)
	site := panicSite()
	panics.mu.Lock()
	if panics.sites == nil {
		panics.sites = map[string]uint64{}
	}
	if _, known := panics.sites[site]; !known && len(panics.sites) >= maxPanicSites {
		site = otherKey
	}
	panics.sites[site]++
	n := panics.sites[site]
	panics.mu.Unlock()
	attrs := []any{slog.String("where", where), slog.String("panic", fmt.Sprint(value)), slog.String("at", site), slog.Uint64("times", n)}
	switch {
	case n == 1:
		log.Error("a panic was caught; this is a mistake in the program, please report it", append(attrs, slog.String("stack", string(debug.Stack())))...)
	case bits.OnesCount64(n) == 1:
		log.Error("a panic was caught again", attrs...)
	}
}

// panicSite returns file and line of the panic that is being recovered, as far as the
// stack tells: the frame below the runtime's own.
func panicSite() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		inRuntime := len(f.Function) > 8 && f.Function[:8] == "runtime."
		if panicking && !inRuntime {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		panicking = panicking || inRuntime && f.Function == "runtime.gopanic"
		if !more {
			return "unknown"
		}
	}
}
