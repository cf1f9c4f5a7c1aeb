package house

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/hooks"
	"github.com/stream-pump/stream-pump/house/live"
)

// A viewer who asks at the house's door is sent to a pump, by his address behind a trusted proxy; a reload
// changes what is live; a webhook is told.
func TestViewersAreSentToPumps(t *testing.T) {
	told := make(chan hooks.Delivery, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || hooks.Verify("its secret", r.Header.Get(hooks.HeaderSignature), body, time.Now(), time.Minute) != nil {
			t.Errorf("a delivery that is not signed: %v, %s", err, body)
			return
		}
		var d hooks.Delivery
		if err := json.Unmarshal(body, &d); err != nil {
			t.Error(err)
		}
		told <- d
	}))
	defer receiver.Close()
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "near", "url": "http://192.0.2.1:8086", "networks": [{"cidr": "10.1.0.0/16", "priority": 5}], "max_viewers": 1},
		{"id": "far", "url": "http://192.0.2.2:8086", "networks": ["0.0.0.0/0", "::/0"]}]`)
	more := "pumps_roster_json: pumps.json\nstreams: [{path: Studio, type: test_card}]\ntrusted_proxies: [127.0.0.0/8]\n" +
		"webhooks: [{url: '" + receiver.URL + "', secret: its secret, events: [pump_up]}]\n"
	load := configured(t, dir, more)
	h := start(t, load)
	defer http.DefaultClient.CloseIdleConnections()
	for i, id := range []string{"near", "far"} {
		b := &fleet.Batch{Pump: id, Boot: "00000000000000b1", Number: 1, First: 1, State: &fleet.State{
			Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive, BPS: 300_000}},
		}}
		if err := b.Check(id); err != nil {
			t.Fatal(i, err)
		}
		h.Fleet().Apply(b, live.Direct)
	}
	ask := func(agent, from string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addr().String()+"/streams/studio?id=7", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", agent)
		r.Header.Set("X-Forwarded-For", from)
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode, a.Header.Get("Location")
	}
	for _, c := range []struct{ agent, from, want string }{
		{"NSPlayer/12.0.7601.17514", "10.1.2.3", "http://192.0.2.1:8086/streams/Studio?id=7"},
		{"NSPlayer/7.10.0.3059", "10.1.2.4", "mmsh://192.0.2.2:8086/streams/Studio?id=7"}, // the near one is full now
		{"curl/8", "2001:db8::1", "http://192.0.2.2:8086/streams/Studio?id=7"},
	} {
		if code, to := ask(c.agent, c.from); code != 302 || to != c.want {
			t.Errorf("%s from %s: %d to %q", c.agent, c.from, code, to)
		}
	}
	seen := map[string]bool{}
	for len(seen) < 2 {
		select {
		case d := <-told:
			for _, e := range d.Events {
				seen[e.Pump] = true
			}
			if d.House != "test" || d.Events[0].Event != live.PumpUp {
				t.Errorf("%+v", d)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the webhook was told of %v only", seen)
		}
	}
	configured(t, dir, strings.Replace(more, "test_card}", "test_card, enabled: false}", 1)+"fallback_url: https://example.org/sorry\n")
	if err := h.Reload(within(t)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for code := 0; code != 404; code, _ = ask("curl/8", "192.0.2.9") {
		if time.Now().After(deadline) {
			t.Fatal("the stream that was switched off is there still")
		}
	}
}
