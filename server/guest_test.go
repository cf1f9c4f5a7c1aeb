package server

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// plain asks for plain ASF and records it.
func (c *client) plain(e *encoder) *tape {
	c.Helper()
	if r := c.ask(get(agent(webAgent))); r.status != 200 {
		c.Fatalf("%d %s", r.status, r.reason)
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	return recordPlain(c.br, e.raw)
}

// Every kind of viewer gets the same packets.
func TestGuestsGetWhatViewersGet(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(15)
	tapes := map[string]*tape{
		"loop": w.dial().tape(play(oldAgent)), "TLS": w.dialTLS().tape(play(oldAgent)),
		"plain": w.dial().plain(e), "plain TLS": w.dialTLS().plain(e),
	}
	for range 20 {
		e.size = 40 + int(e.next*53%1200)
		e.send(25)
	}
	for name, tape := range tapes {
		tape.awaitPacket(t, e.next-1)
		if at := tape.now(); at.first.number != 10 || at.missing != 0 || at.packets != int(e.next)-10 {
			t.Errorf("%s: %+v", name, at)
		}
	}
}

// A body of plain ASF is a valid file: header, then packets of exactly the nominal size,
// those that the source stripped padded again.
func TestPlainBodyIsAFile(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	sizes := []int{0, 40, 700, 1200, 0, 17}
	for _, e.size = range sizes {
		e.send(1)
	}
	c := w.dial()
	if r := c.ask(get(agent(webAgent))); r.header.Get("Content-Length") != "" {
		t.Error("a length of something that has no end")
	}
	raw := make([]byte, len(e.raw))
	if _, err := io.ReadFull(c.br, raw); err != nil || !bytes.Equal(raw, e.raw) {
		t.Fatalf("header: %v", err)
	}
	h, err := asf.ParseHeader(raw)
	if err != nil || h.PacketSize != packetSize {
		t.Fatalf("header: %v", err)
	}
	for i := range sizes {
		p := make([]byte, packetSize)
		if _, err := io.ReadFull(c.br, p); err != nil {
			t.Fatal(err)
		}
		if _, err := asf.ParsePacket(p, packetSize, h.KeyStreams()); err != nil {
			t.Errorf("packet %d: %v", i, err)
		}
		if s, ok := readStamp(p); !ok || s.number != uint32(i) {
			t.Errorf("packet %d: %+v", i, s)
		}
	}
	e.pub.End()
	c.ended() // and nothing behind the last packet
}

func TestPlainWithoutPadding(t *testing.T) {
	w := newWorld(t, plan{noPad: true})
	e := w.onAir()
	e.size = 40
	e.send(1)
	c := w.dial()
	c.ask(get(agent(webAgent)))
	want := stampedPacket(t, 40, stamp{0, 1, true})
	got := make([]byte, len(e.raw)+len(want))
	if _, err := io.ReadFull(c.br, got); err != nil || !bytes.Equal(got[len(e.raw):], want) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
}

// A packet that cannot be padded is left out; those around it are whole.
func TestPlainLeavesBrokenPacketsOut(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	tape := w.dial().plain(e)
	tape.awaitPacket(t, 0)
	slab := w.pool.Get(20)
	clear(slab.Bytes())
	slab.Payload = 12
	if err := e.pub.Publish(slab); err != nil {
		t.Fatal(err)
	}
	e.send(1)
	tape.awaitPacket(t, 1)
	worldtest.Eventually(t, "it is counted", func() bool {
		list := w.srv.Viewers(t.Context())
		return len(list) == 1 && list[0].Skipped == 1
	})
}

func TestSlowGuests(t *testing.T) {
	for name, p := range map[string]plan{
		"too far behind":  {ring: roomy, settings: Settings{LagMax: time.Millisecond}},
		"out of the ring": {ring: ringbuf.Limits{Slots: 32}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, p)
			e := w.onAir()
			e.send(1)
			c := w.dialBuffer(4096)
			c.ask(get(agent(webAgent)))
			worldtest.Eventually(t, "it watches", func() bool { return w.stream.Viewers() == 1 })
			w.unread(e)
			tape := recordPlain(c.br, e.raw)
			worldtest.Eventually(t, "it has skipped and gets the newest", func() bool {
				e.send(1)
				at := tape.now()
				return at.missing > 0 && at.last.number+50 > e.next
			})
			for _, s := range tape.now().landed {
				if !s.key {
					t.Errorf("went on with packet %d, no key frame", s.number)
				}
			}
		})
	}
}

func TestStalledGuestIsDropped(t *testing.T) {
	w := newWorld(t, plan{ring: roomy, settings: Settings{StallTimeout: 200 * time.Millisecond}})
	e := w.onAir()
	e.send(1)
	other := w.dial().plain(e)
	other.awaitPacket(t, 0)
	c := w.dialBuffer(4096)
	c.ask(get(agent(webAgent)))
	worldtest.Eventually(t, "both watch", func() bool { return w.stream.Viewers() == 2 })
	for range 100 { // in pieces that the other one keeps up with
		e.send(enough / 100)
		other.awaitPacket(t, e.next-1)
	}
	worldtest.Eventually(t, "it is dropped", func() bool { return len(w.closed(ReasonStalled)) == 1 })
	e.send(1)
	if other.awaitPacket(t, e.next-1); other.now().missing != 0 {
		t.Errorf("the other misses %d packets", other.now().missing)
	}
}

func TestGuestsLeave(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	for i, c := range []*client{w.dial(), w.dialTLS()} {
		c.plain(e).awaitPacket(t, 0)
		c.close() // the source is silent, and the server notices
		worldtest.Eventually(t, "it has left", func() bool { return len(w.closed(ReasonLeft)) == i+1 && w.stream.Viewers() == 0 })
	}
}
