package server

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring is an io_uring of one event loop, used for one thing: a batch of vectored
// writes to sockets, submitted and completed in one system call. Each is a sendmsg with
// MSG_DONTWAIT, which never waits, so every completion is there when io_uring_enter
// returns; no write is ever in flight between two calls, and a batch gives the same
// guarantees as the same writev calls one by one. That the socket is non-blocking is not
// enough: since Linux 5.18 the ring itself waits until such a socket takes something,
// and the whole loop would wait for its slowest viewer. It belongs to its loop.
//
// Sources: io_uring_setup(2), io_uring_enter(2), linux/io_uring.h.
type uring struct {
	fd      int
	entries uint32
	sqes    []sqe
	msgs    []unix.Msghdr // of the entries put, by their place in the batch
	mem     [3][]byte     // mappings: submission ring, completion ring, entries

	sqTail, sqMask *uint32
	sqArray        []uint32
	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           []cqe
}

// sqe is struct io_uring_sqe, as far as a write needs it.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	length   uint32
	msgFlags uint32
	userData uint64
	_        [3]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFd uint32
	resv                                                                   [3]uint32
	sqOff                                                                  struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
		userAddr                                                        uint64
	}
	cqOff struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
		userAddr                                                        uint64
	}
}

const (
	sysURingSetup = 425
	sysURingEnter = 426

	uringOpSendmsg = 9

	uringSetupSubmitAll = 1 << 7 // one failed write does not stop the batch (Linux 5.18)
	uringEnterGetEvents = 1 << 0

	uringOffSQRing = 0
	uringOffCQRing = 0x8000000
	uringOffSQEs   = 0x10000000

	uringEntries = 1024
)

// newURing makes a ring, or says why this kernel does not let us.
func newURing() (*uring, error) {
	p := params{flags: uringSetupSubmitAll}
	fd, _, errno := syscall.Syscall(sysURingSetup, uringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	u := &uring{fd: int(fd), entries: p.sqEntries, msgs: make([]unix.Msghdr, p.sqEntries)}
	if err := u.mapRings(&p); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

func (u *uring) mapRings(p *params) error {
	sizes := [...]int{
		int(p.sqOff.array + p.sqEntries*4),
		int(p.cqOff.cqes) + int(p.cqEntries)*int(unsafe.Sizeof(cqe{})),
		int(p.sqEntries) * int(unsafe.Sizeof(sqe{})),
	}
	for i, off := range [...]int64{uringOffSQRing, uringOffCQRing, uringOffSQEs} {
		m, err := unix.Mmap(u.fd, off, sizes[i], unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return fmt.Errorf("mapping an io_uring: %w", err)
		}
		u.mem[i] = m
	}
	sq, cq := u.mem[0], u.mem[1]
	at := func(m []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&m[off])) }
	u.sqTail, u.sqMask = at(sq, p.sqOff.tail), at(sq, p.sqOff.ringMask)
	u.sqArray = unsafe.Slice(at(sq, p.sqOff.array), p.sqEntries)
	u.cqHead, u.cqTail, u.cqMask = at(cq, p.cqOff.head), at(cq, p.cqOff.tail), *at(cq, p.cqOff.ringMask)
	u.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&cq[p.cqOff.cqes])), p.cqEntries)
	u.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&u.mem[2][0])), p.sqEntries)
	for i := range u.sqArray {
		u.sqArray[i] = uint32(i)
	}
	return nil
}

// put makes entry i of the next batch a write of iov to fd.
func (u *uring) put(i int, fd int, iov []syscall.Iovec) {
	m := &u.msgs[i]
	m.Iov = (*unix.Iovec)(unsafe.Pointer(&iov[0]))
	m.SetIovlen(len(iov))
	tail := atomic.LoadUint32(u.sqTail)
	u.sqes[(tail+uint32(i))&*u.sqMask] = sqe{
		opcode: uringOpSendmsg, fd: int32(fd), addr: uint64(uintptr(unsafe.Pointer(m))),
		length: 1, msgFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, userData: uint64(i),
	}
}

// submit writes the first n entries that were put and calls took with the place and
// result (bytes, or minus an errno) of each, in any order. The memory that their
// vectors point at must be kept alive by the caller.
func (u *uring) submit(n int, took func(i int, res int32)) error {
	atomic.StoreUint32(u.sqTail, atomic.LoadUint32(u.sqTail)+uint32(n))
	toSubmit := n
	for reaped := 0; reaped < n; {
		got, _, errno := syscall.RawSyscall6(sysURingEnter, uintptr(u.fd), uintptr(toSubmit), uintptr(n-reaped), uringEnterGetEvents, 0, 0)
		if errno != 0 && errno != syscall.EINTR && errno != syscall.EAGAIN && errno != syscall.EBUSY {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		if errno == 0 {
			toSubmit -= int(got)
		}
		reaped += u.reap(took)
	}
	return nil
}

// reap takes the completions that are there.
func (u *uring) reap(took func(i int, res int32)) int {
	head, tail := atomic.LoadUint32(u.cqHead), atomic.LoadUint32(u.cqTail)
	n := int(tail - head)
	for ; head != tail; head++ {
		c := &u.cqes[head&u.cqMask]
		took(int(c.userData), c.res)
	}
	atomic.StoreUint32(u.cqHead, head)
	return n
}

func (u *uring) close() {
	for _, m := range u.mem {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(u.fd)
}
