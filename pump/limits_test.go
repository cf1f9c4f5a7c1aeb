package pump

import (
	"fmt"
	"net/http"
	"testing"
)

// Over a limit MMSH clients get 453, others 503, and those who are in stay.
func TestLimits(t *testing.T) {
	for _, c := range []struct{ name, settings, stream string }{
		{"viewers", "limits: {viewers: 1}\n", ""},
		{"viewers of the stream", "", ", limits: {viewers: 1}"},
		{"viewers of an address", "limits: {viewers_per_address: 1}\n", ""},
		{"bandwidth", "limits: {bandwidth: 500k}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.settings+fmt.Sprintf("streams: [{path: card, type: test_card%s}]\n", c.stream))
			w.awaitLive("card")
			w.eventually("the rate is known", func() bool {
				r := w.registry.Lookup("card").Bitrate()
				return r > 300e3 && r < 500e3
			})
			in := w.play("card")
			in.packets(1)
			if v := w.play("card"); v.status != 453 {
				t.Errorf("MMSH: %d, want 453", v.status)
			}
			if a := w.askAt("http://"+w.Addr().String()+"/streams/card.asf", "GET"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("plain: %d %v, want 503 with Retry-After", a.status, a.header)
			}
			in.packets(10)
		})
	}
}
