package main

import (
	"log"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/internal/uring"
)

const ringEntries = 1024

// throughRing writes as the pump does: one sendmsg a viewer that never waits, as many to
// a system call as the ring has room for.
func throughRing() (writer, error) {
	ring, err := uring.New(ringEntries, uring.SubmitAll)
	if err != nil {
		return nil, err
	}
	return func(fds []int, iov []syscall.Iovec) []int {
		m := &unix.Msghdr{Iov: (*unix.Iovec)(unsafe.Pointer(&iov[0]))}
		m.SetIovlen(len(iov))
		want := int32(size(iov))
		for rest := fds; len(rest) > 0; {
			part := rest[:min(len(rest), ring.Room())]
			rest = rest[len(part):]
			for i, fd := range part {
				ring.Put(uring.Entry{Op: uring.OpSendmsg, FD: int32(fd), Addr: uint64(uintptr(unsafe.Pointer(m))), Len: 1,
					OpFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, User: uint64(i)})
			}
			err := ring.Finish(func(c uring.Completion) {
				if c.Res != want {
					_ = syscall.Close(part[c.User])
					part[c.User] = -1
				}
			})
			if err != nil {
				log.Fatal(err)
			}
		}
		alive := fds[:0]
		for _, fd := range fds {
			if fd >= 0 {
				alive = append(alive, fd)
			}
		}
		return alive
	}, nil
}
