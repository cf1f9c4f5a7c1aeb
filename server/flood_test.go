package server

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// A viewer has nothing to say. One that sends and sends, which costs the pump reading it,
// is cut off; the others notice nothing.
func TestViewersWhoTalk(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	e.send(1)
	other := w.watchTape(e, play(oldAgent))
	other.awaitPacket(t, 0)
	for name, talk := range map[string]func() *client{
		"framed":     func() *client { c := w.dial(); c.write(play(newAgent)); return c },
		"behind TLS": func() *client { c := w.dialTLS(); c.write(play(newAgent)); return c },
		"plain ASF":  func() *client { c := w.dial(); c.write(get(agent(webAgent))); return c },
	} {
		t.Run(name, func(t *testing.T) {
			was := len(w.closed(ReasonError))
			c := talk()
			worldtest.Eventually(t, "it watches", func() bool { return w.stream.Viewers() == 2 })
			_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
			said, words := 0, []byte(strings.Repeat("la ", 5000))
			for said < 64<<20 {
				n, err := c.conn.Write(words)
				if said += n; err != nil {
					break
				}
			}
			if said < maxChatter/2 || said > 32<<20 {
				t.Errorf("cut off after %d bytes", said)
			}
			worldtest.Eventually(t, "it is gone", func() bool { return w.stream.Viewers() == 1 && len(w.closed(ReasonError)) == was+1 })
		})
	}
	t.Run("one that says little stays", func(t *testing.T) {
		c := w.dial()
		tape := c.tape(play(newAgent))
		tape.awaitPacket(t, 0)
		c.write(strings.Repeat("x", maxChatter/2))
		e.send(5)
		tape.awaitPacket(t, e.next-1)
	})
	e.send(5)
	if other.awaitPacket(t, e.next-1); other.now().missing != 0 {
		t.Errorf("the other viewer misses %d packets", other.now().missing)
	}
}

// Some ask without a pause and take every answer. That is work, and no more: viewers on the
// same loop get their packets.
func TestRequestFlood(t *testing.T) {
	w := newWorld(t, plan{loops: 1, ring: roomy})
	e := w.onAir()
	e.send(1)
	tape := w.watchTape(e, play(oldAgent))
	tape.awaitPacket(t, 0)
	stop := e.flow(5 * time.Millisecond)
	defer stop()
	var flood sync.WaitGroup
	var crowd []*client
	requests := strings.Repeat(ask("OPTIONS * HTTP/1.1"), 50)
	for range 4 {
		c := w.dial()
		_ = c.conn.SetDeadline(time.Time{})
		crowd = append(crowd, c)
		flood.Go(func() { _, _ = io.Copy(io.Discard, c.conn) })
		flood.Go(func() {
			for {
				if _, err := io.WriteString(c.conn, requests); err != nil {
					return
				}
			}
		})
	}
	longest, last := time.Duration(0), time.Now()
	for seen := tape.now().packets; tape.now().packets < 200; time.Sleep(time.Millisecond) {
		if n := tape.now().packets; n > seen {
			longest, seen, last = max(longest, time.Since(last)), n, time.Now()
		} else if time.Since(last) > patience {
			t.Fatal("the viewer gets nothing any more")
		}
	}
	t.Logf("the longest pause of the viewer was %v", longest)
	for _, c := range crowd {
		c.close()
	}
	flood.Wait()
	if tape.now().missing != 0 {
		t.Errorf("%d packets are missing", tape.now().missing)
	}
}
