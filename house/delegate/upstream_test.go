package delegate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/house/roster"
)

// The house is at 10.0.0.1. near and nearest serve its network, wide and small that of somebody else.
func TestWhereTheHouseTakesAStreamFrom(t *testing.T) {
	const all = "nearest near wide small"
	set := func(id string, change func(*roster.Pump)) func(*world) {
		return func(w *world) {
			for i := range w.pumps {
				if w.pumps[i].ID == id {
					change(&w.pumps[i])
				}
			}
			w.seat()
		}
	}
	says := func(id string, change func(*fleet.State)) func(*world) {
		return func(w *world) { w.report(id, change) }
	}
	for name, c := range map[string]struct {
		change func(*world)
		stream string
		have   []string // what it is taken from
		want   string
		keeps  int64 // places
	}{
		"its own network by priority, then the others by their room": {nil, "studio", nil, all, 1},
		"whatever the case of the stream":                            {nil, "STUDIO", nil, all, 1},
		"what it has stays first, and keeps no second place":         {nil, "studio", []string{"small"}, "small nearest near wide", 0},
		"what it has stays in its order":                             {nil, "studio", []string{"wide", "near"}, "wide near nearest small", 0},
		"a pump of another network is better than none": {func(w *world) {
			w.report("near", func(s *fleet.State) { s.Draining = true })
			w.report("nearest", func(s *fleet.State) { s.Draining = true })
		}, "studio", nil, "wide small", 1},
		"a full one last": {says("nearest", func(s *fleet.State) { s.Viewers = 10 }), "studio", nil, "near wide small nearest", 1},
		"full ones, when there are no others": {func(w *world) {
			for i := range w.pumps {
				w.pumps[i].MaxViewers = 1
			}
			w.seat()
			for _, p := range w.pumps {
				w.report(p.ID, func(s *fleet.State) { s.Viewers = 1 })
			}
		}, "studio", nil, "small wide near nearest", 0},
		"a full one that it has already":       {says("nearest", func(s *fleet.State) { s.Viewers = 10 }), "studio", []string{"nearest"}, all, 0},
		"one whose line is full last":          {set("nearest", func(p *roster.Pump) { p.MaxBandwidth = 299_999 }), "studio", nil, "near wide small nearest", 1},
		"not one that drains by the roster":    {set("nearest", func(p *roster.Pump) { p.Draining = true }), "studio", []string{"nearest"}, "near wide small", 1},
		"not one that says that it drains":     {says("nearest", func(s *fleet.State) { s.Draining = true }), "studio", []string{"nearest"}, "near wide small", 1},
		"not one that is off":                  {set("nearest", func(p *roster.Pump) { p.Enabled = false }), "studio", []string{"nearest"}, "near wide small", 1},
		"not one that does not deliver it":     {says("nearest", func(s *fleet.State) { s.Streams[0].State = fleet.StreamConnecting }), "studio", []string{"nearest"}, "near wide small", 1},
		"not one that it has and that is off":  {set("wide", func(p *roster.Pump) { p.Enabled = false }), "studio", []string{"near", "wide"}, "near nearest small", 0},
		"one that is elsewhere now is another": {set("small", func(p *roster.Pump) { p.URL = "http://198.51.100.4:8086" }), "studio", []string{"small"}, all, 1},
		"no more than four": {func(w *world) {
			w.pumps = append(w.pumps, roster.Pump{ID: "fifth", URL: "http://192.0.2.9:8086", Enabled: true, Networks: nets("10.0.0.0/8", 1)})
			w.seat()
			w.report("fifth", nil)
		}, "studio", nil, "nearest near fifth wide", 1},
		"nobody, when none is heard of": {func(w *world) {
			w.clock.Add(time.Minute)
			w.fleet.Sweep(false)
		}, "studio", []string{"nearest"}, "", 0},
		"those that are heard of": {func(w *world) {
			w.clock.Add(time.Minute)
			for _, id := range []string{"small", "near"} {
				w.report(id, nil)
			}
			w.fleet.Sweep(false)
		}, "studio", []string{"nearest"}, "near small", 1},
		"nobody, when none delivers it": {nil, "gone", nil, "", 0},
		"a stream that is off":          {nil, "off", nil, "", 0},
		"a stream that there is not":    {nil, "none", []string{"near"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(p *roster.Pump) {
				switch p.ID {
				case "nearest":
					p.Networks, p.MaxViewers = nets("10.0.0.0/8", 9), 10
				case "near":
					p.Networks = nets("10.0.0.0/8", 5)
				case "wide":
					p.Networks, p.MaxViewers = nets("192.168.0.0/16", 1), 1_000_000
				case "small":
					p.Networks, p.MaxViewers = nets("192.168.0.0/16", 9), 1
				}
			}, "small", "wide", "near", "nearest")
			var have []relay.Source
			for _, id := range c.have {
				p := w.fleet.View().Pump(id)
				have = append(have, relay.Source{Pump: id, URL: p.URL()})
			}
			if c.change != nil {
				c.change(w)
			}
			d := w.delegator(func(o *Options) {
				o.House, o.Addresses = "house-1", func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("10.0.0.1")} }
			})
			var got []string
			for _, s := range d.Upstreams(c.stream, have) {
				if p := w.fleet.View().Pump(s.Pump); p == nil || p.URL() != s.URL {
					t.Errorf("%s is at %s", s.Pump, s.URL)
				}
				got = append(got, s.Pump)
			}
			if !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("%v, want %s", got, c.want)
			}
			if n := d.Awaited(); n != c.keeps {
				t.Errorf("%d places are kept, want %d", n, c.keeps)
			}
		})
	}
}
