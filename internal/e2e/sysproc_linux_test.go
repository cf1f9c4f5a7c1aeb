package e2e

import (
	"fmt"
	"os"
	"syscall"
)

// ownGroup puts the child into a session and group of its own, which dies with the test run, even with
// a killed one.
func ownGroup(attr *syscall.SysProcAttr) {
	attr.Setsid = true
	attr.Pdeathsig = syscall.SIGKILL
}

// favour lets a process go before the builds and tests that run beside it. Players and servers keep time,
// and on a busy machine their stutter would be taken for the stream's. Only root may; otherwise nothing happens.
func favour(pid int) {
	const niceness = -10
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, niceness)
	// Where the scheduler groups processes by session, the niceness that counts is the group's.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Append(nil, niceness), 0)
}
