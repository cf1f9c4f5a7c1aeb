//go:build unix

package pump

import "syscall"

// upgradeSignal asks for a new copy of the program to take over.
const upgradeSignal = syscall.SIGUSR2
