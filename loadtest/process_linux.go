package loadtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process had used up at some moment.
type usage struct {
	cpu time.Duration // user and system
	rss uint64        // bytes
}

// clockTick is the unit of /proc/PID/stat; Linux fixes it at a hundredth of a second for programs.
const clockTick = 10 * time.Millisecond

// usageOf reads a process's figures.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return usage{}, fmt.Errorf("reading the figures of process %d: %w", pid, err)
	}
	// The command's name is in brackets and may hold anything; fields are counted behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("reading the figures of process %d: %d fields", pid, len(fields))
	}
	number := func(i int) uint64 { n, _ := strconv.ParseUint(string(fields[i]), 10, 64); return n }
	return usage{cpu: time.Duration(number(11)+number(12)) * clockTick, rss: number(21) * uint64(os.Getpagesize())}, nil
}

// ownUsage is this process's, with a finer clock.
func ownUsage() usage {
	u, _ := usageOf(os.Getpid())
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return u
}

// machineTime is the time that all processors have worked, and all of their time, in ticks. Zeros where it cannot be read.
type machineTime struct{ busy, all uint64 }

func timeOfMachine() machineTime {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return machineTime{}
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	fields := strings.Fields(line)
	var t machineTime
	for i, text := range fields[min(1, len(fields)):min(9, len(fields))] { // user … steal; guests are in user
		n, _ := strconv.ParseUint(text, 10, 64)
		if t.all += n; i != 3 && i != 4 { // idle, waiting for disks
			t.busy += n
		}
	}
	return t
}

// add adds the time between two readings.
func (t *machineTime) add(from, to machineTime) {
	t.busy += to.busy - min(from.busy, to.busy)
	t.all += to.all - min(from.all, to.all)
}

const filesApart = 64 // descriptors for everything but viewers

// checkFiles makes sure that so many viewers can be connected, raising the limit as far as it goes.
func checkFiles(viewers int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	need := uint64(viewers + filesApart)
	if l.Cur < need && l.Cur < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return fmt.Errorf("raising the limit of open files to %d: %w", l.Max, err)
		}
	}
	if l.Cur < need {
		return fmt.Errorf("%d viewers need %d open files and this process may have %d: raise the hard limit (ulimit -Hn), or use several load testers", viewers, need, l.Cur)
	}
	return nil
}
