package server

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// A viewer whose way to the end has left the ring, and whose socket is full at that
// moment, gets the end when the socket has room, piece by piece if need be.
func TestEndForAViewerThatIsLappedAndFull(t *testing.T) {
	w := newWorld(t, plan{ring: ringbuf.Limits{Slots: 4}})
	e := w.onAir()
	e.send(20)
	e.pub.End()
	near, far := socketPair(t)
	v := &viewer{fd: int(near.Fd()), cursor: cursor{seq: 1}}
	l := newLoop(w.srv, nil, &bell{})
	v.group = &group{loop: l, stream: w.stream, ring: w.stream.Ring()}
	fill := []byte("................................................................")
	filled := 0
	for {
		n, err := unix.Write(v.fd, fill)
		if err != nil {
			break
		}
		filled += n
	}
	now := stream.Monotonic()
	if out := v.turn(l, now); out != behind {
		t.Fatalf("outcome %d on a full socket, want %d", out, behind)
	}
	if _, err := io.CopyN(io.Discard, far, int64(filled)); err != nil {
		t.Fatal(err)
	}
	if out := v.turn(l, now+int64(time.Second)); out != finished {
		t.Fatalf("outcome %d, want %d", out, finished)
	}
	end := make([]byte, 8)
	if _, err := io.ReadFull(far, end); err != nil || string(end) != string(mmsh.AppendEnd(nil, 0)) {
		t.Errorf("MUST-E1: %x %v", end, err)
	}
}

// socketPair returns two connected sockets; the first does not block.
func socketPair(t *testing.T) (near, far *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far = os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	if err := unix.SetNonblock(int(near.Fd()), true); err != nil {
		t.Fatal(err)
	}
	return near, far
}
