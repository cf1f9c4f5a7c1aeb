//go:build unix

package store

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeBytes returns what an ordinary user may still write in a folder's file system.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("looking at the disk of %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
