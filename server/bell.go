package server

import (
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
	rope int // descriptor of our end
	rung chan pass
}

// hangBell makes a pair and enrolls one end; the loop is the one that gnet chooses,
// which for the first connections is each in turn.
func (s *Server) hangBell() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a socket pair: %w", err)
	}
	f := os.NewFile(uintptr(fds[0]), "bell")
	defer f.Close() // FileConn has a duplicate of its own
	c, err := net.FileConn(f)
	if err != nil {
		_ = unix.Close(fds[1])
		return fmt.Errorf("making a connection of a socket pair: %w", err)
	}
	b := &bell{rope: fds[1], rung: make(chan pass, 1)}
	if _, err := s.client.EnrollContext(c, b); err != nil {
		_ = unix.Close(fds[1])
		return fmt.Errorf("enrolling with an event loop: %w", err)
	}
	if b.loop == nil {
		_ = unix.Close(fds[1])
		return fmt.Errorf("an event loop did not take its control connection")
	}
	s.loops = append(s.loops, b.loop)
	s.background(func() {
		defer unix.Close(b.rope) //nolint:errcheck // nobody is left to be told
		b.loop.pulse.run(s.ctx, s.settings.Load, b.ring)
	})
	return nil
}

// opened is called on the loop once the bell hangs there.
func (b *bell) opened(s *Server, el gnet.EventLoop) {
	b.loop = newLoop(s, el)
	s.byEngine.Store(el, b.loop)
}

var stroke = []byte{1}

// ring makes the loop flush and waits until it has; false when the loop is gone.
func (b *bell) ring() (pass, bool) {
	if _, err := unix.Write(b.rope, stroke); err != nil {
		return pass{}, false
	}
	select {
	case p := <-b.rung:
		return p, true
	case <-b.loop.srv.stopped:
		return pass{}, false
	}
}

// heard is called on the loop when the bell rings.
func (b *bell) heard(gc gnet.Conn) {
	_, _ = gc.Discard(-1)
	b.rung <- b.loop.flush()
}
