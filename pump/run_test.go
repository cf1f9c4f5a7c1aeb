package pump

import (
	"context"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, parse(t, local+card), Options{Ready: func(p *Pump) {
		if p.Addr() == nil || p.AdminAddr() == nil {
			t.Error("ready without listeners")
		}
		cancel()
	}})
	if err != nil {
		t.Error(err)
	}
}

func TestRunTellsWhyItCannot(t *testing.T) {
	err := Run(t.Context(), parse(t, "listen: ['"+taken(t).Addr().String()+"']\nadmin: {listen: 'off'}\nstreams: []\n"), Options{})
	if err == nil || !strings.Contains(err.Error(), "free one") {
		t.Errorf("%v, want one of a port in use", err)
	}
}

// A program that cannot take over leaves the old one serving.
func TestHandOverFails(t *testing.T) {
	was := programFile
	defer func() { programFile = was }()
	for name, file := range map[string]string{"not there": "/nonexistent/stream-pump", "ends at once": "/bin/false"} {
		t.Run(name, func(t *testing.T) {
			programFile = file
			w := newWorld(t, card)
			w.awaitLive("card")
			v := w.play("card")
			v.packets(1)
			w.signals <- upgradeSignal
			w.eventually("the failure is told", func() bool { return strings.Contains(w.log.String(), "this one goes on") })
			v.packets(20)
			if v := w.play("card"); v.status != 200 {
				t.Errorf("a new viewer got %d", v.status)
			}
		})
	}
}

func TestInheritSocketsRefusesRubbish(t *testing.T) {
	for _, list := range []string{"x", `[{"kind":"public","address":":1"},7]`} {
		if _, _, err := inheritSockets([]string{handedOver + "=" + list}); err == nil {
			t.Errorf("%s was taken", list)
		}
	}
}

// A stream that cannot be made leaves nothing behind.
func TestStartFailsClean(t *testing.T) {
	cfg := parse(t, local+card)
	cfg.Streams = append(cfg.Streams, cfg.Streams[0])
	if _, err := Start(cfg, Options{}); err == nil || !strings.Contains(err.Error(), "card") {
		t.Errorf("%v, want one that names the stream", err)
	}
}
