package uring

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Entry is struct io_uring_sqe, as far as sockets need it.
type Entry struct {
	Op       uint8
	Flags    uint8  // Entry…
	Priority uint16 // for OpRecv: RecvMultishot
	FD       int32
	_        uint64
	Addr     uint64
	Len      uint32
	OpFlags  uint32 // MSG_… of a message
	User     uint64 // comes back in the completion
	Group    uint16 // of the buffers to pick from
	_        uint16
	_        uint32
	_        [2]uint64
}

// Completion is struct io_uring_cqe.
type Completion struct {
	User  uint64
	Res   int32 // what the system call would have returned, or minus an errno
	Flags uint32
}

// Operations, and what goes with them.
const (
	OpSendmsg = 9
	OpRecv    = 27

	EntryPickBuffer = 1 << 5 // the kernel picks a buffer of the entry's group

	RecvMultishot = 1 << 1 // goes on receiving until something ends it (Linux 6.0)
)

// More says that more completions of the same entry follow.
func (c Completion) More() bool { return c.Flags&(1<<1) != 0 }

// Buffer is the number of the buffer that the kernel picked, -1 when it picked none.
func (c Completion) Buffer() int {
	if c.Flags&(1<<0) == 0 {
		return -1
	}
	return int(c.Flags >> 16)
}

// Set-up flags for [New].
const (
	// SubmitAll: an entry that fails does not stop those behind it (Linux 5.18).
	SubmitAll = 1 << 7
	// OneThread: only the thread that made the ring enters it, and what the kernel has to do for it is done then
	// and at no other time (Linux 6.1). The goroutine must be locked to its thread.
	OneThread = 1<<12 | 1<<13
)

const (
	sysSetup    = 425
	sysEnter    = 426
	sysRegister = 427

	enterGetEvents = 1 << 0

	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

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

// Ring is an io_uring. It belongs to one goroutine, but for Close, which nothing else may run beside.
type Ring struct {
	fd      int
	entries []Entry
	put     uint32    // entries that the kernel has not been shown
	pending uint32    // entries that it was shown and has not taken
	mem     [3][]byte // mappings: submission ring, completion ring, entries

	sqTail, sqMask *uint32
	cqHead, cqTail *uint32
	cqMask         uint32
	completions    []Completion
}

// New makes a ring of so many entries (a power of two), or says why this kernel does not let us.
func New(entries, flags uint32) (*Ring, error) {
	p := params{flags: flags}
	fd, _, errno := syscall.Syscall(sysSetup, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	r := &Ring{fd: int(fd)}
	if err := r.mapRings(&p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Ring) mapRings(p *params) error {
	sizes := [...]int{
		int(p.sqOff.array + p.sqEntries*4),
		int(p.cqOff.cqes) + int(p.cqEntries)*int(unsafe.Sizeof(Completion{})),
		int(p.sqEntries) * int(unsafe.Sizeof(Entry{})),
	}
	for i, off := range [...]int64{offSQRing, offCQRing, offSQEs} {
		m, err := unix.Mmap(r.fd, off, sizes[i], unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return fmt.Errorf("mapping an io_uring: %w", err)
		}
		r.mem[i] = m
	}
	sq, cq := r.mem[0], r.mem[1]
	at := func(m []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&m[off])) }
	r.sqTail, r.sqMask = at(sq, p.sqOff.tail), at(sq, p.sqOff.ringMask)
	r.cqHead, r.cqTail, r.cqMask = at(cq, p.cqOff.head), at(cq, p.cqOff.tail), *at(cq, p.cqOff.ringMask)
	r.completions = unsafe.Slice((*Completion)(unsafe.Pointer(&cq[p.cqOff.cqes])), p.cqEntries)
	r.entries = unsafe.Slice((*Entry)(unsafe.Pointer(&r.mem[2][0])), p.sqEntries)
	for i, array := 0, unsafe.Slice(at(sq, p.sqOff.array), p.sqEntries); i < len(array); i++ {
		array[i] = uint32(i)
	}
	return nil
}

// Len is how many entries the ring has room for.
func (r *Ring) Len() int { return len(r.entries) }

// Room is how many more entries can be put before the next Enter.
func (r *Ring) Room() int { return len(r.entries) - int(r.put+r.pending) }

// Put adds an entry to those that the next Enter submits. There must be room. What the entry points at must be kept
// alive by the caller until its completion.
func (r *Ring) Put(e Entry) {
	r.entries[(*r.sqTail+r.put)&*r.sqMask] = e // the tail is ours: the kernel only reads it
	r.put++
}

// Enter submits what was put, lets the kernel do what it has to do for this ring, and waits until so many completions
// are there. It is one system call, of which the scheduler is told nothing: it must not be made to wait long.
func (r *Ring) Enter(wait int) error {
	if r.put > 0 {
		atomic.StoreUint32(r.sqTail, *r.sqTail+r.put)
		r.pending, r.put = r.pending+r.put, 0
	}
	took, _, errno := syscall.RawSyscall6(sysEnter, uintptr(r.fd), uintptr(r.pending), uintptr(wait), enterGetEvents, 0, 0)
	switch errno {
	case 0:
		r.pending -= uint32(took)
	case syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
	default:
		return fmt.Errorf("io_uring_enter: %w", errno)
	}
	return nil
}

// Reap calls took with each completion that is there, in any order, and returns how many there were.
func (r *Ring) Reap(took func(Completion)) int {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	n := int(tail - head)
	for ; head != tail; head++ {
		took(r.completions[head&r.cqMask])
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}

// Finish submits what was put and reaps until every entry, of which each has one completion, is complete.
func (r *Ring) Finish(took func(Completion)) error {
	for left := int(r.put); left > 0; left -= r.Reap(took) {
		if err := r.Enter(left); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the ring back. What is in flight is cancelled. A second call does nothing.
func (r *Ring) Close() {
	for i, m := range r.mem {
		if m != nil {
			_ = unix.Munmap(m)
			r.mem[i] = nil
		}
	}
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}
