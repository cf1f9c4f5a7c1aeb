package store

import (
	"sync"
	"testing"
	"time"
)

// Asking the server for the state of a stream changes the handle that is asked, without a lock: the race detector
// fails this test when the pulse and reads have one handle.
func TestThePulseDoesNotRaceWithReads(t *testing.T) {
	s := open(t, Options{Name: "a", Dir: t.TempDir()}).(*natsStore)
	ctx := within(t, 60*time.Second)
	if _, err := s.Put(ctx, "a.x", []byte("1"), Any); err != nil {
		t.Fatal(err)
	}
	beaten := make(chan struct{})
	var all sync.WaitGroup
	defer func() { close(beaten); all.Wait() }()
	for range 2 {
		all.Go(func() {
			for {
				if _, err := s.Get(ctx, "a.x"); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-beaten:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	for range 2 {
		last := s.answered.Load()
		becomes(t, "the pulse beats", func() bool { return s.answered.Load() != last })
	}
}
