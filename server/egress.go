package server

import (
	"syscall"
	"unsafe"
)

// maxVectors is what one writev may carry (IOV_MAX on Linux is 1024).
const maxVectors = 512

// writev writes iov to a non-blocking descriptor with one raw system call: no copy, no
// allocation, and no notice to the scheduler, for the call never waits. The memory that
// iov points to must be kept alive by the caller.
func writev(fd int, iov []syscall.Iovec) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		if errno == syscall.EINTR {
			continue
		}
		return int(n), errno
	}
}

// vector points an iovec at b, which must not be empty.
func vector(v *syscall.Iovec, b []byte) {
	v.Base = &b[0]
	v.SetLen(len(b))
}
