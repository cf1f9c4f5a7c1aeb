package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestShutdownSendsTheEnd(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress})
		e := w.onAir()
		e.send(3)
		clients := []*client{w.dial(), w.dial(), w.dialTLS()}
		var tapes []*tape
		for i, a := range []string{newAgent, oldAgent, newAgent} {
			tapes = append(tapes, clients[i].tape(play(a)))
			tapes[i].awaitPacket(t, 2)
		}
		idle := w.dial() // has asked for nothing yet
		go func() {
			for i, tape := range tapes {
				<-tape.done
				clients[i].close()
			}
		}()
		started := time.Now()
		w.shutdown()
		if took := time.Since(started); took > busy {
			t.Errorf("MUST-E2: took %v", took)
		}
		for _, tape := range tapes {
			tape.finished(t)
		}
		if n := len(w.closed(ReasonDrained)); n != len(tapes) {
			t.Errorf("%d viewers left because of the shutdown", n)
		}
		idle.ended()
		if c, err := net.Dial("tcp", w.addr); err == nil {
			_ = c.Close()
			t.Error("still accepts")
		}
	})
}

func TestDrainKeepsThoseWhoAreThere(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	tape := w.watchTape(e, play(newAgent))
	waiting := w.dial()
	kept := w.dial()
	kept.ask(describe(newAgent, "Connection: Keep-Alive"))
	w.srv.Drain()
	for name, c := range map[string]*client{"connected before": waiting, "kept": kept} {
		if r := c.ask(play(newAgent)); r.status != 503 || r.header.Get("Retry-After") == "" {
			t.Errorf("MUST-E2: %s: %d", name, r.status)
		}
	}
	e.send(5)
	if tape.awaitPacket(t, 5); tape.now().missing != 0 {
		t.Error("MUST-E2: a gap while draining")
	}
	if err := w.srv.Serve(w.listen()); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve while draining: %v", err)
	}
}

// When another program has the listeners, nobody else knows of those who have connected and not asked yet.
func TestWhoHasConnectedIsServedBehindShutDoors(t *testing.T) {
	w := newWorld(t, plan{push: namedPush{}})
	e := w.onAir()
	e.send(1)
	clients := map[string]*client{"silent": w.dial(), "in the middle of a head": w.dial(), "kept": w.dial(), "with TLS": w.dialTLS()}
	head := play(newAgent)
	clients["in the middle of a head"].write(head[:len(head)/2])
	clients["kept"].ask(describe(newAgent, "Connection: Keep-Alive"))
	encoder := w.dial()
	worldtest.Eventually(t, "all are there", func() bool { return w.limits.Usage().Connections == len(clients)+1 })
	w.srv.Shut()
	if c, err := net.Dial("tcp", w.addr); err == nil {
		_ = c.Close()
		t.Error("still accepts")
	}
	if r := encoder.ask(strings.Replace(post("x"), "/x ", "/x_push ", 1)); r.status != 503 {
		t.Errorf("an encoder: %d", r.status)
	}
	var tapes []*tape
	for name, c := range clients {
		rest := head
		if name == "in the middle of a head" {
			rest = head[len(head)/2:]
		}
		tapes = append(tapes, c.tape(rest))
	}
	worldtest.Eventually(t, "all watch", func() bool { return w.limits.Usage().Viewers == len(clients) })
	e.send(5)
	for _, tape := range tapes {
		tape.awaitPacket(t, 5)
	}
}

// Viewers who do not leave in time are cut, and Shutdown says so.
func TestShutdownOutOfTime(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	tapes := []*tape{w.watchTape(e, play(newAgent)), w.dialTLS().tape(play(newAgent))}
	for _, tape := range tapes {
		tape.awaitPacket(t, 0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := w.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) { // the stream goes on
		t.Errorf("Shutdown: %v", err)
	}
	for _, tape := range tapes {
		_ = tape.wait(t)
	}
	if n := len(w.closed(ReasonDrained)); n != len(tapes) {
		t.Errorf("%d viewers left because of the shutdown: %+v", n, w.srv.Closed())
	}
}

func TestShutdownTwice(t *testing.T) {
	w := newWorld(t, plan{})
	w.shutdown()
	if err := w.srv.Shutdown(context.Background()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if n := len(w.srv.Viewers(context.Background())); n != 0 {
		t.Errorf("%d viewers of a closed server", n)
	}
	if w.srv.Kick(context.Background(), "1") {
		t.Error("kicked on a closed server")
	}
}
