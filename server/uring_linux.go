package server

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/internal/uring"
)

// senders is an io_uring of one event loop, used for one thing: a batch of vectored
// writes to sockets, submitted and completed in one system call. Each is a sendmsg with
// MSG_DONTWAIT, which never waits, so every completion is there when io_uring_enter
// returns; no write is ever in flight between two calls, and a batch gives the same
// guarantees as the same writev calls one by one. That the socket is non-blocking is not
// enough: since Linux 5.18 the ring itself waits until such a socket takes something,
// and the whole loop would wait for its slowest viewer. It belongs to its loop.
type senders struct {
	ring *uring.Ring
	msgs []unix.Msghdr // of the entries put, by their place in the batch
	took func(i int, res int32)
	reap func(uring.Completion) // calls took, bound once
}

const sendersEntries = 1024

// newSenders makes a ring, or says why this kernel does not let us.
func newSenders() (*senders, error) {
	ring, err := uring.New(sendersEntries, uring.SubmitAll)
	if err != nil {
		return nil, err
	}
	u := &senders{ring: ring, msgs: make([]unix.Msghdr, ring.Len())}
	u.reap = func(c uring.Completion) { u.took(int(c.User), c.Res) }
	return u, nil
}

// size is how many writes a batch may have.
func (u *senders) size() int { return len(u.msgs) }

// put makes entry i of the next batch a write of iov to fd.
func (u *senders) put(i int, fd int, iov []syscall.Iovec) {
	m := &u.msgs[i]
	m.Iov = (*unix.Iovec)(unsafe.Pointer(&iov[0]))
	m.SetIovlen(len(iov))
	u.ring.Put(uring.Entry{Op: uring.OpSendmsg, FD: int32(fd), Addr: uint64(uintptr(unsafe.Pointer(m))), Len: 1,
		OpFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, User: uint64(i)})
}

// submit writes the entries that were put and calls took with the place and result
// (bytes, or minus an errno) of each, in any order. The memory that their vectors point
// at must be kept alive by the caller.
func (u *senders) submit(took func(i int, res int32)) error {
	u.took = took
	return u.ring.Finish(u.reap)
}

func (u *senders) close() { u.ring.Close() }
