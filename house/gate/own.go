package gate

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/registry"
)

// Own is the pump within the house. It comes by [Gate.Inside], is on no roster, and has those
// streams only that somebody watches there.
type Own struct {
	ID     string // as fleet.HouseID says
	Limits func() (viewers int, bitsPerSecond int64)

	// Streams returns what it should have now, by path in lower case, and from which pumps, in
	// order of preference.
	Streams func() map[string][]Parent
}

func (g *Gate) isOwn(pump string) bool { return g.opts.Own != nil && g.opts.Own.ID == pump }

// Wake has the configuration of a pump made anew.
func (g *Gate) Wake(pump string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[pump]; l != nil {
		l.wakeUp()
	}
}

// place is the key of a context's value that says where a request came in.
type place struct{}

// Inside serves the house's own pump, which does not have to prove who it is: it must not be
// reached from outside the program.
func (g *Gate) Inside() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), place{}, true)))
	})
}

func isInside(r *http.Request) bool { return r.Context().Value(place{}) != nil }

// byPlace lets the own pump in, and nobody else.
func (g *Gate) byPlace(pump string) (c claims, until time.Time, fault *fleet.Error) {
	if !g.isOwn(pump) {
		return c, until, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "within the house there is no pump %s", fleet.Shorten(pump))
	}
	return claims{Pump: pump}, until, nil
}

// effectiveOwn makes the configuration of the own pump.
func (g *Gate) effectiveOwn(s *registry.State) fleet.Config {
	o := g.opts.Own
	c := fleet.Config{Pump: o.ID, Title: g.opts.House, Parents: map[string]string{}}
	wanted, in := o.Streams(), g.inputs()
	var list []config.Stream
	for i := range s.Streams {
		one := s.Streams[i].Config
		parents, ok := wanted[strings.ToLower(one.Path)]
		if !ok || !one.Enabled {
			continue
		}
		if fromWhomever(&one, parents, c.Parents, in.Sign) {
			list = append(list, one)
		}
	}
	viewers, bandwidth := o.Limits()
	c.Settings = settingsJSON(list, limitsJSON(viewers, bandwidth), in)
	c.Seal()
	return c
}

// fromWhomever sets the sources of a stream to the pumps and, behind them, to those of the original
// ones that can be asked from here; false: there are none.
func fromWhomever(s *config.Stream, pumps []Parent, names map[string]string, sign func(string) string) bool {
	list := Original(*s)
	fromParents(s, pumps, names, sign)
	if len(pumps) > 0 {
		list = append(s.Sources, list...)
	}
	s.Type, s.File, s.SourceOptions, s.Sources = config.TypePull, "", nil, list
	s.Publish, s.Takeover = config.Publish{}, false
	return len(list) > 0
}

// Original returns those of a stream's own sources that anybody can ask: servers, neither
// encoders nor files.
func Original(s config.Stream) []config.Source {
	return slices.DeleteFunc(slices.Clone(s.AllSources()), func(o config.Source) bool { return o.Type != config.TypePull })
}
