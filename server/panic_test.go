package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/telemetry"
)

// panickyPush is an encoder's door with a mistake in it.
type panickyPush struct{}

func (panickyPush) ServeConn(context.Context, net.Conn, *bufio.Reader, *http.Request) {
	panic("a mistake in the push handler")
}

// A panic while one connection is worked on ends that connection. Whoever watches goes
// on, nothing of it is left, and it is counted.
func TestPanicEndsOneConnection(t *testing.T) {
	var armed atomic.Bool
	w := newWorld(t, plan{push: panickyPush{}})
	w.srv.sessions.now = func() time.Time {
		if armed.Load() {
			panic("a mistake in the handler of requests")
		}
		return time.Now()
	}
	e := w.onAir()
	e.send(1)
	framed, encrypted := w.watchTape(e, play(newAgent)), w.dialTLS().tape(play(newAgent))
	framed.awaitPacket(t, 0)
	encrypted.awaitPacket(t, 0)
	places, caught := w.limits.Usage(), telemetry.Panics()
	push := strings.Replace(post("", "Content-Type: application/x-wms-pushstart"), "/x ", "/x_push ", 1)
	for _, tc := range []struct {
		name, request string
		dial          func() *client
		armed         bool
	}{
		{"on an event loop", play(newAgent), w.dial, true},
		{"on an event loop, again", play(newAgent), w.dial, true},
		{"behind TLS", play(newAgent), w.dialTLS, true},
		{"of an encoder", push, w.dial, false},
		{"of an encoder behind TLS", push, w.dialTLS, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tc.dial()
			c.TB = t
			defer c.close()
			armed.Store(tc.armed)
			c.write(tc.request)
			_ = c.conn.SetReadDeadline(time.Now().Add(patience))
			if b, err := io.ReadAll(c.br); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("answered %.60q, %v; want a closed connection", b, err)
			}
			armed.Store(false)
			worldtest.Eventually(t, "its place is given back", func() bool { return w.limits.Usage() == places })
		})
	}
	if n := telemetry.Panics() - caught; n != 5 {
		t.Errorf("%d panics counted, want 5", n)
	}
	e.send(5)
	framed.awaitPacket(t, 5)
	encrypted.awaitPacket(t, 5)
	if framed.now().missing+encrypted.now().missing > 0 {
		t.Error("those who watched have a gap")
	}
}

// A panic while packets are made ready for one guest ends that guest.
func TestPanicEndsOneGuest(t *testing.T) {
	w := newWorld(t, plan{})
	var armed atomic.Bool
	w.srv.opts.PadPacket = func(dst, packet []byte, nominal int) ([]byte, error) {
		if armed.Load() {
			panic("a mistake in the padding")
		}
		return asf.Pad(dst, packet, nominal)
	}
	e := w.onAir()
	e.size = 200 // shorter than the nominal size: it is padded
	e.send(1)
	framed := w.watchTape(e, play(newAgent))
	framed.awaitPacket(t, 0)
	guest := w.dial()
	guest.write(get(agent(webAgent)))
	worldtest.Eventually(t, "the guest watches", func() bool { return w.stream.Viewers() == 2 })
	armed.Store(true)
	e.send(1)
	worldtest.Eventually(t, "the guest is gone", func() bool { return w.stream.Viewers() == 1 })
	if n := len(w.closed(ReasonError)); n != 1 {
		t.Errorf("%d viewers left with the reason %q, want 1", n, ReasonError)
	}
	e.send(5)
	framed.awaitPacket(t, 6)
}

// A panic while deadlines are looked at ends the connection whose deadline it was.
func TestPanicOfADeadlineEndsOneConnection(t *testing.T) {
	w := newWorld(t, plan{loops: 1})
	e := w.onAir()
	e.send(1)
	tape := w.watchTape(e, play(newAgent))
	tape.awaitPacket(t, 0)
	waiting := w.dial()
	waiting.write("GET / HT")
	l := w.srv.loops[0]
	before := telemetry.Panics()
	worldtest.Eventually(t, "half of its head is there, and its deadline passes", func() (done bool) {
		l.call(t.Context(), func() {
			for c := range l.conns {
				if done = c.gc.InboundBuffered() > 0; done {
					c.srv, c.deadline = nil, 1 // the mistake
				}
			}
			l.tick()
		})
		return done
	})
	waiting.ended()
	if n := telemetry.Panics() - before; n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	e.send(5)
	tape.awaitPacket(t, 5)
}
