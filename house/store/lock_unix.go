//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockWithin is how long somebody else may take to leave the folder.
const lockWithin = 5 * time.Second

// lockFolder sees that one program at a time has its server in a folder: two would spoil
// each other's files. The lock ends with the program, however that ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of the store: %w%s", err, owner(err))
	}
	for deadline := time.Now().Add(lockWithin); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("another house uses the store in %s: %w (each house needs a folder `data` of its own)", dir, ErrHeld)
		}
	}
}
