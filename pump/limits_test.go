package pump

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// Over a limit MMSH clients get 453, others 503, and those who are in stay; the API and
// the metrics tell which limit it was.
func TestLimits(t *testing.T) {
	for _, c := range []struct{ name, settings, stream, limit string }{
		{"viewers", "limits: {viewers: 1}\n", "", "viewers"},
		{"viewers of the stream", "", ", limits: {viewers: 1}", "stream_viewers"},
		{"viewers of an address", "limits: {viewers_per_address: 1}\n", "", "viewers_per_address"},
		{"bandwidth", "limits: {bandwidth: 500k}\n", "", "bandwidth"},
		{"bandwidth of the stream", "", ", limits: {bandwidth: 500k}", "stream_bandwidth"},
		{"bandwidth of an address", "limits: {bandwidth_per_address: 500k}\n", "", "bandwidth_per_address"},
		{"uplink", "uplink: 500k\n", "", "uplink"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.settings+fmt.Sprintf("streams: [{path: card, type: test_card%s}]\n", c.stream))
			w.awaitLive("card")
			if cost := w.registry.Lookup("card").Cost(); cost < 251e3 || cost > 470e3 {
				t.Fatalf("a viewer costs %d bit/s; this test is for one that fits once", cost)
			}
			in := w.play("card")
			in.packets(1)
			if v := w.play("card"); v.status != 453 {
				t.Errorf("MMSH: %d, want 453", v.status)
			}
			if a := w.askAt("http://"+w.Addr().String()+"/streams/card.asf", "GET"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), c.limit) {
				t.Errorf("plain: %d %v %s, want 503 with Retry-After, naming %s", a.status, a.header, a.body, c.limit)
			}
			in.packets(10)
			w.refused(c.limit, 2)
		})
	}
}

// refused sees that a limit has been told in the API and in the metrics.
func (w *world) refused(limit string, times uint64) {
	w.Helper()
	var info LimitsInfo
	w.ask("GET", "/api/v1/limits").decode(w, &info)
	list := info.Limits
	for _, s := range info.Streams {
		list = append(list, s.Limits...)
	}
	found := false
	for _, l := range list {
		if l.Limit == limit {
			found = true
			if l.Refused != times || l.Used == 0 || l.Max == 0 {
				w.Errorf("%+v, want %d refusals", l, times)
			}
		}
	}
	line := fmt.Sprintf(`stream_pump_limit_refusals_total{limit="%s"} %d`, limit, times)
	if !found || !strings.Contains(string(w.ask("GET", "/metrics").body), line) {
		w.Errorf("%s is not in the API (%v) or the metrics", limit, found)
	}
}

// The bounds of bursts and of an address's time are among the limits, by whom they are for.
func TestLimitsOfBurstsAndTime(t *testing.T) {
	w := newWorld(t, "limits: {session_per_address: 2h}\nburst: {bandwidth: 30M, bandwidth_per_address: 20M}\nstreams: [{path: card, type: test_card, burst: {bandwidth: 10M}}]\n")
	w.awaitLive("card")
	w.play("card").packets(1)
	var info LimitsInfo
	w.ask("GET", "/api/v1/limits").decode(t, &info)
	found := map[string]LimitInfo{}
	for _, l := range append(info.Limits, info.Streams[0].Limits...) {
		found[l.Limit] = l
	}
	for limit, want := range map[string]LimitInfo{
		"burst_bandwidth":             {Per: "pump", Unit: "bit/s", Max: 30e6},
		"burst_bandwidth_per_address": {Per: "address", Unit: "bit/s", Max: 20e6},
		"stream_burst_bandwidth":      {Per: "stream", Unit: "bit/s", Max: 10e6},
		"session_per_address":         {Per: "address", Unit: "s", Max: 7200},
	} {
		if l := found[limit]; l.Per != want.Per || l.Unit != want.Unit || l.Max != want.Max || l.Used < 0 {
			t.Errorf("%s: %+v, want %+v", limit, l, want)
		}
	}
}

// A downstream pump and viewers have places of their own.
func TestPumpsAreAClassOfTheirOwn(t *testing.T) {
	w := newWorld(t, "limits: {viewers: 1, pumps: {count: 1}}\n"+card)
	w.awaitLive("card")
	asPump := func() *viewer {
		return w.playWith("card", "Pragma: "+mmsh.TokenRelay+"=1")
	}
	first, pump := w.play("card"), asPump()
	first.packets(1)
	pump.packets(1)
	if v := w.play("card"); v.status != 453 {
		t.Errorf("a second viewer: %d, want 453", v.status)
	}
	if v := asPump(); v.status != 453 {
		t.Errorf("a second pump: %d, want 453", v.status)
	}
	w.refused("viewers", 1)
	w.refused("pumps", 1)
	first.packets(5)
	pump.packets(5)
}

// Connections whose request is not whole have bounds, of all and of an address; the API and the
// metrics tell of them, and a reload changes them for those who come.
func TestUnfinishedHeads(t *testing.T) {
	for _, limit := range []string{"unfinished_heads", "unfinished_heads_per_address"} {
		t.Run(limit, func(t *testing.T) {
			w := newWorld(t, fmt.Sprintf("limits: {%s: 2}\n%s", limit, card))
			w.awaitLive("card")
			come := func() net.Conn {
				c, err := net.Dial("tcp", w.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				return c
			}
			come()
			come()
			w.eventually("both are there", func() bool { return w.limits.Usage().Heads == 2 })
			if b, err := io.ReadAll(come()); !strings.HasPrefix(string(b), "HTTP/1.0 503 ") || !strings.Contains(string(b), limit+")") {
				t.Errorf("%s %v, want 503 and the name of the limit", b, err)
			}
			w.refused(limit, 1)
			w.reload(fmt.Sprintf("limits: {%s: 3}\n%s", limit, card))
			if a := w.askAt("http://"+w.Addr().String()+"/streams/card.asx", "GET"); a.status != http.StatusOK {
				t.Errorf("after the reload: %d %s", a.status, a.body)
			}
		})
	}
}

// A head may be as large as the setting says, and a reload changes that.
func TestHeadSize(t *testing.T) {
	w := newWorld(t, "request: {head_size: 2KiB}\n"+card)
	w.awaitLive("card")
	ask := func(size int) int {
		return w.askAt("http://"+w.Addr().String()+"/streams/card.asx", "GET", "X-Filler: "+strings.Repeat("x", size)).status
	}
	if got := ask(1024); got != http.StatusOK {
		t.Errorf("a small head: %d", got)
	}
	if got := ask(2048); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large head: %d, want 431", got)
	}
	w.reload("request: {head_size: 32KiB}\n" + card)
	if got := ask(30 << 10); got != http.StatusOK {
		t.Errorf("a large head after the reload: %d", got)
	}
}

// Who has watched for the session's length gets the end of the stream.
func TestSession(t *testing.T) {
	w := newWorld(t, "limits: {session: 1s}\nstreams: [{path: card, type: test_card}, {path: free, type: test_card, limits: {session: 0}}]\n")
	w.awaitLive("card")
	w.awaitLive("free")
	free := w.play("free")
	free.packets(1)
	w.play("card").end()
	w.eventually("the reason is known", func() bool {
		return strings.Contains(string(w.ask("GET", "/api/v1/viewers?state=closed").body), `"reason": "expired"`)
	})
	free.packets(40)
}
