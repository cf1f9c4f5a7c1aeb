package house

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func withAnna(t *testing.T, dir, more string) *House {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, configured(t, dir, "users: [{name: anna, role: steer, password_hash: '"+string(hash)+"'}]\n"+more))
}

func ask(t *testing.T, c *http.Client, h *House, method, path, body string) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+h.TLSAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", "open sesame")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var v map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&v) // an empty body, mostly
	return resp, v
}

// The users of the configuration change the fleet by the API, and what they change is kept by
// the store.
func TestTheFaceOfAHouse(t *testing.T) {
	h := withAnna(t, t.TempDir(), "metrics: {allow: [127.0.0.0/8]}\n")
	c := client(t, h)
	resp, v := ask(t, c, h, http.MethodPut, "/api/v1/pumps/calgary", `{"title": "Calgary", "networks": [{"cidr": "10.1.0.0/16"}]}`)
	if resp.StatusCode != http.StatusOK || v["title"] != "Calgary" || ids(h) != "calgary" {
		t.Fatalf("%d %v", resp.StatusCode, v)
	}
	tag := resp.Header.Get("ETag")
	if resp, v := ask(t, c, h, http.MethodPut, "/api/v1/pumps/calgary/draining", `{"draining": true}`); resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == tag {
		t.Errorf("%d %v", resp.StatusCode, v)
	}
	if p, _, _ := h.Registry().State().Pump("calgary"); !p.Draining {
		t.Error("it is not kept")
	}
	if resp, v := ask(t, c, h, http.MethodPut, "/api/v1/streams/studio", `{"type": "test_card"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %v", resp.StatusCode, v)
	}
	if resp, v := ask(t, c, h, http.MethodPut, "/api/v1/streams/studio", `{"type": "tets_card"}`); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(mustJSON(t, v)), "test_card") {
		t.Errorf("%d %v", resp.StatusCode, v)
	}
	if code, page := get(t, c, "https://"+h.TLSAddr().String()+"/"); code != http.StatusOK || !strings.Contains(page, "<title>Pump House</title>") {
		t.Errorf("page: %d %s", code, page)
	}
	get(t, c, "https://"+h.TLSAddr().String()+"/streams/none")
	code, page := get(t, c, "https://"+h.TLSAddr().String()+"/metrics")
	for _, want := range []string{
		`pump_house_pump_draining{pump="calgary"} 1`, `pump_house_answers_total{answer="unknown_stream"} 1`, "pump_house_relayed_viewers 0",
		`pump_house_webhook_events_total{result="sent"} 0`, "pump_house_store_ready 1",
	} {
		if code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("metrics without %s: %d %s", want, code, page)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Who follows the fleet is let go when the house ends, which does not wait for him.
func TestTheEndDoesNotWaitForBrowsers(t *testing.T) {
	h := withAnna(t, t.TempDir(), "")
	c := client(t, h)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.TLSAddr().String()+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", "open sesame")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "event: fleet\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		t.Error(err)
	}
}
