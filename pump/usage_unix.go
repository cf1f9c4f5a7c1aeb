//go:build unix

package pump

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// usedByProcess returns the time of processors and the resident memory, in bytes, of the
// program; 0 where the system does not tell.
func usedByProcess() (processors time.Duration, memory int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		processors = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	text, err := os.ReadFile("/proc/self/statm")
	if fields := bytes.Fields(text); err == nil && len(fields) > 1 {
		if pages, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
			memory = pages * int64(os.Getpagesize())
		}
	}
	return processors, memory
}
