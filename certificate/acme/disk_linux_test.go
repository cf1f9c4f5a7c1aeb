package acme

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a folder on a file system of its own, of 64 KiB.
func smallDisk(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=65536,mode=0700"); err != nil {
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
	return folder
}

func fill(t *testing.T, folder string) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "junk"))
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

func empty(t *testing.T, folder string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, "junk")); err != nil {
		t.Fatal(err)
	}
}

func remount(t *testing.T, folder string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// A folder that cannot be written is told with what would be right. The authority is not asked for what could not be
// kept, which would count towards its limits; the certificate there is stays in force; and once the folder can be written
// again, a new one is got without anybody's doing.
func TestTheFolderCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil, mend func(*testing.T, string)
		want        string
		renewal     bool // tried for a renewal too, which takes a minute
	}{
		"it is full": {fill, empty, "no space left on device (there is no room left; make some", true},
		"it is read-only": {
			func(t *testing.T, folder string) { remount(t, folder, syscall.MS_RDONLY) },
			func(t *testing.T, folder string) { remount(t, folder, 0) },
			"read-only file system (let the user who runs the program write there", false,
		},
	} {
		for when, old := range map[string]bool{"for the first certificate": false, "for a renewal": true} {
			if old && !c.renewal {
				continue
			}
			t.Run(name+" "+when, func(t *testing.T) {
				if old && testing.Short() {
					t.Skip("the library makes no second attempt within a minute; left out with -short")
				}
				t.Parallel()
				folder := smallDisk(t)
				s := newStand(t, strings.NewReplacer(" ", "-", "it-is-", "").Replace(name+" "+when)+".test", standing{
					folder: folder, old: old, before: func(*Manager) { c.spoil(t, folder) },
				})
				s.until("the state says what is wrong", func() bool {
					p := s.Issued()[0].Problem
					return strings.Contains(p, "acme.folder "+folder) && strings.Contains(p, c.want)
				})
				s.until("the log does", func() bool {
					return strings.Contains(s.log.String(), "level=ERROR") && s.told("acme.folder "+folder) > 0
				})
				if s.orders.Load() != 0 || s.Failures() == 0 {
					t.Errorf("%d orders, %d failures", s.orders.Load(), s.Failures())
				}
				c.mend(t, folder)
				s.until("there is a new one", s.renewed)
				if p := s.Issued()[0].Problem; p != "" {
					t.Errorf("after that, there is still %q", p)
				}
			})
		}
	}
}
