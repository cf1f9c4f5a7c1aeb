package pump

import (
	"fmt"
	"net/http"
	"slices"
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

// texts are the changes, each in one line.
func (r ReloadInfo) texts() []string {
	list := []string{}
	for _, c := range r.Changes {
		list = append(list, fmt.Sprintf("%s [%s %d]", c.Text, c.Effect, c.Viewers))
	}
	return list
}

func (w *world) did(info ReloadInfo, want ...string) {
	w.Helper()
	if got := info.texts(); !slices.Equal(got, want) {
		w.Errorf("changes %q, want %q", got, want)
	}
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
	w.did(info, "stream more: added [live 0]")
	w.awaitLive("more")
	goes := w.play("more")
	goes.packets(1)

	info = w.reload(card)
	w.did(info, "stream more: removed [end 1]")
	if info.Disturbed != 1 {
		t.Errorf("%d viewers disturbed, want 1", info.Disturbed)
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
	const file = "../internal/testcard/testcard.asf"
	info := w.reload("streams: [{path: card, type: mmsh_pull, name: Card, sources: [{url: 'mmsh://127.0.0.1:1/x'}, {type: file_loop, file: " + file + "}]}]\n")
	w.did(info, "stream card type: test_card → mmsh_pull [source 1]", "stream card sources: [] → [mmsh://127.0.0.1:1/x, file_loop "+file+"] [source 1]")
	if info.Disturbed != 1 {
		t.Errorf("%d viewers disturbed, want 1", info.Disturbed)
	}
	v.packets(40)
	var s StreamInfo
	w.ask("GET", "/api/v1/streams/card").decode(t, &s)
	if s.State != "fallback" || s.Type != "mmsh_pull" || len(s.Sources) != 2 {
		t.Errorf("stream: %+v", s)
	}
}

// A list of sources that changes around the one that delivers leaves it alone, and with it
// everybody who watches; its place in the list is what it is from then on.
func TestReloadKeepsTheSourceThatDelivers(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(5)
	const backup = "streams: [{path: card, type: mmsh_pull, name: Card, sources: [{url: 'mmsh://127.0.0.1:1/x'}, {type: test_card}]}]\n"
	compared := w.ask("POST", "/api/v1/diff")
	for _, c := range []struct{ file, state string }{
		{backup, "fallback"},
		{card, "live"},
		{strings.Replace(backup, "127.0.0.1:1/x", "127.0.0.1:1/y", 1), "fallback"},
	} {
		info := w.reload(c.file)
		for _, x := range info.Changes {
			if x.Effect != "next" || x.Viewers != 0 {
				t.Errorf("%s: %s, disturbs %d", x.Text, x.Effect, x.Viewers)
			}
		}
		if len(info.Changes) == 0 || info.Disturbed != 0 {
			t.Errorf("%+v", info)
		}
		w.eventually("the stream is "+c.state, func() bool { return w.registry.Lookup("card").State().String() == c.state })
		v.packets(10)
	}
	if text := w.log.String(); strings.Count(text, `msg="source connected"`) != 1 || strings.Contains(text, `msg="source left"`) || compared.status != http.StatusOK {
		t.Errorf("the source did not go on")
	}
	if n := w.registry.Lookup("card").Metrics().SourceReconnects.Load(); n != 0 {
		t.Errorf("%d reconnects", n)
	}
}

// So does a list of backups that changes behind an encoder that pushes; one that may not
// push first any more makes way.
func TestReloadKeepsTheEncoderThatComesFirst(t *testing.T) {
	w := newWorld(t, "streams: [{path: s, type: mmsh_push}]\n")
	encoder := w.push("s", 0)
	encoder.packets(6)
	w.awaitLive("s")
	v := w.play("s")
	v.packets(1)
	st := w.registry.Lookup("s")
	name := st.Source()
	for _, backups := range []string{"{type: test_card}", "{type: file_loop, file: ../internal/testcard/testcard.asf}"} {
		info := w.reload("streams: [{path: s, type: mmsh_push, sources: [{type: mmsh_push}, " + backups + "]}]\n")
		if info.Disturbed != 0 || len(info.Changes) != 1 {
			t.Errorf("%+v", info)
		}
		encoder.packets(5)
		v.packets(5)
		if st.Source() != name {
			t.Fatalf("the source is %q, was %q", st.Source(), name)
		}
	}
	info := w.reload("streams: [{path: s, type: test_card}]\n")
	if info.Disturbed != 1 {
		t.Errorf("%+v", info)
	}
	w.eventually("the encoder has made way", func() bool { return st.Source() == "test card" })
	v.packets(10)
}

func TestReloadSettings(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	first := w.play("card")
	first.packets(1)
	info := w.reload("limits: {viewers: 1}\nredirect_404_to: https://example.org/\nhold: 1m\npush: {idle_timeout: 9s}\npull: {timeout: 9s}\n" +
		strings.Replace(card, "Card", "Test card", 1))
	w.did(info, "redirect_404_to: \"\" → \"https://example.org/\" [live 0]", "limits.viewers: 0 → 1 [live 0]", "push.idle_timeout: 1m → 9s [live 0]",
		"pull.timeout: 15s → 9s [next 0]", "hold: 30s → 1m [live 0]", "stream card name: Card → \"Test card\" [live 0]")
	if v := w.play("card"); v.status != 453 {
		t.Errorf("a second viewer got %d, want 453", v.status)
	}
	if a := w.askAt("http://"+w.Addr().String()+"/streams/nix", "GET"); a.status != http.StatusFound || a.header.Get("Location") != "https://example.org/" {
		t.Errorf("unknown path: %d %v, want a redirect", a.status, a.header)
	}
	var s StreamInfo
	w.ask("GET", "/api/v1/streams/card").decode(t, &s)
	if s.Name != "Test card" {
		t.Errorf("name %q", s.Name)
	}
	first.packets(20)
}

// What cannot change at run time is refused together with everything else in the file,
// and said loudly; whoever wants the rest now says so.
func TestReloadRefusesRestart(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	next := "limits: {viewers: 7}\nevent_loops: 3\nlog: {format: json}\nstreams: [{path: Card, type: test_card, name: Card}]\n"
	w.rewrite(next)
	refused := func() {
		t.Helper()
		a := w.ask("POST", "/api/v1/reload")
		var e APIError
		a.decode(t, &e)
		if want := []string{"log.format", "event_loops", "streams.card.path"}; a.status != http.StatusConflict || e.Code != "needs_restart" || !slices.Equal(e.Refused, want) {
			t.Errorf("%d %+v, want 409 naming %v", a.status, e, want)
		}
	}
	refused()
	if w.cfg.Limits.Viewers != 0 {
		t.Error("something of a refused file is in force")
	}
	w.signals <- syscall.SIGHUP
	w.eventually("the log names the keys", func() bool {
		text := w.log.String()
		return strings.Count(text, `level=ERROR msg="cannot change at run time" change="event_loops: 0 → 3 (needs a restart)"`) == 2
	})

	var info ReloadInfo
	w.ask("POST", "/api/v1/reload?partial=1").decode(t, &info)
	w.did(info, "log.format: auto → json (needs a restart) [restart 0]", "limits.viewers: 0 → 7 [live 0]", "event_loops: 0 → 3 (needs a restart) [restart 0]",
		"stream card path: card → Card (needs a restart) [restart 0]")
	if w.cfg.Limits.Viewers != 7 || w.cfg.EventLoops != 0 {
		t.Errorf("in force: %+v", w.cfg)
	}
	refused() // as long as the file says so
	v.packets(20)
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
	w.did(info, "stream b: removed [end 0]", "stream a publish.user: \"\" → u [live 0]", "stream a publish.password: \"\" → \"***\" [live 0]")
	if strings.Contains(w.log.String(), "geheim") {
		t.Error("the password is in the log")
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
