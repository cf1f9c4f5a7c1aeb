package e2e

import "syscall"

// ownGroup puts the child into a group of its own, which dies with the test run, even with a killed one.
func ownGroup(attr *syscall.SysProcAttr) {
	attr.Setpgid = true
	attr.Pdeathsig = syscall.SIGKILL
}
