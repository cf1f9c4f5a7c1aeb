package pump

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reload applies a configuration and returns what was done.
func (w *world) reload(text string) ReloadInfo {
	w.Helper()
	w.rewrite(text)
	a := w.ask("POST", "/api/v1/reload")
	if a.status != http.StatusOK {
		w.Fatalf("reload: %d %s", a.status, a.body)
	}
	var info ReloadInfo
	a.decode(w, &info)
	return info
}

func TestReloadAddsAndRemoves(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	stays := w.play("card")
	stays.packets(1)

	info := w.reload(card + "  # the same and another\n" + "")
	if !info.Empty() {
		t.Errorf("the same configuration did %+v", info)
	}
	info = w.reload("streams: [{path: card, type: test_card, name: Card}, {path: more, type: test_card}]\n")
	if len(info.Added) != 1 || info.Added[0] != "more" {
		t.Errorf("added %v, want more", info.Added)
	}
	w.awaitLive("more")
	goes := w.play("more")
	goes.packets(1)

	info = w.reload(card)
	if len(info.Removed) != 1 || info.Removed[0] != "more" {
		t.Errorf("removed %v, want more", info.Removed)
	}
	goes.end()
	if v := w.play("more"); v.status != http.StatusNotFound {
		t.Errorf("a removed stream answers %d, want 404", v.status)
	}
	if strings.Contains(string(w.ask("GET", "/metrics").body), `stream="more"`) {
		t.Error("a removed stream is still in the metrics")
	}
	stays.packets(20)
}

// A stream whose source changes keeps its viewers: they are held and go on.
func TestReloadChangesSource(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(5)
	info := w.reload("streams: [{path: card, type: mmsh_pull, name: Card, sources: [{url: 'mmsh://127.0.0.1:1/x'}, {type: test_card}]}]\n")
	if len(info.Changed) != 1 {
		t.Errorf("changed %v", info.Changed)
	}
	v.packets(40)
	var s StreamInfo
	w.ask("GET", "/api/v1/streams/card").decode(t, &s)
	if s.State != "fallback" || s.Type != "mmsh_pull" || len(s.Sources) != 2 {
		t.Errorf("stream: %+v", s)
	}
}

func TestReloadSettings(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	first := w.play("card")
	first.packets(1)
	info := w.reload("limits: {viewers: 1}\nredirect_404_to: https://example.org/\nhold: 1m\npush: {idle_timeout: 9s}\nevent_loops: 3\n" + card)
	for list, want := range map[*[]string]string{
		&info.Applied: "limits.viewers: 0 → 1", &info.Later: "hold: 30s → 1m", &info.Refused: "event_loops: 0 → 3 (needs a restart)",
	} {
		if !strings.Contains(strings.Join(*list, "\n"), want) {
			t.Errorf("no %q in %+v", want, info)
		}
	}
	if v := w.play("card"); v.status != 453 {
		t.Errorf("a second viewer got %d, want 453", v.status)
	}
	if a := w.askAt("http://"+w.Addr().String()+"/streams/nix", "GET"); a.status != http.StatusFound || a.header.Get("Location") != "https://example.org/" {
		t.Errorf("unknown path: %d %v, want a redirect", a.status, a.header)
	}
	first.packets(20)
	if again := w.reload("limits: {viewers: 1}\nredirect_404_to: https://example.org/\nhold: 1m\nevent_loops: 3\n" + card); len(again.Refused) != 1 {
		t.Errorf("a refused change is to be told at each reload: %+v", again)
	}
}

// A wrong file changes nothing, and every problem is told.
func TestReloadRefusesWrongFile(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	w.rewrite("pulse: {min: x}\nstreams: [{path: other, type: odd}]\n")
	a := w.ask("POST", "/api/v1/reload")
	var e APIError
	a.decode(t, &e)
	if a.status != http.StatusUnprocessableEntity || e.Code != "invalid_configuration" || len(e.Problems) != 2 {
		t.Errorf("%d %+v, want 422 with two problems", a.status, e)
	}
	for _, p := range e.Problems {
		if p.Line == 0 || p.What == "" || p.File != "pump.yaml" {
			t.Errorf("problem: %+v", p)
		}
	}
	w.signals <- syscall.SIGHUP
	w.eventually("the log tells both problems", func() bool {
		return strings.Contains(w.log.String(), "pump.yaml:3:14") && strings.Count(w.log.String(), "configuration is wrong") >= 4
	})
	v.packets(20)
	if w.registry.Lookup("card") == nil || w.registry.Lookup("other") != nil {
		t.Error("something was changed")
	}
}

func TestReloadBySignal(t *testing.T) {
	w := newWorld(t, card)
	w.rewrite(card + "log: {level: debug}\n")
	w.signals <- syscall.SIGHUP
	w.eventually("the level is applied", func() bool { return strings.Contains(w.log.String(), "log.level") })
	if w.opts.Level.Level() >= 0 {
		t.Errorf("level %v, want debug", w.opts.Level.Level())
	}
}

func TestReloadWithoutFile(t *testing.T) {
	w := newWorld(t, card)
	w.opts.Load = nil
	if a := w.ask("POST", "/api/v1/reload"); a.status != http.StatusConflict {
		t.Errorf("%d %s, want 409", a.status, a.body)
	}
}

// Who may push is decided anew by a reload, without touching the stream.
func TestReloadCredentials(t *testing.T) {
	push := func(w *world, path string) int {
		w.Helper()
		return w.askAt("http://"+w.Addr().String()+"/streams/"+path+"_push", "POST", "Content-Type: application/x-wms-pushsetup", "User-Agent: WMEncoder/12.0").status
	}
	w := newWorld(t, "streams: [{path: a, type: mmsh_push}, {path: b, type: mmsh_push}]\n")
	if got := push(w, "a"); got != http.StatusNoContent {
		t.Fatalf("an open stream: %d, want 204", got)
	}
	info := w.reload("streams: [{path: a, type: mmsh_push, publish: {user: u, password: geheim}}]\n")
	if text := strings.Join(info.Changed, ""); !strings.Contains(text, "publish.password") || strings.Contains(text+w.log.String(), "geheim") {
		t.Errorf("changed: %v", info.Changed)
	}
	if got := push(w, "a"); got != http.StatusUnauthorized {
		t.Errorf("without password: %d, want 401", got)
	}
	if got := push(w, "b"); got != http.StatusNotFound {
		t.Errorf("a removed stream: %d, want 404", got)
	}
}

// Bounds of one stream differ from the pump's, and follow a reload.
func TestStreamBounds(t *testing.T) {
	w := newWorld(t, "streams: [{path: a, type: mmsh_push, lag: {max: 3s}}]\n")
	a := w.registry.Lookup("a")
	if lag, burst := a.LagMax(time.Minute), a.BurstMax(time.Minute); lag != 3*time.Second || burst != time.Minute {
		t.Errorf("lag %v, burst %v", lag, burst)
	}
	w.reload("streams: [{path: a, type: mmsh_push, burst: {max: 1s}}]\n")
	if lag, burst := a.LagMax(time.Minute), a.BurstMax(time.Minute); lag != time.Minute || burst != time.Second {
		t.Errorf("after the reload: lag %v, burst %v", lag, burst)
	}
}
