package delegate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/house/roster"
)

// dry is a house's own pump that no stream reaches.
type dry struct{}

func (dry) Adopt(net.Conn, netip.AddrPort, []byte, bool) error {
	return errors.New("there is nothing to see")
}
func (dry) Delivers(string) bool                               { return false }
func (dry) Viewers(string) int                                 { return 0 }
func (dry) Taken() (viewers int, bitsPerSecond, refused int64) { return 0, 0, 0 }
func (dry) Held() int                                          { return 0 }
func (dry) Stop(context.Context) error                         { return nil }

// No place is kept at a pump for a viewer who cannot come to it himself, whether or not the house can serve him.
func TestWhoIsServedThroughTheHouseHoldsNoPlaceAtThePump(t *testing.T) {
	for name, c := range map[string]struct {
		url    string
		viewer asker
		from   []relay.Source
		status int
		kept   bool
	}{
		"the house cannot have the stream":            {"https://a.example.org", ffmpegPlays, nil, http.StatusServiceUnavailable, false},
		"he leaves before the stream is there":        {"https://a.example.org", ffmpegPlays, []relay.Source{{Pump: "a", URL: "https://a.example.org"}}, http.StatusServiceUnavailable, false},
		"he only asks":                                {"https://a.example.org", ffmpegAsks, nil, http.StatusServiceUnavailable, false},
		"a pump without TLS: he goes there himself":   {"http://192.0.2.1:8086", ffmpegPlays, nil, http.StatusFound, true},
		"his player knows TLS: he goes there himself": {"https://a.example.org", curlAsks, nil, http.StatusFound, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(p *roster.Pump) { p.URL, p.MaxViewers = c.url, 10 }, "a")
			r := relay.New(relay.Options{
				Choose: func(string, []relay.Source) []relay.Source { return c.from }, Alone: func(string) bool { return false }, Changed: func() {},
				Settings: relay.Settings{Viewers: 5},
			})
			r.Start(dry{})
			t.Cleanup(func() {
				if err := r.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			d := w.delegator(func(o *Options) { o.Relay = r })
			gone, leave := context.WithCancel(t.Context())
			leave()
			c.viewer.header = c.viewer.header.Clone()
			c.viewer.header.Set("Test-From", "10.0.0.1")
			for range 3 { // the same one: who is known is treated alike
				if a := serve(d, httptest.NewRequestWithContext(gone, http.MethodGet, "/streams/studio", nil), c.viewer); a.Code != c.status {
					t.Errorf("answered %d, want %d", a.Code, c.status)
				}
				if n := d.Awaited(); (n > 0) != c.kept {
					t.Errorf("%d places are kept, want any: %v", n, c.kept)
				}
			}
		})
	}
}
