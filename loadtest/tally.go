package loadtest

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const maxFaults = 100 // kept with text, for each loop; all are counted

// counters are written by the owner of a tally and read by anyone while the run goes on.
type counters struct {
	started   atomic.Int64 // viewers that tried
	joined    atomic.Int64 // viewers that got a key frame, each once
	joins     atomic.Int64 // connections that did
	alive     atomic.Int64 // connections that stream now
	failed    atomic.Int64 // viewers that gave up before their first key frame
	bytes     atomic.Uint64
	packets   atomic.Uint64
	lost      atomic.Uint64 // packets, steady viewers
	protocol  atomic.Uint64
	churned   atomic.Uint64
	rejoined  atomic.Uint64
	ended     atomic.Uint64
	slowLost  atomic.Uint64
	slowEnded atomic.Int64
}

// tally is what the viewers of one loop found. It belongs to the loop's goroutine, the counters apart.
type tally struct {
	counters
	join    *hdrhistogram.Histogram // µs, whole run
	phase   *hdrhistogram.Histogram // µs, joins of this phase
	latency *hdrhistogram.Histogram // µs, whole run
	window  *hdrhistogram.Histogram // µs, this phase

	from, to int64 // ns: packets published in between count for latency
	run      together
	proofs   []proof // by target

	newest   []edge // by target
	stamped  bool
	foreign  bool // stamps of another machine: no latencies
	faults   []Fault
	failures map[string]int
	lateKeys uint64 // connections to unstamped streams that did not begin with a key frame
	headers  map[string]*streamHeader
	stall    int64 // ns without data that count as a stall
	slowBPS  int   // bit/s of throttled viewers
}

func newTally(targets int, stall int64) *tally {
	return &tally{
		join: newHistogram(), phase: newHistogram(), latency: newHistogram(), window: newHistogram(),
		from: math.MaxInt64, to: math.MaxInt64,
		newest: make([]edge, targets), proofs: newProofs(targets), failures: map[string]int{}, headers: map[string]*streamHeader{}, stall: stall,
	}
}

// beginWindow starts the steady state of a phase.
func (t *tally) beginWindow(at int64) {
	t.countRun()
	t.from, t.to = at, math.MaxInt64
	t.window.Reset()
}

// endWindow ends it.
func (t *tally) endWindow(at int64) {
	t.countRun()
	t.to = at
}

// age counts, n times, how old a packet that was due at due was at the time at: if it was due within the window, and
// since its viewer came.
func (t *tally) age(due, opened, at, n int64) {
	if due >= t.from && due < t.to && due >= opened {
		recordTimes(t.window, (at-due)/int64(time.Microsecond), n)
	}
}

// ages are those of the window.
func (t *tally) ages() *hdrhistogram.Histogram {
	t.countRun()
	return t.window
}

// fault counts something that must not be, and keeps the first ones.
func (t *tally) fault(f Fault) {
	t.protocol.Add(1)
	t.keep(f)
}

func (t *tally) keep(f Fault) {
	if len(t.faults) < maxFaults {
		t.faults = append(t.faults, f)
	}
}

func (t *tally) failure(why string) {
	const kinds = 50
	if _, known := t.failures[why]; !known && len(t.failures) >= kinds {
		why = "other"
	}
	t.failures[why]++
}
