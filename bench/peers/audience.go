//go:build linux

package main

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// audience is all viewers of a run, on a few event loops.
type audience struct {
	window  window
	settled atomic.Int64 // viewers that have joined or never will
	failed  atomic.Int64
	loops   []*loop
}

// window is the measured time, in nanoseconds of the monotonic clock; 0 is not yet.
type window struct{ from, to atomic.Int64 }

// viewer is a connection. It belongs to its loop until that has ended.
type viewer struct {
	fd      int
	opening opening // nil once joined
	said    bool
	gone    error
	began   int64 // connect
	join    int64 // ns from connect to the first media; 0 is never
	total   int64 // bytes since connect
	acked   int64

	// In the window.
	first, last int64 // the first and last time that something came
	bytes       int64 // that came after the first time
	before      int64 // the last time before the window, or its beginning
	gap         int64 // the longest time without anything
	segments    [2]uint32
}

const loopsOfAudience = 2

// gather begins to connect the run's viewers, to its ports in turn.
func gather(p plan, q *peer, v *venue) (*audience, error) {
	a, n := &audience{}, v.viewers
	for i := range loopsOfAudience {
		share := n / loopsOfAudience
		if i < n%loopsOfAudience {
			share++
		}
		l, err := newLoop(a, share, float64(p.ramp)/loopsOfAudience, p.poll, v.ports, q.ackEvery, func() opening { return q.opening(v.address) })
		if err != nil {
			a.disperse()
			return nil, err
		}
		a.loops = append(a.loops, l)
		go l.run()
	}
	return a, nil
}

// open begins the window now, for d.
func (a *audience) open(d time.Duration) {
	at := now()
	a.window.to.Store(at + int64(d))
	a.window.from.Store(at)
}

// disperse ends all loops and connections. The viewers' figures may be read afterwards.
func (a *audience) disperse() {
	for _, l := range a.loops {
		l.end()
	}
}

// now is the monotonic clock.
func now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// segmentsIn is how many segments with data the kernel has counted. On loopback, where
// one takes 64 KiB, a write is a segment, but for those that were put together.
func segmentsIn(fd int) uint32 {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return info.Data_segs_in
}
