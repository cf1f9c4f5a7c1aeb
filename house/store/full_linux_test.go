package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until so many bytes are free, and returns its name.
func fill(t *testing.T, dir string, leave int64) string {
	t.Helper()
	name := filepath.Join(dir, "junk")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 4096)
	for {
		free, err := freeBytes(dir)
		if err != nil {
			t.Fatal(err)
		}
		if free <= leave {
			return name
		}
		if _, err := f.Write(block[:min(int64(len(block)), free-leave)]); err != nil {
			if errors.Is(err, syscall.ENOSPC) && leave == 0 {
				return name
			}
			t.Fatal(err)
		}
	}
}

func becomes(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}

// Before the disk is full changes are refused with that reason; what is there stays, and
// once there is room changes are taken again.
func TestAFullDiskIsToldBeforeItIsMet(t *testing.T) {
	dir := smallDisk(t, 48<<20)
	s := open(t, Options{Name: "a", Dir: filepath.Join(dir, "store")})
	ctx := within(t, 120*time.Second)
	if _, err := s.Put(ctx, "a.x", []byte("kept"), Absent); err != nil {
		t.Fatal(err)
	}
	junk := fill(t, dir, defaultReserve/2)
	becomes(t, "the full disk is seen", func() bool { return errors.Is(s.Health(), ErrFull) })
	if _, err := s.Put(ctx, "a.y", nil, Any); !errors.Is(err, ErrFull) {
		t.Errorf("put: %v", err)
	}
	if err := s.Delete(ctx, "a.x", Any); !errors.Is(err, ErrFull) {
		t.Errorf("delete: %v", err)
	}
	if e, err := s.Get(ctx, "a.x"); err != nil || string(e.Value) != "kept" {
		t.Errorf("%+v, %v", e, err)
	}
	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	becomes(t, "the room is seen", func() bool { return s.Health() == nil })
	if _, err := s.Put(ctx, "a.y", nil, Any); err != nil {
		t.Error(err)
	}
}

// A server that meets a full disk gives up altogether. It is started anew once there is
// room; what was acknowledged is there, and watches go on.
func TestAFullDiskThatIsMet(t *testing.T) {
	dir := smallDisk(t, 48<<20)
	s := open(t, Options{Name: "a", Dir: filepath.Join(dir, "store")})
	n := s.(*natsStore)
	n.embedded.reserve.Store(0)
	ctx := within(t, 180*time.Second)
	w, err := s.Watch(ctx, "a.")
	if err != nil {
		t.Fatal(err)
	}
	for c := next(t, w); !c.Whole; c = next(t, w) {
	}
	junk := fill(t, dir, 2<<20)
	value := make([]byte, 100_000)
	acknowledged := map[string]uint64{}
	var failed error
	for i := 0; failed == nil; i++ {
		if i == 1000 {
			t.Fatal("the disk does not become full")
		}
		key := fmt.Sprintf("a.%d", i)
		r, err := s.Put(ctx, key, value, Absent)
		if failed = err; err == nil {
			acknowledged[key] = r
			if c := next(t, w); c.Key != key {
				t.Errorf("%+v", c.Key)
			}
		}
	}
	if !errors.Is(failed, ErrFull) && !errors.Is(failed, ErrUnavailable) {
		t.Errorf("%v", failed)
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was put before the disk was full")
	}
	n.embedded.reserve.Store(defaultReserve)
	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	becomes(t, "changes are taken again", func() bool {
		_, err := s.Put(ctx, "a.after", []byte("again"), Any)
		return err == nil
	})
	for key, r := range acknowledged {
		if e, err := s.Get(ctx, key); err != nil || e.Revision != r || len(e.Value) != len(value) {
			t.Errorf("%s: revision %d, %d bytes, %v; it was acknowledged with %d", key, e.Revision, len(e.Value), err, r)
		}
	}
	for c := next(t, w); c.Key != "a.after"; c = next(t, w) {
		t.Logf("in between: %s", c.Key) // one that failed may have happened
	}
}

// What was acknowledged is there after the server was started anew.
func TestAStoreIsOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Name: "a", Dir: dir})
	ctx := within(t, 60*time.Second)
	r, err := s.Put(ctx, "a.x", []byte("kept"), Absent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Options{Name: "b", Prefix: "test", Replicas: 1, Dir: dir}); !errors.Is(err, ErrHeld) {
		t.Errorf("a second server in one folder: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "a.y", nil, Any); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
	s = open(t, Options{Name: "a", Dir: dir})
	if e, err := s.Get(ctx, "a.x"); err != nil || string(e.Value) != "kept" || e.Revision != r {
		t.Errorf("%+v, %v", e, err)
	}
}

// A watch of a store in servers that are elsewhere goes on after these were away.
func TestAWatchGoesOnOverABreak(t *testing.T) {
	a := newExisting(t)
	s := open(t, Options{Name: "a", URLs: []string{a.url()}})
	ctx := within(t, 120*time.Second)
	if _, err := s.Put(ctx, "a.x", []byte("1"), Any); err != nil {
		t.Fatal(err)
	}
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
	becomes(t, "the break is seen", func() bool { return !s.Bus().Connected() && s.Health() != nil })
	if _, err := s.Put(ctx, "a.y", nil, Any); !errors.Is(err, ErrUnavailable) {
		t.Errorf("while it is away: %v", err)
	}
	if err := s.Bus().Publish("x", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a word while it is away: %v", err)
	}
	a.start()
	other := open(t, Options{Name: "b", URLs: []string{a.url()}})
	if _, err := other.Put(ctx, "a.x", []byte("2"), Any); err != nil {
		t.Fatal(err)
	}
	if err := other.Delete(ctx, "a.gone", Any); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for len(got) < 2 {
		c := next(t, w)
		got[c.Key] = fmt.Sprintf("%s %v", c.Value, c.Deleted)
	}
	if got["a.x"] != "2 false" || got["a.gone"] != " true" {
		t.Errorf("%v", got)
	}
	becomes(t, "leases are taken again", func() bool {
		l, err := s.Acquire(ctx, "leader", nil)
		return err == nil && l.Release(ctx) == nil
	})
}
