package pump

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// MUST-E2: SIGTERM ends every stream towards its viewers, within the drain time.
func TestEndBySignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			w := newWorld(t, card)
			w.awaitLive("card")
			v := w.play("card")
			v.packets(1)
			w.signals <- sig
			v.end()
			_ = v.conn.Close()
			if err := w.awaitEnd(); err != nil {
				t.Errorf("the end: %v", err)
			}
			if _, err := net.DialTimeout("tcp", w.Addr().String(), time.Second); err == nil {
				t.Error("it still listens")
			}
		})
	}
}

// A second signal does not wait for those who do not leave.
func TestEndAtOnce(t *testing.T) {
	w := newWorld(t, "drain: {timeout: 1h}\n"+card)
	w.awaitLive("card")
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	v := playOn(t, conn, "card", "NSPlayer/9.0")
	v.packets(1) // and then it reads no more: it does not even see the end
	w.signals <- syscall.SIGTERM
	w.eventually("it drains", func() bool { return w.draining.Load() })
	w.signals <- syscall.SIGTERM
	if err := w.awaitEnd(); err != nil && !errors.Is(err, errInterrupted) {
		t.Errorf("the end: %v", err)
	}
}

func TestDrain(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	w.Drain()
	if a := w.ask("GET", "/readyz"); a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "draining") {
		t.Errorf("readyz while draining: %d %s", a.status, a.body)
	}
	if a := w.ask("GET", "/healthz"); a.status != http.StatusOK {
		t.Errorf("healthz while draining: %d", a.status)
	}
	if !strings.Contains(string(w.ask("GET", "/").body), "Draining") {
		t.Error("the page does not tell")
	}
	v.packets(20)
}
