package server

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// reset closes a connection as a machine does that has forgotten it: with a RST.
func (c *client) reset() {
	c.Helper()
	t, ok := c.conn.(*net.TCPConn)
	if !ok {
		t = c.conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn)
	}
	if err := t.SetLinger(0); err != nil {
		c.Fatal(err)
	}
	c.close()
}

// A viewer is reset while it has part of a packet and the server holds the rest for it:
// it is forgotten, packet and all, and the others notice nothing.
func TestResetInMidPacket(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		for _, tc := range []struct {
			name, request string
			tls           bool
		}{
			{"framed", play(newAgent), false},
			{"behind TLS", play(newAgent), true},
			{"plain ASF", get(agent(webAgent)), false},
		} {
			t.Run(tc.name, func(t *testing.T) {
				w := newWorld(t, plan{ring: roomy, egress: egress})
				e := w.onAir()
				e.send(1)
				other := w.watchTape(e, play(oldAgent))
				other.awaitPacket(t, 0)
				for range 3 {
					c := w.dialBuffer(2048)
					if tc.tls {
						c = w.dialTLS()
						_ = c.conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SetReadBuffer(2048)
					}
					c.write(tc.request)
					worldtest.Eventually(t, "it watches", func() bool { return w.stream.Viewers() == 2 })
					e.send(enough)
					worldtest.Eventually(t, "it is stuck", func() bool { return w.behind(c) })
					c.reset()
					worldtest.Eventually(t, "it is gone", func() bool { return w.stream.Viewers() == 1 && w.limits.Usage().Viewers == 1 })
				}
				for _, v := range w.srv.Closed() {
					if v.Reason != ReasonLeft && v.Reason != ReasonError {
						t.Errorf("left as %q", v.Reason)
					}
				}
				e.send(5)
				if other.awaitPacket(t, e.next-1); other.now().missing != 0 {
					t.Errorf("the other viewer misses %d packets", other.now().missing)
				}
			})
		}
	})
}

// behind tells whether a client's viewer has not got everything.
func (w *world) behind(c *client) bool {
	for _, v := range w.srv.Viewers(w.Context()) {
		if v.Address == c.conn.LocalAddr().String() {
			return v.Lag > 0 || v.Skipped > 0
		}
	}
	return false
}

// Connections are reset at every stage of their life; nothing of them is left.
func TestResetAtAnyTime(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{StallTimeout: time.Second}})
	e := w.onAir()
	e.send(20)
	other := w.watchTape(e, play(oldAgent))
	other.awaitPacket(t, 19)
	places := func() access.Usage { // without what they cost, which is measured again and again
		u := w.limits.Usage()
		u.Bandwidth, u.Wire = 0, 0
		return u
	}
	before := places()
	for _, tc := range []struct{ name, sent string }{
		{"before a word", ""},
		{"in the head", "GET /streams/x HT"},
		{"in a body", ask("POST /streams/x HTTP/1.0", "Content-Type: application/x-wms-logstats", "Content-Length: 10") + "12345"},
		{"with the answer on its way", describe(newAgent)},
		{"with the answer on its way, in HTTP/1.1", ask("OPTIONS * HTTP/1.1")},
		{"as a viewer", play(newAgent)},
		{"as a viewer that waits for its turn", play(newAgent, "Content-Length: 5")},
		{"as a player of files", get(agent(webAgent))},
	} {
		for i, dial := range []func() *client{w.dial, w.dialTLS} {
			t.Run(fmt.Sprintf("%s, door %d", tc.name, i), func(t *testing.T) {
				for range 5 {
					c := dial()
					c.write(tc.sent)
					c.reset()
				}
				e.send(1)
				worldtest.Eventually(t, "nothing is left of it", func() bool { return places() == before })
			})
		}
	}
	if other.awaitPacket(t, e.next-1); other.now().missing != 0 {
		t.Errorf("the other viewer misses %d packets", other.now().missing)
	}
}
