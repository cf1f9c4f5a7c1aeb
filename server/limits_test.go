package server

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bounds access.Bounds
	}{
		{"viewers", access.Bounds{Viewers: 2}},
		{"viewers of a stream", access.Bounds{Streams: map[string]access.StreamBounds{"x": {Viewers: 2}}}},
		{"viewers of an address", access.Bounds{ViewersPerAddress: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, plan{bounds: tc.bounds})
			e := w.onAir()
			e.send(1)
			first, second := w.watch(e, play(oldAgent)), w.dialTLS()
			second.watch(e, play(newAgent))
			for want, request := range map[int]string{453: play(oldAgent), 503: get(agent(webAgent))} {
				for name, c := range map[string]*client{"plain": w.dial(), "TLS": w.dialTLS()} {
					if r := c.ask(request); r.status != want {
						t.Errorf("%s: %d, want %d", name, r.status, want)
					}
				}
			}
			if u := w.limits.Usage(); u.Viewers != 2 || u.Bandwidth == 0 {
				t.Errorf("%+v", u)
			}
			for _, c := range []*client{first, second} {
				c.close()
			}
			worldtest.Eventually(t, "the places are given back", func() bool { return w.limits.Usage().Viewers == 0 })
			w.dial().plain(e).awaitPacket(t, 0)
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	w := newWorld(t, plan{bounds: access.Bounds{Connections: 2}})
	e := w.onAir()
	e.send(1)
	tape := w.watchTape(e, play(oldAgent))
	idle := w.dial()
	worldtest.Eventually(t, "both are counted", func() bool { return w.limits.Usage().Connections == 2 })
	third := w.dial()
	if r := third.reply(); r.status != 503 {
		t.Errorf("%d", r.status)
	}
	if _, err := third.br.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("then %v", err)
	}
	idle.close()
	worldtest.Eventually(t, "the place is given back", func() bool { return w.limits.Usage().Connections == 1 })
	w.watchTape(e, play(newAgent)).awaitPacket(t, 0)
	tape.awaitPacket(t, 0)
}

// Whatever a connection does, its place comes back when it is gone.
func TestPlacesComeBack(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	for name, request := range map[string]string{
		"nothing": "", "half a head": "GET /str", "garbage": "\x00", "older protocol": "\x01\x00\x00\x00\xce\xfa\x0b\xb0",
		"Describe": describe(oldAgent), "kept Describe": describe(newAgent, "Connection: Keep-Alive"), "Play": play(oldAgent),
		"plain": get(agent(webAgent)), "half a log": post("12345", "Content-Type: application/x-wms-LogStats")[:117], "page": get(agent("Mozilla/5.0")),
		"Play behind Describe": describe(newAgent, "Connection: Keep-Alive") + play(newAgent),
	} {
		for door, dial := range map[string]func() *client{"plain": w.dial, "TLS": w.dialTLS} {
			c := dial()
			c.write(request)
			c.close()
			worldtest.Eventually(t, name+" at the door "+door, func() bool { return w.limits.Usage() == access.Usage{} })
		}
	}
	worldtest.Eventually(t, "nobody watches", func() bool { return w.stream.Viewers() == 0 })
}
