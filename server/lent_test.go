package server

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// lentEncoder publishes one packet each time that it is drawn from, up to a number of them.
type lentEncoder struct {
	e         *encoder
	pass      func() int64 // tells passes apart: another loop draws whenever one begins; nil: there is no other
	last      int64
	left      int
	drawing   atomic.Bool
	reclaimed atomic.Int32
	over      chan struct{} // closed with the last one
}

func (s *lentEncoder) Draw() bool {
	if !s.drawing.CompareAndSwap(false, true) {
		return false
	}
	defer s.drawing.Store(false)
	if s.pass != nil {
		if now := s.pass(); now != s.last {
			s.last = now
			return false
		}
	}
	if s.left == 0 {
		return true
	}
	s.e.send(1)
	if s.left--; s.left == 0 {
		close(s.over)
	}
	return true
}

func (s *lentEncoder) Reclaim() { s.reclaimed.Add(1) }

// Passes follow each other while a source is lent, though nothing but they themselves publishes, and what they draw goes
// out with them. The last viewer's leaving calls the source home.
func TestPassesDrawFromALentSource(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress})
		e := w.onAir()
		e.send(1)
		c := w.dial()
		tape := c.tape(play(newAgent))
		worldtest.Eventually(t, "the viewer is there", func() bool { return w.stream.Viewers() == 1 })
		src := &lentEncoder{e: e, left: 40, over: make(chan struct{})}
		if !e.pub.Lend(src) {
			t.Fatal("the passes over a viewer on a loop do not draw")
		}
		select {
		case <-src.over:
		case <-time.After(patience):
			t.Fatal("there was no further pass")
		}
		worldtest.Eventually(t, "all packets are there", func() bool { return tape.now().packets == 41 })
		if at := tape.now(); at.missing != 0 {
			t.Errorf("%d packets are missing", at.missing)
		}
		if n := src.reclaimed.Load(); n != 0 {
			t.Errorf("called home %d times while somebody watches", n)
		}
		c.close()
		worldtest.Eventually(t, "the source is called home", func() bool { return src.reclaimed.Load() > 0 })
		e.pub.Unlend()
	})
}

// A source that another loop draws from at this moment gets another look in the same pass.
func TestAPassLooksAgainForWhatAnotherDraws(t *testing.T) {
	w := newWorld(t, plan{loops: 1})
	e := w.onAir()
	e.send(1)
	c := w.dial()
	tape := c.tape(play(newAgent))
	worldtest.Eventually(t, "the viewer is there", func() bool { return w.stream.Viewers() == 1 })
	src := &lentEncoder{e: e, left: 5, over: make(chan struct{}), pass: w.srv.loops[0].pulse.next.Load}
	if !e.pub.Lend(src) {
		t.Fatal("the passes over a viewer on a loop do not draw")
	}
	defer e.pub.Unlend()
	select {
	case <-src.over:
	case <-time.After(patience):
		t.Fatal("what another loop had drawn from was not looked at again")
	}
	worldtest.Eventually(t, "all packets are there", func() bool { return tape.now().packets == 6 })
}

// A connection that is handed over can be read by somebody else's function, behind the bytes that were read already.
func TestAHandedOverConnectionIsReadByAFunction(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	c := &prefixConn{Conn: here, prefix: []byte("ab")}
	c.OnRead(func(b []byte) (int, error) { return copy(b, "cd"), nil })
	b := make([]byte, 8)
	for _, want := range []string{"ab", "cd", "cd"} {
		if n, err := c.Read(b); err != nil || string(b[:n]) != want {
			t.Errorf("read %q, %v, want %q", b[:n], err, want)
		}
	}
	c.OnRead(nil)
	go func() { _, _ = there.Write([]byte("ef")) }()
	if n, err := c.Read(b); err != nil || string(b[:n]) != "ef" {
		t.Errorf("read %q, %v from the connection itself", b[:n], err)
	}
	if _, err := c.SyscallConn(); err == nil {
		t.Error("a pipe has a descriptor")
	}
}
