//go:build unix

package house

import (
	"syscall"
	"testing"
)

// openFiles is how many files the test may open.
func openFiles(t *testing.T) uint64 {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return min(uint64(l.Cur), 1<<20) //nolint:unconvert // signed on some systems
}
