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

// startLoop starts an event loop and hangs a bell on it. Each loop is a gnet engine of
// its own, because an engine chooses the loop of a new connection itself.
func (s *Server) startLoop() error {
	engine, err := gnet.NewClient(s, gnet.WithNumEventLoop(1), gnet.WithReadBufferCap(readBuffer), gnet.WithLogger(engineLog{s.log}))
	if err != nil {
		return err
	}
	if err := engine.Start(); err != nil {
		return err
	}
	b, err := hangBell(engine)
	if err != nil {
		return errors.Join(err, engine.Stop())
	}
	b.loop.engine = engine
	s.loops = append(s.loops, b.loop)
	return nil
}

// hangBell makes a pair and enrolls one end.
func hangBell(engine *gnet.Client) (*bell, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	b := &bell{rope: os.NewFile(uintptr(fds[1]), "bell rope")}
	f := os.NewFile(uintptr(fds[0]), "bell")
	defer f.Close() // FileConn has a duplicate of its own
	c, err := net.FileConn(f)
	if err == nil {
		_, err = engine.EnrollContext(c, b)
	}
	if err == nil && b.loop == nil {
		err = errors.New("the loop did not take its control connection")
	}
	if err != nil {
		_ = b.rope.Close()
		return nil, fmt.Errorf("enrolling with an event loop: %w", err)
	}
	return b, nil
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
