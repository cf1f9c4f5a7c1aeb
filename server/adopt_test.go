package server

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// accepted is a connection that somebody else has accepted, and what has been read of its request; c is the other end.
func (w *world) accepted(request string, secure bool) (theirs net.Conn, head []byte, c *client) {
	w.Helper()
	ln := w.listen()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = near.Close() })
	far, err := ln.Accept()
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = far.Close() })
	if secure {
		near = tls.Client(near, &tls.Config{InsecureSkipVerify: true})
		far = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{testCertificate(w)}})
		go func() { _, _ = near.Write([]byte(request)) }()
	} else if _, err := near.Write([]byte(request)); err != nil {
		w.Fatal(err)
	}
	head = make([]byte, len(request))
	n, err := far.Read(head)
	if err != nil {
		w.Fatal(err)
	}
	return far, head[:n], newClient(w, near)
}

// A viewer whose connection was accepted by somebody else is one like all others: on an event loop without TLS, on a
// goroutine behind TLS that is somebody else's.
func TestAdoptedViewers(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "behind TLS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{})
			e := w.onAir()
			e.send(1)
			conn, head, c := w.accepted(play(oldAgent), secure)
			remote := addrPort(tcpAddr("192.0.2.7", 4711))
			if err := w.srv.Adopt(conn, remote, head, secure); err != nil {
				t.Fatal(err)
			}
			c.reply()
			c.header(e)
			c.data()
			list := w.srv.Viewers(t.Context())
			if len(list) != 1 || list[0].Remote != remote || list[0].TLS != secure {
				t.Fatalf("the viewers: %+v", list)
			}
			onLoops := 0
			for _, l := range w.srv.loops {
				l.call(t.Context(), func() { onLoops += len(l.viewers()) })
			}
			if want := map[bool]int{false: 1, true: 0}[secure]; onLoops != want {
				t.Errorf("%d viewers are on event loops, want %d", onLoops, want)
			}
			if u := w.limits.Usage(); u.Viewers != 1 || u.Connections != 1 {
				t.Errorf("places taken: %+v", u)
			}
			e.send(1)
			c.data()
			e.pub.End()
			c.end()
			worldtest.Eventually(t, "the places are given back", func() bool { u := w.limits.Usage(); return u.Viewers == 0 && u.Connections == 0 })
		})
	}
}

// A whole conversation may follow on an adopted connection, as on any other.
func TestAnAdoptedConnectionGoesOn(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	conn, head, c := w.accepted(describe(newAgent, "Connection: Keep-Alive"), false)
	if err := w.srv.Adopt(conn, addrPort(conn.RemoteAddr()), head, false); err != nil {
		t.Fatal(err)
	}
	c.reply()
	c.watch(e, play(newAgent)).data()
}

func TestWhoCannotBeAdoptedStaysTheCallers(t *testing.T) {
	w := newWorld(t, plan{bounds: access.Bounds{Connections: 1}})
	w.onAir()
	first, head, _ := w.accepted(describe(newAgent), false)
	if err := w.srv.Adopt(first, addrPort(first.RemoteAddr()), head[:4], false); err != nil { // it waits for the rest
		t.Fatal(err)
	}
	second, head, c := w.accepted(describe(newAgent), false)
	var limit *access.LimitError
	if err := w.srv.Adopt(second, addrPort(second.RemoteAddr()), head, false); !errors.As(err, &limit) {
		t.Errorf("one too many: %v", err)
	}
	w.shutdown()
	if err := w.srv.Adopt(second, addrPort(second.RemoteAddr()), head, false); !errors.Is(err, ErrServerClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := second.Write([]byte("x")); err != nil {
		t.Errorf("the connection is not the caller's any more: %v", err)
	}
	c.close()
}
