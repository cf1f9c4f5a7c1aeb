package pump

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk puts a file system of so many bytes in place of a folder, and returns what fills
// it up.
func smallDisk(t *testing.T, folder string, size int) (fill func()) {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return func() {
		f, err := os.OpenFile(filepath.Join(folder, "junk"), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		for err == nil {
			_, err = f.Write(make([]byte, 1024))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// A pump whose disk is full goes on with what the house says, and says that it cannot keep it.
func TestAFullDiskUnderTheCache(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	cache := filepath.Join(e.dir, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	full := smallDisk(t, cache, 64<<10)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	w.eventually("the first wishes are kept", func() bool { _, ok, _ := w.member.cache.Config("ottawa"); return ok })
	full()
	e.stream(`{"path": "second", "type": "test_card"}`)
	w.awaitLive("second")
	w.eventually("the house is told", func() bool {
		return strings.Contains(strings.Join(e.pump("ottawa").Report().State.Faults, " "), "cannot be kept")
	})
	if kept, ok, err := w.member.cache.Config("ottawa"); !ok || err != nil || bytes.Contains(kept.Settings, []byte("second")) {
		t.Errorf("what was kept before is damaged: %t, %v", ok, err)
	}
}
