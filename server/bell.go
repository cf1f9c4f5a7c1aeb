package server

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// bell is how a pulse calls its event loop: a socket pair with one end on the loop. A
// byte into the other end makes the loop flush. gnet's own way, Execute, allocates at
// every call.
type bell struct {
	loop *loop
	rope *os.File // our end; any goroutine may write, also while it is being closed
}

// hangBell makes a pair and enrolls one end; the loop is the one that gnet chooses,
// which for the first connections is each in turn.
func (s *Server) hangBell() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a socket pair: %w", err)
	}
	b := &bell{rope: os.NewFile(uintptr(fds[1]), "bell rope")}
	f := os.NewFile(uintptr(fds[0]), "bell")
	defer f.Close() // FileConn has a duplicate of its own
	c, err := net.FileConn(f)
	if err == nil {
		_, err = s.client.EnrollContext(c, b)
	}
	if err == nil && b.loop == nil {
		err = errors.New("the loop did not take its control connection")
	}
	if err != nil {
		_ = b.rope.Close()
		return fmt.Errorf("enrolling with an event loop: %w", err)
	}
	s.loops = append(s.loops, b.loop)
	return nil
}

// opened is called on the loop once the bell hangs there.
func (b *bell) opened(s *Server, el gnet.EventLoop) {
	b.loop = newLoop(s, el, b)
	s.byEngine.Store(el, b.loop)
}

var stroke = []byte{1}

// ring makes the loop flush, soon. Any goroutine. It does not block: a byte that does
// not fit means that many are on their way.
func (b *bell) ring() { _, _ = b.rope.Write(stroke) }

// heard is called on the loop when the bell rings.
func (b *bell) heard(gc gnet.Conn) {
	_, _ = gc.Discard(-1)
	b.loop.flush()
}
