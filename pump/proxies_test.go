package pump

import (
	"net/http"
	"testing"
)

// Whose word is taken follows a reload, at the public port and at the admin port.
func TestTrustedProxies(t *testing.T) {
	w := newWorld(t, card)
	apply := func(keys string) {
		t.Helper()
		cfg := parse(t, "listen: [127.0.0.1:0]\nadmin: {listen: 127.0.0.1:0, allow: [203.0.113.0/24, 127.0.0.0/8]}\n"+keys+card)
		if _, err := w.Reload(cfg, false); err != nil {
			t.Fatal(err)
		}
	}
	operator := func(from string) int { return w.ask("GET", "/healthz", "X-Forwarded-For: "+from).status }
	viewer := func() string {
		v := w.playWith("card", "X-Forwarded-For: 203.0.113.9")
		defer func() { _ = v.conn.Close() }()
		v.packets(1)
		return w.server.Viewers(t.Context())[len(w.server.Viewers(t.Context()))-1].Address
	}
	w.awaitLive("card")
	apply("")
	if s, v := operator("8.8.8.8"), viewer(); s != http.StatusOK || v == "203.0.113.9:0" {
		t.Errorf("the word of somebody who is no proxy is taken: %d, %s", s, v)
	}
	apply("trusted_proxies: [127.0.0.1]\n")
	for from, want := range map[string]int{"203.0.113.9": 200, "::ffff:203.0.113.9": 200, "8.8.8.8": 403, "8.8.8.8, 203.0.113.9": 200, "203.0.113.9, 8.8.8.8": 403} {
		if s := operator(from); s != want {
			t.Errorf("an operator from %s: %d, want %d", from, s, want)
		}
	}
	if v := viewer(); v != "203.0.113.9:0" {
		t.Errorf("a viewer behind a proxy is %s", v)
	}
	apply("")
	if s, v := operator("8.8.8.8"), viewer(); s != http.StatusOK || v == "203.0.113.9:0" {
		t.Errorf("after it is no proxy any more: %d, %s", s, v)
	}
}
