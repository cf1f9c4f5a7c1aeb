package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The disk of a house's store is full, has room again, and cannot be written to at a start: changes are refused with the reason, viewers are
// sent on, what was acknowledged is there, and the house goes on by itself. A house that starts without room for a store says how much it needs.
func TestAHouseWhoseDiskIsFull(t *testing.T) {
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("runs real programs on a file system of their own, which takes root; left out with -short")
	}
	t.Parallel()
	h := newHouse(t, "full", "streams: [{path: studio, type: test_card}]\n")
	data := filepath.Join(h.Dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no file system of its own: %v", err)
	}
	t.Cleanup(func() {
		if h.proc != nil {
			h.proc.kill()
		}
		if err := syscall.Unmount(data, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	filler := filepath.Join(data, "filler")
	fill := func() {
		t.Helper()
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for block := make([]byte, 1<<20); err == nil; {
			_, err = f.Write(block)
		}
		if _ = f.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	empty := func() {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}

	fill()
	h.Start(t)
	if said := h.proc.ends(t); !strings.Contains(said, "the disk is full") || !strings.Contains(said, filepath.Join(data, "store")) {
		t.Errorf("without room for a store it said\n%s", said)
	}
	empty()
	h.Start(t)
	h.WaitReady(t, time.Minute)
	if err := h.Import(fleetRoster(3, true)); err != nil {
		t.Fatal(err)
	}
	newTellingPump(t, "p0", h.Plain(""))
	fill()
	acked := 3
	eventually(t, time.Minute, "a change is refused because the disk is full", func() bool {
		err := h.Import(fleetRoster(acked+1, false))
		if err == nil {
			acked++ // the house looks at its disk now and then
		}
		return err != nil && strings.Contains(err.Error(), "the disk is full")
	})
	eventually(t, 30*time.Second, "viewers are sent on", func() bool { return status(h.Plain("/streams/studio.asx")) == http.StatusOK })
	h.has(t, int64(acked))
	empty()
	acked += 2
	eventually(t, time.Minute, "a change is taken again", func() bool { return h.Import(fleetRoster(acked, false)) == nil })
	h.has(t, int64(acked))
	h.proc.kill()

	if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	h.Start(t)
	if said := h.proc.ends(t); !strings.Contains(said, "read-only file system") || !strings.Contains(said, "a disk that can be written to") {
		t.Errorf("on a disk that cannot be written to it said\n%s", said)
	}
	if err := syscall.Mount("", data, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	h.Start(t)
	h.WaitReady(t, time.Minute)
	h.has(t, int64(acked))
}
