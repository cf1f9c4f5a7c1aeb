package pump

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// monitorSlack is by how much the kernel may delay the Go scheduler's monitor thread.
//
// That thread looks at what runs: every 20 µs while anything does, in practice some
// sixty times in a pass of a few milliseconds. Each look is a sleep and a wake-up; with
// 1,000 viewers they were a fifth of all processor time. What it looks for, goroutines
// that run for 10 ms without a break and system calls that block, can wait as long
// again, if only there is a processor to spare meanwhile.
const monitorSlack = 10 * time.Millisecond

// enoughSlack is a timer slack of the whole process with which nearly as much is gained; the
// unit for systemd sets it.
const enoughSlack = time.Millisecond

// relaxMonitor sets the timer slack of the monitor thread, the first one that the Go
// runtime starts beside the main thread. The kernel lets a process with CAP_SYS_NICE do
// so; under systemd, TimerSlackNSec= does much the same for the whole process.
//
// Sources: proc_pid_timerslack_ns(5), runtime/proc.go (sysmon).
func relaxMonitor() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	var ids []int
	for _, t := range tasks {
		if id, err := strconv.Atoi(t.Name()); err == nil && id != os.Getpid() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	file := fmt.Sprintf("/proc/%d/timerslack_ns", slices.Min(ids))
	if err := os.WriteFile(file, strconv.AppendInt(nil, int64(monitorSlack), 10), 0); err != nil {
		return fmt.Errorf("setting the timer slack of the scheduler's monitor: %w", err)
	}
	return nil
}

// spareProcessor gives the scheduler one processor more than there are event loops when
// the monitor has been relaxed: a loop that waits for its sockets keeps its processor
// until the monitor looks, and packets must not wait for that.
func (p *Pump) spareProcessor(relaxed error) {
	if relaxed != nil {
		slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil || time.Duration(slack) < enoughSlack {
			p.log.Debug("a small audience costs a fifth more processor time than it has to (in a unit of systemd, set TimerSlackNSec=1ms)",
				slog.Any("reason", relaxed))
		}
		return
	}
	if procs := len(p.server.Loops()) + 1; runtime.GOMAXPROCS(0) < procs {
		runtime.GOMAXPROCS(procs)
	}
}
