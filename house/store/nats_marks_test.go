package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// What is deleted leaves nothing for ever: marks are swept up, a watch that is there tells nothing of that, one that was
// away finds out what went, and an entry that came again in the place of a mark stays.
func TestMarksAreSweptUp(t *testing.T) {
	a := newExisting(t)
	s := open(t, Options{Name: "a", URLs: []string{a.url()}}).(*natsStore)
	ctx := within(t, 120*time.Second)
	kept := func() uint64 {
		stream, err := s.js.Stream(ctx, "KV_"+s.bucket("state")) // a handle of its own: the watch reads with the store's
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.Msgs
	}
	put := func(key string, r uint64) uint64 {
		t.Helper()
		now, err := s.Put(ctx, key, []byte("value"), r)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for c := next(t, w); !c.Whole; c = next(t, w) {
	}
	const n = 20
	for i := range n {
		put(fmt.Sprintf("a.%d", i), Absent)
	}
	for i := range n - 1 {
		if err := s.Delete(ctx, fmt.Sprintf("a.%d", i), Any); err != nil {
			t.Fatal(err)
		}
	}
	if k := kept(); k != n {
		t.Fatalf("%d messages are kept, of one entry and %d marks", k, n-1)
	}
	if err := s.sweep(ctx, time.Now().Add(-time.Hour)); err != nil || kept() != n {
		t.Errorf("marks of now are swept up: %d messages, %v", kept(), err)
	}
	marks, err := s.marks(ctx, time.Now().Add(time.Hour))
	if err != nil || len(marks) != n-1 {
		t.Fatalf("%d marks, %v", len(marks), err)
	}
	again := put("a.0", Absent) // between the look and the sweep
	for _, m := range marks {
		if err := s.wipe(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if k := kept(); k != 2 {
		t.Errorf("%d messages are kept of two entries", k)
	}
	if e, err := s.Get(ctx, "a.0"); err != nil || e.Revision != again {
		t.Errorf("what came again: %+v, %v", e, err)
	}
	if _, err := s.Get(ctx, "a.1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what went: %v", err)
	}
	put("a.1", Absent)
	put("last", Any)
	there := map[string]bool{}
	for c := next(t, w); c.Key != "last"; c = next(t, w) {
		there[c.Key] = !c.Deleted
	}
	for i := range n {
		if key := fmt.Sprintf("a.%d", i); there[key] != (i < 2 || i == n-1) {
			t.Errorf("the watch has told that it is %v that %s is there", there[key], key)
		}
	}
}

// A watch that was away when an entry went, and comes when its mark is gone, too, tells that it went.
func TestAWatchThatMissedAMarkTellsWhatWent(t *testing.T) {
	a := newExisting(t)
	s := open(t, Options{Name: "a", URLs: []string{a.url()}})
	ctx := within(t, 120*time.Second)
	if _, err := s.Put(ctx, "a.gone", nil, Any); err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for c := next(t, w); !c.Whole; c = next(t, w) {
	}
	a.stop()
	becomes(t, "the break is seen", func() bool { return !s.Bus().Connected() })
	port := a.port
	a.port = server.RANDOM_PORT // where the first one does not find it
	a.start()
	other := open(t, Options{Name: "b", URLs: []string{a.url()}}).(*natsStore)
	if err := other.Delete(ctx, "a.gone", Any); err != nil {
		t.Fatal(err)
	}
	if err := other.sweep(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	a.stop()
	a.port = port
	a.start()
	if c := next(t, w); c.Key != "a.gone" || !c.Deleted {
		t.Errorf("%+v", c)
	}
}
