package telemetry

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRate(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRate(800*time.Millisecond, func() time.Time { return now })
	near := func(when string, want float64) {
		t.Helper()
		if got := r.BitsPerSecond(); math.Abs(got-want) > want/100+0.001 {
			t.Errorf("%s: %v bit/s, want %v", when, got, want)
		}
	}
	near("at the start", 0)
	step := func(steps, bytes int) {
		for range steps {
			r.Add(bytes)
			now = now.Add(10 * time.Millisecond)
		}
	}
	step(20, 1250) // 1 Mbit/s
	near("in the first window", 1e6)
	step(200, 1250)
	near("steady", 1e6)
	step(200, 2500)
	near("doubled", 2e6)
	step(40, 0)
	near("silent for half a window", 1e6)
	step(60, 0)
	near("silent", 0)
	step(1, -5)
	near("after a negative amount", 0)
	now = now.Add(1000 * time.Hour)
	step(200, 1250)
	near("long after", 1e6)
	now = now.Add(-time.Hour)
	r.Add(1)
	r.BitsPerSecond()
}

func TestRateSaturates(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRate(8*time.Second, func() time.Time { return now })
	r.Add(math.MaxInt)
	r.Add(math.MaxInt)
	now = now.Add(time.Second)
	if got := r.BitsPerSecond(); got != 8*math.MaxUint32 {
		t.Errorf("%v bit/s", got)
	}
}

func TestRateConcurrentWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(time.Second, nil)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 100 {
					r.Add(10)
				}
			})
		}
		wg.Wait()
		time.Sleep(500 * time.Millisecond)
		if got := r.BitsPerSecond(); got != 4*100*10*8 {
			t.Errorf("%v bit/s", got)
		}
	})
}
