package server

import (
	"fmt"
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

// iovBytes returns what an iovec points at.
func iovBytes(v *syscall.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }

// batch writes the common window of a flush to many viewers: one by one, or through the
// loop's io_uring as many at a time as it holds. It belongs to its loop.
type batch struct {
	ring    *senders // nil: one writev a viewer
	pending []*viewer
	reap    func(i int, res int32) // done, bound once

	group *group
	w     *window
	now   int64

	flat []byte          // the window in one piece, once somebody behind TLS needs it
	iovs []syscall.Iovec // of the entries that are sealed, by their place in the batch
}

// begin prepares for the viewers of a group, which all get w.
func (b *batch) begin(g *group, w *window, now int64) {
	b.group, b.w, b.now, b.flat = g, w, now, nil
}

// write gives a viewer the window, now or with the batch.
func (b *batch) write(v *viewer) {
	if v.veil != nil {
		b.writeVeiled(v)
		return
	}
	if b.ring == nil {
		n, errno := writev(v.fd, b.w.iov[:b.w.iovs])
		b.group.calls++
		b.group.shared(v, b.w, n, errno, b.now)
		return
	}
	b.ring.put(len(b.pending), v.fd, b.w.iov[:b.w.iovs])
	b.pending = append(b.pending, v)
	if len(b.pending) == b.most() {
		b.flush()
	}
}

// flush writes what is pending. If the kernel refuses the ring itself, which it does
// not once it has made it, the loop goes on with writev.
func (b *batch) flush() {
	if len(b.pending) == 0 {
		return
	}
	b.group.calls++
	err := b.ring.submit(b.reap)
	if err != nil {
		b.group.loop.srv.log.Error("io_uring fails, going on with writev", "error", err)
		b.close()
		for i, v := range b.pending {
			switch {
			case v == nil:
			case v.veil != nil:
				b.writeSealed(v, b.iovs[i:i+1])
			default:
				b.write(v)
			}
		}
	}
	clear(b.pending)
	b.pending = b.pending[:0]
	b.group.loop.seal.batch = b.group.loop.seal.batch[:0]
}

// done takes one completion.
func (b *batch) done(i int, res int32) {
	v := b.pending[i]
	b.pending[i] = nil
	n, errno := int(res), syscall.Errno(0)
	if res < 0 {
		n, errno = 0, syscall.Errno(-res)
	}
	if v.veil != nil {
		b.group.sharedSealed(v, iovBytes(&b.iovs[i]), n, errno, b.now)
		return
	}
	b.group.shared(v, b.w, n, errno, b.now)
}

func (b *batch) close() {
	if b.ring != nil {
		b.ring.close()
		b.ring = nil
	}
}

// chooseEgress gives every loop its ring, if that is wanted and possible.
func (s *Server) chooseEgress() error {
	if s.opts.Egress == EgressWritev {
		return nil
	}
	for _, l := range s.loops {
		r, err := newSenders()
		if err != nil && s.opts.Egress == EgressURing {
			return fmt.Errorf("egress %s: %w", EgressURing, err)
		}
		if err != nil {
			s.log.Info("no io_uring here, viewers are written to with writev", "reason", err)
			return nil
		}
		l.batch.ring = r
	}
	s.egress = EgressURing
	return nil
}

// Egress returns how viewers are written to: EgressURing or EgressWritev.
func (s *Server) Egress() string { return s.egress }
