//go:build linux

package loadtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// More than all buffers together hold, at once: nothing is lost, and nothing is out of order.
func TestAFloodForAllViewers(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		const heldBack = 400
		held := make([][][]byte, 10) // by viewer, each of which has its own goroutine
		s := newFakeServer(t, spoiling(func(v, n int, f []byte) [][]byte {
			switch {
			case n < 5 || n > heldBack || v >= len(held):
				return [][]byte{f}
			case n < heldBack:
				held[v] = append(held[v], f)
				return [][]byte{}
			}
			return append(held[v], f)
		}))
		s.push(t, PushOptions{Rate: 20_000_000, Packet: 8000})
		o := quick(s.url())
		o.Reader, o.Duration = reader, 3*time.Second
		rep := mustRun(t, o)
		wantVerdict(t, rep, Pass)
		if least := uint64(10 * heldBack * 8000); rep.Bytes < least/2 || rep.Gaps.Packets > 0 {
			t.Errorf("%d bytes in the steady state, %d packets lost", rep.Bytes, rep.Gaps.Packets)
		}
	})
}

// One viewer among many who gets other bytes is found, and nobody else is blamed.
func TestOneViewerAmongManyIsNamed(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		s := newFakeServer(t, spoiling(func(v, n int, f []byte) [][]byte {
			if v == 4 && n == 10 {
				f[len(f)/2] ^= 1
			}
			return [][]byte{f}
		}))
		s.push(t, PushOptions{Rate: 1_000_000})
		o := quick(s.url())
		o.Reader, o.Clients = reader, 50
		rep := mustRun(t, o)
		wantVerdict(t, rep, Fail)
		if rep.Protocol != 1 || faultKinds(rep) != "[torn]" || rep.Delivery.Min < 1 {
			t.Errorf("%d errors, kinds %s, %+v", rep.Protocol, faultKinds(rep), rep.Delivery)
		}
	})
}

// Where io_uring is forbidden viewers are read through epoll, which is said in a line; asked for, it is an error.
func TestWithoutURing(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	for _, tc := range []struct {
		reader string
		status int
		said   string
	}{
		{ReaderAuto, 0, "no io_uring here, viewers were read through epoll: io_uring_setup: operation not permitted"},
		{ReaderURing, 1, "making an event loop: io_uring_setup: operation not permitted"},
		{ReaderEpoll, 0, "reading through epoll"},
	} {
		t.Run(tc.reader, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "r.json")
			out, status := withoutURing(t, "-clients", "5", "-duration", "300ms", "-max-join", "5s", "-url", s.url(), "-reader", tc.reader, "-json", report)
			if strings.Contains(out, "INCONCLUSIVE") {
				t.Skipf("this machine is too busy:\n%s", out)
			}
			if status != tc.status || !strings.Contains(out, tc.said) {
				t.Errorf("status %d, want %d, and %q:\n%s", status, tc.status, tc.said, out)
			}
			if tc.status != 0 {
				return
			}
			var rep Report
			if b, err := os.ReadFile(report); err != nil || json.Unmarshal(b, &rep) != nil || rep.Tester.Reader != ReaderEpoll {
				t.Errorf("report: %v, read through %q", err, rep.Tester.Reader)
			}
		})
	}
}

// withoutURing runs the command in a process that the kernel refuses io_uring_setup, and returns what it wrote and its
// exit status.
func withoutURing(t *testing.T, args ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan error)
	go func() { // on a thread of its own, which ends with it: children inherit the filter
		runtime.LockOSThread()
		if err := forbidURing(); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status tells
	return out.String(), cmd.ProcessState.ExitCode()
}

// forbidURing has the kernel answer this thread's io_uring_setup with EPERM, as sandboxes do.
func forbidURing() error {
	const setup = 425
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: setup},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("installing a filter of system calls: %w", err)
	}
	return nil
}
