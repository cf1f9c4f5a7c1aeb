package loadtest

import (
	"hash/crc32"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clock reads the machine's monotonic clock, the same for all processes of the machine, without a system call.
type clock struct {
	at   time.Time
	base int64 // ns since boot at that time
}

var monotonic = newClock()

func newClock() clock {
	var ts unix.Timespec
	at := time.Now()
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return clock{at: at, base: at.UnixNano()}
	}
	return clock{at: at, base: ts.Nano()}
}

// now is in ns since the machine's boot.
func (c *clock) now() int64 { return c.base + int64(time.Since(c.at)) }

// now is the time that stamps and viewers share, in ns.
func now() int64 { return monotonic.now() }

// hostMark tells this boot of this machine from others: times of stamps only compare within one.
var hostMark = readHostMark()

func readHostMark() uint32 {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		name, _ := os.Hostname()
		id = []byte(name)
	}
	return crc32.ChecksumIEEE(id)
}
