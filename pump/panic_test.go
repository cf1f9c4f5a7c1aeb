package pump

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/telemetry"
)

// A panic in a handler of the admin port ends that request, visibly cut short, and is counted.
func TestPanicEndsOneAdminRequest(t *testing.T) {
	p := &Pump{log: slog.New(slog.DiscardHandler)}
	p.networks.Store(new(access.Networks))
	a := &admin{pump: p}
	srv := httptest.NewServer(a.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			_, _ = w.Write([]byte("half of an answer"))
			panic("a mistake in a handler")
		}
	})))
	defer srv.Close()
	before := telemetry.Panics()
	if resp, err := http.Get(srv.URL + "/panic"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %s as if nothing had happened", resp.Status)
	}
	if n := telemetry.Panics() - before; n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
	resp, err := http.Get(srv.URL + "/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the next request: %v", err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
