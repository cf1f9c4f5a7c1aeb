package disk_test

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread returns how many bytes wait in a pipe.
func unread(f *os.File) (int, error) { return unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ) }
