//go:build unix

package pump

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// openFiles is how many files the process may open.
type openFiles struct {
	most uint64
	err  error // why that is not known
}

// raiseOpenFiles lifts the soft limit of open files to the hard one, and for root both to
// what limits.connections needs, if it is set.
func raiseOpenFiles(connections int) openFiles {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return openFiles{err: fmt.Errorf("asking for the limit of open files: %w", err)}
	}
	if want := uint64(connections) + spareFiles; connections > 0 && l.Max < want {
		higher := unix.Rlimit{Cur: want, Max: want}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &higher) == nil { // only root may
			return openFiles{most: want}
		}
	}
	if l.Cur < l.Max {
		higher := unix.Rlimit{Cur: l.Max, Max: l.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &higher) == nil {
			return openFiles{most: l.Max}
		}
	}
	return openFiles{most: l.Cur} // it serves with what there is
}
