package uring

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferSlot is struct io_uring_buf. In the first one the last field is the tail of the ring.
type bufferSlot struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16
}

// registration is struct io_uring_buf_reg.
type registration struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

const registerBufferRing = 22

// Buffers are pieces of memory that the kernel picks from when it receives (Linux 5.19). They belong to the goroutine of
// their ring, which must be one of OneThread, so that the kernel looks at them only while that enters. A completion's
// buffer is the caller's until he gives it back.
type Buffers struct {
	slots []bufferSlot
	mem   []byte
	size  int
	tail  uint16
}

// NewBuffers gives a ring n buffers (a power of two) of so many bytes, as a group.
func NewBuffers(r *Ring, group uint16, n, size int) (*Buffers, error) {
	slots := n * int(unsafe.Sizeof(bufferSlot{}))
	mem, err := unix.Mmap(-1, 0, pages(slots)+n*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("making buffers for an io_uring: %w", err)
	}
	b := &Buffers{slots: unsafe.Slice((*bufferSlot)(unsafe.Pointer(&mem[0])), n), mem: mem, size: size}
	reg := registration{addr: uint64(uintptr(unsafe.Pointer(&mem[0]))), entries: uint32(n), group: group}
	if _, _, errno := syscall.Syscall6(sysRegister, uintptr(r.fd), registerBufferRing, uintptr(unsafe.Pointer(&reg)), 1, 0, 0); errno != 0 {
		_ = unix.Munmap(mem)
		return nil, fmt.Errorf("registering buffers with an io_uring: %w", errno)
	}
	for i := range n {
		b.Give(i)
	}
	return b, nil
}

func pages(n int) int {
	const page = 4096
	return (n + page - 1) &^ (page - 1)
}

// Bytes are the first n bytes of a buffer.
func (b *Buffers) Bytes(id, n int) []byte {
	from := len(b.mem) - len(b.slots)*b.size + id*b.size
	return b.mem[from : from+n : from+b.size]
}

// Give lets the kernel have a buffer again.
func (b *Buffers) Give(id int) {
	s := &b.slots[int(b.tail)&(len(b.slots)-1)]
	s.addr, s.len, s.id = uint64(uintptr(unsafe.Pointer(&b.Bytes(id, 1)[0]))), uint32(b.size), uint16(id)
	b.tail++
	b.slots[0].tail = b.tail
}

// Close gives the memory back; the ring must be closed before.
func (b *Buffers) Close() { _ = unix.Munmap(b.mem) }
