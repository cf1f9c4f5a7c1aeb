package server

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// beat is a pulse whose passes are made at once, and counted.
type beat struct {
	*pulse
	pass   sync.Mutex
	passes atomic.Int32
	again  time.Duration // wanted by the next pass
}

func newBeat(set Settings) *beat {
	b := &beat{}
	b.pulse = newPulse(func() *Settings { return &set }, func() {
		b.pass.Lock() // a pulse's passes follow each other
		defer b.pass.Unlock()
		b.passes.Add(1)
		again := b.again
		b.again = 0
		b.end(b.begin(), again)
	}, false)
	return b
}

func TestPulse(t *testing.T) {
	set := Settings{PulseMin: 10 * time.Millisecond, PulseMax: 200 * time.Millisecond}
	want := func(t *testing.T, b *beat, passes int32, when string) {
		t.Helper()
		synctest.Wait()
		if got := b.passes.Load(); got != passes {
			t.Errorf("%d passes %s, want %d", got, when, passes)
		}
	}
	t.Run("a wake after a long silence calls at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBeat(set)
			b.wake()
			want(t, b, 1, "after the first wake")
			time.Sleep(time.Second)
			b.wake()
			want(t, b, 2, "after the second")
		})
	})
	t.Run("many wakes make one pass a pulse", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBeat(set)
			start := stream.Monotonic()
			for stream.Monotonic()-start < int64(100*time.Millisecond) {
				b.wake()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond)
			want(t, b, 11, "in 100 ms of wakes and the time after")
		})
	})
	t.Run("who wants another turn gets it in silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBeat(set)
			b.again = 50 * time.Millisecond
			b.wake()
			time.Sleep(49 * time.Millisecond)
			want(t, b, 1, "before it is time")
			time.Sleep(2 * time.Millisecond)
			want(t, b, 2, "when it is time")
			time.Sleep(time.Second)
			want(t, b, 2, "long after")
		})
	})
	t.Run("another turn wanted late does not hold up what is published", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBeat(set)
			b.again = 250 * time.Millisecond
			b.wake()
			time.Sleep(time.Millisecond)
			b.wake()
			time.Sleep(10 * time.Millisecond)
			want(t, b, 2, "after the pulse")
		})
	})
}
