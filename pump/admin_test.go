package pump

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// What dashboards and scripts read must be there under these names, whatever comes on top.
func TestAPIFields(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.playAs("card", "NSPlayer/12.0")
	v.packets(1)
	stream := []string{"path", "name", "type", "state", "viewers", "bitrate_bps", "uptime_s", "packets_in", "bytes_in", "bytes_out"}
	viewer := []string{"id", "client_id", "stream", "address", "user_agent", "connected_s", "bytes_out", "lag_ms", "skipped_packets"}

	var streams, viewers []map[string]any
	w.ask("GET", "/api/v1/streams").decode(t, &streams)
	w.ask("GET", "/api/v1/viewers").decode(t, &viewers)
	if len(streams) != 1 || len(viewers) != 1 {
		t.Fatalf("%d streams and %d viewers, want one of each", len(streams), len(viewers))
	}
	var one map[string]any
	w.ask("GET", "/api/v1/streams/CARD").decode(t, &one)
	for name, got := range map[string]struct {
		object map[string]any
		fields []string
	}{"list": {streams[0], stream}, "stream": {one, stream}, "viewer": {viewers[0], viewer}} {
		for _, f := range got.fields {
			if _, ok := got.object[f]; !ok {
				t.Errorf("%s: no field %s", name, f)
			}
		}
	}
	if one["state"] != "live" || one["type"] != "test_card" || one["viewers"] != 1.0 || one["source"] != "test card" {
		t.Errorf("stream: %v", one)
	}
	if viewers[0]["user_agent"] != "NSPlayer/12.0" || viewers[0]["stream"] != "card" {
		t.Errorf("viewer: %v", viewers[0])
	}
}

func TestAdminAnswers(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	for _, c := range []struct {
		name, method, path string
		header             []string
		status             int
		want               string // in the body
	}{
		{name: "status page", method: "GET", path: "/", status: 200, want: "Stream Pump"},
		{name: "health", method: "GET", path: "/healthz", status: 200, want: "ok"},
		{name: "ready", method: "GET", path: "/readyz", status: 200, want: "ready"},
		{name: "metrics", method: "GET", path: "/metrics", status: 200, want: `stream_pump_source_up{stream="card"} 1`},
		{name: "process metrics", method: "GET", path: "/metrics", status: 200, want: "process_resident_memory_bytes"},
		{name: "HEAD", method: "HEAD", path: "/readyz", status: 200},
		{name: "unknown page", method: "GET", path: "/nix", status: 404, want: "no_such_address"},
		{name: "unknown address of the API", method: "GET", path: "/api/v1/nix", status: 404, want: "no_such_address"},
		{name: "unknown stream", method: "GET", path: "/api/v1/streams/nix", status: 404, want: "no_such_stream"},
		{name: "unknown viewer", method: "DELETE", path: "/api/v1/viewers/999", status: 404, want: "no_such_viewer"},
		{name: "no viewer's id", method: "DELETE", path: "/api/v1/viewers/x", status: 404, want: "no_such_viewer"},
		{name: "unknown state", method: "GET", path: "/api/v1/viewers?state=odd", status: 400, want: "unknown_state"},
		{name: "wrong method", method: "POST", path: "/api/v1/streams", status: 405, want: "method_not_allowed"},
		{name: "GET where something changes", method: "GET", path: "/api/v1/reload", status: 405, want: "POST"},
		{name: "a page of another site", method: "POST", path: "/api/v1/reload", header: []string{"Sec-Fetch-Site: cross-site"}, status: 403, want: "cross_origin"},
		{name: "another origin", method: "DELETE", path: "/api/v1/viewers/1", header: []string{"Origin: http://evil.example"}, status: 403, want: "cross_origin"},
		{name: "another origin may look", method: "GET", path: "/healthz", header: []string{"Origin: http://evil.example"}, status: 200},
		{name: "a name pointed at loopback", method: "GET", path: "/api/v1/viewers", header: []string{"Host: evil.example"}, status: 403, want: "wrong_host"},
		{name: "by the name localhost", method: "GET", path: "/healthz", header: []string{"Host: localhost:8087"}, status: 200},
		{name: "by an IPv6 address", method: "GET", path: "/healthz", header: []string{"Host: [::1]:8087"}, status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.ask(c.method, c.path, c.header...)
			if a.status != c.status || !strings.Contains(string(a.body), c.want) {
				t.Errorf("%d %s, want %d with %q", a.status, a.body, c.status, c.want)
			}
			if a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Error("no content security policy")
			}
		})
	}
}

func TestAdminAllow(t *testing.T) {
	w := newWorld(t, card)
	w.rewrite(strings.Replace(card, "streams", "admin: {listen: 127.0.0.1:0, allow: [192.0.2.0/24]}\nstreams", 1))
	w.mu.Lock()
	w.file = strings.Replace(w.file, "admin: {listen: 127.0.0.1:0}\n", "", 1)
	w.mu.Unlock()
	if a := w.ask("POST", "/api/v1/reload"); a.status != 200 {
		t.Fatalf("reload: %d %s", a.status, a.body)
	}
	if a := w.ask("GET", "/healthz"); a.status != 403 || !strings.Contains(string(a.body), "not_allowed") {
		t.Errorf("%d %s, want 403", a.status, a.body)
	}
}

// What a viewer calls itself must not become part of the page.
func TestPageEscapes(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.playAs("card", `NSPlayer/9.0 <script>alert(1)</script>`)
	v.packets(1)
	page := string(w.ask("GET", "/").body)
	if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;") {
		t.Error("the agent is not escaped")
	}
	for _, want := range []string{"card", "480×270", "WMV2", `http-equiv="refresh"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	if n := len(regexp.MustCompile(`<style>`).FindAllString(page, -1)); n != 1 {
		t.Errorf("%d style sheets", n)
	}
}

func TestKick(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	stays, goes := w.play("card"), w.play("card")
	stays.packets(1)
	goes.packets(1)
	var viewers []ViewerInfo
	w.ask("GET", "/api/v1/viewers").decode(t, &viewers)
	id := ""
	for _, v := range viewers {
		if v.Address == goes.conn.LocalAddr().String() {
			id = v.ID
		}
	}
	if a := w.ask("DELETE", "/api/v1/viewers/"+id); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	goes.broken()
	stays.packets(20)
	w.eventually("the reason is told", func() bool {
		w.ask("GET", "/api/v1/viewers?state=closed&stream=Card").decode(t, &viewers)
		return len(viewers) == 1 && viewers[0].ID == id && viewers[0].Reason == "kicked" && viewers[0].LeftAt != ""
	})
}
