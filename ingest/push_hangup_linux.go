package ingest

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp tells whether the other end of a connection has closed it, though what it sent before may lie unread. The kernel
// knows that at once; whoever reads learns it behind the last byte.
func hungUp(c net.Conn) bool {
	for {
		under, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = under.NetConn()
	}
	sys, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return true // closed on our side as well
	}
	look := []unix.PollFd{{Events: unix.POLLRDHUP}}
	err = raw.Control(func(fd uintptr) {
		look[0].Fd = int32(fd)
		_, _ = unix.Poll(look, 0)
	})
	return err != nil || look[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
