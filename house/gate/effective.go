package gate

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/registry"
)

// Parent is a pump that another one may get its streams from.
type Parent struct {
	ID  string
	URL string // http or https, host and port
}

// Inputs are what a pump's configuration is made of.
type Inputs struct {
	State     *registry.State
	Parents   []Parent // usable now, in order of preference
	Signing   []byte   // JSON; nil: none
	Parameter string
}

// Effective returns the configuration that a pump should have now.
func (g *Gate) Effective(pump string) (fleet.Config, bool) {
	s := g.opts.Registry.State()
	if _, _, ok := s.Pump(pump); !ok {
		return fleet.Config{}, false
	}
	return Effective(pump, Inputs{State: s, Parents: g.parents(pump), Signing: g.opts.Signing(), Parameter: g.opts.Parameter}), true
}

// parents chooses who of a pump's parents can be used now. One that is in use stays while it
// is up; one that comes back is used again once it delivers something, so that its children
// do not lose their streams to it. While the house has just started, pumps that were not
// heard of yet count as up.
func (g *Gate) parents(pump string) []Parent {
	s, v := g.opts.Registry.State(), g.opts.Fleet.View()
	settling := g.opts.Now().Sub(g.started) < g.opts.Settle
	g.mu.Lock()
	defer g.mu.Unlock()
	used := g.chosen[pump]
	var ready, drained, late []Parent
	for _, id := range s.Parents(pump) {
		p := v.Pump(id)
		if p == nil || !p.Wanted().Enabled || p.URL() == "" {
			continue
		}
		one := Parent{ID: id, URL: p.URL()}
		switch {
		case settling && p.Since().IsZero():
			ready = append(ready, one)
		case !p.Up():
		case p.Wanted().Draining:
			drained = append(drained, one)
		case slices.Contains(used, id) || deliversAny(p):
			ready = append(ready, one)
		default:
			late = append(late, one)
		}
	}
	list := append(ready, drained...)
	if len(list) == 0 {
		list = late
	}
	var ids []string
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	g.chosen[pump] = ids
	return list
}

func deliversAny(p *live.Pump) bool {
	r := p.Report()
	for i := range r.Streams {
		if r.Streams[i].Delivering() {
			return true
		}
	}
	return false
}

// Effective makes a pump's configuration. It is pure: the same of the same.
func Effective(pump string, in Inputs) fleet.Config {
	p, _, _ := in.State.Pump(pump)
	c := fleet.Config{Pump: pump, Title: p.Title, Draining: p.Draining, Parents: map[string]string{}}
	var b bytes.Buffer
	b.WriteString(`{"streams":[`)
	first := true
	for i := range in.State.Streams {
		s := in.State.Streams[i].Config
		if !s.Enabled || !p.Enabled {
			continue
		}
		fromParents(&s, in.Parents, c.Parents)
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(s.JSON(false))
	}
	b.WriteString(`]`)
	if limits := limitsJSON(p.MaxViewers, p.MaxBandwidth); limits != "" {
		b.WriteString(`,"limits":` + limits)
	}
	if in.Signing != nil {
		b.WriteString(`,"signing":`)
		b.Write(in.Signing)
	}
	if in.Parameter != "" {
		b.WriteString(`,"id_parameter":"` + in.Parameter + `"`) // a plain word
	}
	b.WriteByte('}')
	c.Settings = b.Bytes()
	c.Seal()
	return c
}

func limitsJSON(viewers int, bandwidth int64) string {
	limits := map[string]any{}
	if viewers > 0 {
		limits["viewers"] = viewers
	}
	if bandwidth > 0 {
		limits["bandwidth"] = config.Bandwidth(bandwidth).String()
	}
	if len(limits) == 0 {
		return ""
	}
	b, err := json.Marshal(limits)
	if err != nil { // numbers and text
		return ""
	}
	return string(b)
}

// fromParents sets the sources of a stream to the parents, and notes their addresses.
// Without parents the stream stays as it is: the original. Nobody pushes to a pump that has
// parents: the encoder goes to the topmost one.
func fromParents(s *config.Stream, parents []Parent, names map[string]string) {
	if len(parents) == 0 {
		return
	}
	s.Type, s.File, s.SourceOptions, s.Sources = config.TypePull, "", nil, nil
	s.Publish, s.Takeover = config.Publish{}, false
	for _, p := range parents {
		at := sourceAt(p.URL, s.Path)
		names[at] = p.ID
		s.Sources = append(s.Sources, config.Source{Type: config.TypePull, URL: at, Port: 80, Path: "/"})
	}
}

// sourceAt is the address of a stream at a pump, for another pump to pull from.
func sourceAt(base, path string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if u.Scheme == "http" {
		u.Scheme = "mmsh"
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/streams/" + path
	return u.String()
}
