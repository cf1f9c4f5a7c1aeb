package delegate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/fleet"
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

// A player that cannot go to a pump is served by the house as long as the house has room, whatever room the pumps have: what
// the house takes from one of them is one line.
func TestTheHouseServesThoughItsPumpsAreFull(t *testing.T) {
	const there, http1, https = "10.0.0.1", "http://192.0.2.1:8086", "https://a.example.org"
	for name, c := range map[string]struct {
		url      string
		viewer   asker
		from     string
		limit    int // of the house
		fallback string
		want     string // the house, or else the status
	}{
		"a player that follows no redirect":                   {http1, mplayerAsks, there, 5, "", "house"},
		"one that follows none, and the pumps are behind TLS": {https, mplayerAsks, there, 5, "", "house"},
		"one that does not know TLS, and they are":            {https, ffmpegAsks, there, 5, "", "house"},
		"VLC, and they are":                                   {https, vlcAsks, there, 5, "", "house"},
		"though there is a fallback_url":                      {https, ffmpegAsks, there, 5, "http://example.org/", "house"},
		"not one that could go to the pump itself":            {http1, ffmpegAsks, there, 5, "", "503"},
		"not one that knows TLS":                              {https, curlAsks, there, 5, "", "503"},
		"not one of another network":                          {https, ffmpegAsks, "172.16.0.1", 5, "", "503"},
		"not when the house serves nobody":                    {https, ffmpegAsks, there, 0, "", "503"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(p *roster.Pump) { p.URL, p.MaxViewers, p.Networks = c.url, 1, nets("10.0.0.0/8", 0) }, "a")
			w.report("a", func(s *fleet.State) { s.Viewers, s.Joined = 1, 1 })
			var d *Delegator
			var asked []relay.Source
			r := relay.New(relay.Options{
				Choose: func(stream string, have []relay.Source) []relay.Source {
					asked = d.Upstreams(stream, have)
					return asked
				}, Alone: func(string) bool { return false }, Changed: func() {}, Settings: relay.Settings{Viewers: c.limit},
			})
			t.Cleanup(func() { _ = r.Stop(context.Background()) })
			d = w.delegator(func(o *Options) {
				o.Relay, o.Settings.Fallback = r, c.fallback
				o.Addresses = func() []netip.Addr { return nil }
			})
			r.Start(dry{})
			gone, leave := context.WithCancel(t.Context())
			leave() // he does not wait until the stream is there
			c.viewer.header = c.viewer.header.Clone()
			c.viewer.header.Set("Test-From", c.from)
			a := serve(d, httptest.NewRequestWithContext(gone, http.MethodGet, "/streams/studio", nil), c.viewer)
			got := fmt.Sprint(a.Code)
			if len(asked) == 1 && len(r.Streams()) == 1 && strings.Contains(a.Body.String(), relay.ErrLate.Error()) {
				got = "house"
			}
			if got != c.want {
				t.Errorf("served by %s, want %s: %s", got, c.want, a.Body)
			}
		})
	}
}
