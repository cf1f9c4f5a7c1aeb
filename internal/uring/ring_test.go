//go:build linux

package uring

import (
	"bytes"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newRing is a ring for a test that stays on its thread; without io_uring the test is skipped.
func newRing(t *testing.T, entries uint32) *Ring {
	t.Helper()
	runtime.LockOSThread()
	r, err := New(entries, SubmitAll|OneThread)
	if err != nil {
		t.Skipf("no io_uring here: %v", err)
	}
	t.Cleanup(func() {
		r.Close()
		runtime.UnlockOSThread()
	})
	return r
}

// pair is two ends of a connection that never block.
func pair(t *testing.T) (int, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func write(t *testing.T, fd int, b []byte) {
	t.Helper()
	if n, err := unix.Write(fd, b); err != nil || n != len(b) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(b), err)
	}
}

// reap enters and returns what is complete.
func reap(t *testing.T, r *Ring) []Completion {
	t.Helper()
	if err := r.Enter(0); err != nil {
		t.Fatal(err)
	}
	var list []Completion
	r.Reap(func(c Completion) { list = append(list, c) })
	return list
}

// The kernel reads and writes these by offset.
func TestSizesAreTheKernels(t *testing.T) {
	for _, tc := range []struct {
		name      string
		got, want uintptr
	}{
		{"struct io_uring_sqe", unsafe.Sizeof(Entry{}), 64},
		{"its user_data", unsafe.Offsetof(Entry{}.User), 32},
		{"its buf_group", unsafe.Offsetof(Entry{}.Group), 40},
		{"struct io_uring_cqe", unsafe.Sizeof(Completion{}), 16},
		{"struct io_uring_params", unsafe.Sizeof(params{}), 120},
		{"struct io_uring_buf", unsafe.Sizeof(bufferSlot{}), 16},
		{"struct io_uring_buf_reg", unsafe.Sizeof(registration{}), 40},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d bytes, the kernel has %d", tc.name, tc.got, tc.want)
		}
	}
}

// A batch of writes is complete when Finish returns, each with its own result, also past the end of the ring.
func TestFinishCompletesABatch(t *testing.T) {
	r := newRing(t, 8)
	good, other := pair(t)
	full, _ := pair(t)
	filler := make([]byte, 1<<20)
	for {
		if _, err := unix.Write(full, filler); err != nil {
			break
		}
	}
	for round := range 5 { // 5 × 6 entries go round a ring of 8 several times
		iov := unix.Iovec{Base: &filler[0]}
		iov.SetLen(7)
		m := unix.Msghdr{Iov: &iov}
		m.SetIovlen(1)
		for i := range 6 {
			fd := good
			if i == 3 {
				fd = full
			}
			r.Put(Entry{Op: OpSendmsg, FD: int32(fd), Addr: uint64(uintptr(unsafe.Pointer(&m))), Len: 1,
				OpFlags: unix.MSG_DONTWAIT, User: uint64(i)})
		}
		if r.Room() != 2 {
			t.Errorf("room for %d more, want 2", r.Room())
		}
		results := map[uint64]int32{}
		if err := r.Finish(func(c Completion) { results[c.User] = c.Res }); err != nil {
			t.Fatal(err)
		}
		runtime.KeepAlive(&m)
		for i := range uint64(6) {
			want := int32(7)
			if i == 3 {
				want = -int32(unix.EAGAIN)
			}
			if results[i] != want {
				t.Errorf("round %d, entry %d: %d, want %d", round, i, results[i], want)
			}
		}
		if n, _ := unix.Read(other, make([]byte, 100)); n != 35 {
			t.Errorf("round %d: %d bytes came, want 35", round, n)
		}
	}
}

// One receive serves a connection to its end, in whatever buffers are free.
func TestAReceiveGoesOnUntilTheConnectionEnds(t *testing.T) {
	r := newRing(t, 8)
	b := buffers(t, r, 2, 16)
	here, there := pair(t)
	r.Put(Entry{Op: OpRecv, Flags: EntryPickBuffer, Priority: RecvMultishot, FD: int32(here), User: 42})
	if got := reap(t, r); len(got) != 0 {
		t.Fatalf("completions before anything came: %+v", got)
	}
	for _, text := range []string{"one", "two", "three", "four"} { // more than there are buffers
		write(t, there, []byte(text))
		got := reap(t, r)
		if len(got) != 1 || got[0].User != 42 || !got[0].More() || got[0].Buffer() < 0 {
			t.Fatalf("completions of %q: %+v", text, got)
		}
		if in := b.Bytes(got[0].Buffer(), int(got[0].Res)); string(in) != text {
			t.Errorf("received %q, want %q", in, text)
		}
		b.Give(got[0].Buffer())
	}
	unix.Shutdown(there, unix.SHUT_WR)
	if got := reap(t, r); len(got) != 1 || got[0].Res != 0 || got[0].More() || got[0].Buffer() >= 0 {
		t.Errorf("completions of the end: %+v", got)
	}
}

// Without free buffers a receive ends, loses nothing, and can be begun again.
func TestAReceiveWithoutBuffersEnds(t *testing.T) {
	r := newRing(t, 8)
	b := buffers(t, r, 2, 4)
	here, there := pair(t)
	receive := Entry{Op: OpRecv, Flags: EntryPickBuffer, Priority: RecvMultishot, FD: int32(here)}
	r.Put(receive)
	reap(t, r)
	sent := []byte("twelve bytes")
	write(t, there, sent)
	var got []byte
	ended := 0
	for tries := 0; len(got) < len(sent) && tries < 20; tries++ {
		var used []int
		for _, c := range reap(t, r) {
			if c.Buffer() >= 0 {
				got = append(got, b.Bytes(c.Buffer(), int(c.Res))...)
				used = append(used, c.Buffer())
			}
			if !c.More() {
				if c.Res < 0 && c.Res != -int32(unix.ENOBUFS) {
					t.Fatalf("the receive ended with %d", c.Res)
				}
				ended++
				r.Put(receive)
			}
		}
		for _, id := range used {
			b.Give(id)
		}
	}
	if !bytes.Equal(got, sent) || ended == 0 {
		t.Errorf("received %q, the receive ended %d times", got, ended)
	}
}

func buffers(t *testing.T, r *Ring, n, size int) *Buffers {
	t.Helper()
	b, err := NewBuffers(r, 0, n, size)
	if err != nil {
		t.Skipf("no picked buffers here: %v", err)
	}
	t.Cleanup(func() {
		r.Close()
		b.Close()
	})
	return b
}

// What the kernel refuses is an error with its reason.
func TestARefusedRing(t *testing.T) {
	if _, err := New(8, 1<<31); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOSYS) && !errors.Is(err, syscall.EPERM) {
		t.Errorf("flags that no kernel knows: %v", err)
	}
	r := newRing(t, 8)
	if _, err := NewBuffers(r, 0, 3, 16); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("buffers that are no power of two: %v", err)
	}
}
