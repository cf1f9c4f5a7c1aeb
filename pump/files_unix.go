//go:build unix

package pump

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// raiseOpenFiles lifts the soft limit of open files to the hard one and returns it.
func raiseOpenFiles() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("asking for the limit of open files: %w", err)
	}
	if l.Cur >= l.Max {
		return uint64(l.Cur), nil
	}
	was := l.Cur
	l.Cur = l.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return uint64(was), nil // it serves with what there is
	}
	return uint64(l.Cur), nil
}
