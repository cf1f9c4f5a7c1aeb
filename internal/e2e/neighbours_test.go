package e2e

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// neighbours notes, while a test runs, for how long who wanted to work could not: somebody else had the processor, or the disk was
// waited for. What must be in time is held against its bound as it is promised where the machine has the time, and given
// what the machine took where it has not: a bound that is twenty times what is measured fails for a fault, and not for a
// neighbour.
type neighbours struct {
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	turns []turn
}

// turn is what was taken until some moment, since the beginning.
type turn struct {
	at    time.Time
	taken time.Duration
}

const (
	turnWorks  = 2 * time.Millisecond // of a processor
	turnSleeps = 18 * time.Millisecond
)

func watchNeighbours(t *testing.T) *neighbours {
	m := &neighbours{stop: make(chan struct{})}
	m.turns = append(m.turns, turn{at: time.Now()})
	m.done.Go(m.watch)
	t.Cleanup(func() {
		close(m.stop)
		m.done.Wait()
	})
	return m
}

// watch works a little and sleeps a little, again and again, and notes how much longer that took than it should.
func (m *neighbours) watch() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	disk := diskWaits()
	taken := time.Duration(0)
	for {
		began, worked := time.Now(), threadTime()
		for worked > 0 && threadTime()-worked < turnWorks && time.Since(began) < time.Second {
		}
		worked = threadTime() - worked
		select {
		case <-m.stop:
			return
		case <-time.After(turnSleeps):
		}
		now, waits := time.Now(), diskWaits()
		taken += max(now.Sub(began)-worked-turnSleeps-time.Millisecond, 0) + waits - disk
		disk = waits
		m.mu.Lock()
		m.turns = append(m.turns, turn{now, taken})
		m.mu.Unlock()
	}
}

// took is what the machine took in a stretch of time.
func (m *neighbours) took(from, to time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	first, last := m.turns[0].taken, m.turns[0].taken
	for _, x := range m.turns {
		if !x.at.After(from) {
			first = x.taken
		}
		last = x.taken
		if !x.at.Before(to) {
			return last - first
		}
	}
	return last - first + time.Since(m.turns[len(m.turns)-1].at) // a turn that is not over yet
}

// within fails the test if something that began at from took longer than its bound, and whatever the machine took meanwhile.
func (m *neighbours) within(t *testing.T, what string, from time.Time, took, bound time.Duration) {
	t.Helper()
	taken := m.took(from, from.Add(took))
	t.Logf("%s: %v, at most %v; the machine took %v of that", what, took.Round(time.Millisecond), bound, taken.Round(time.Millisecond))
	if took > bound+slack*taken {
		t.Errorf("%s took %v, want at most %v, and %d times the %v that others had the processor and the disk", what, took, bound, slack, taken)
	}
}

// diskWaits is for how long somebody waited for a disk, since the machine was started; nothing where it does not tell.
func diskWaits() time.Duration {
	text, err := os.ReadFile("/proc/pressure/io")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, total, _ := strings.Cut(line, "total=")
	us, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// A bound holds where the machine has the time, and is wider where it has not.
func TestABoundIsGivenWhatTheMachineTook(t *testing.T) {
	began := time.Now()
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	m := &neighbours{turns: []turn{{at(0), 0}, {at(1), 0}, {at(2), time.Second / 2}, {at(3), time.Second}, {at(4), time.Second}}}
	for _, c := range []struct {
		from, to float64
		want     time.Duration
	}{{0, 1, 0}, {0.2, 0.9, 0}, {1, 2, time.Second / 2}, {1.5, 2.5, time.Second}, {0, 3.5, time.Second}, {3, 4, 0}} {
		if got := m.took(at(c.from), at(c.to)); got != c.want {
			t.Errorf("from %v s to %v s the machine took %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// The watch sees it when processors are wanted by more than there are.
func TestTheMachineIsSeenToBeBusy(t *testing.T) {
	if threadTime() == 0 {
		t.Skip("this system does not tell a thread's processor time")
	}
	var stop atomic.Bool
	var all sync.WaitGroup
	defer func() { stop.Store(true); all.Wait() }()
	for range 8 * runtime.NumCPU() {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for !stop.Load() { // works
			}
		})
	}
	m, began := watchNeighbours(t), time.Now()
	eventually(t, 20*time.Second, "half a second was taken", func() bool { return m.took(began, time.Now()) > time.Second/2 })
}
