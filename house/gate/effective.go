package gate

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

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
	Parents   func(stream string) []Parent // of a path in lower case: usable now, in order of preference
	Signing   []byte                       // JSON; nil: none
	Sign      func(stream string) string   // the query of a signed address; nil: there are no keys
	Parameter string
}

// Effective returns the configuration that a pump should have now.
func (g *Gate) Effective(pump string) (fleet.Config, bool) {
	s := g.opts.Registry.State()
	if g.isOwn(pump) {
		return g.effectiveOwn(s), true
	}
	if _, _, ok := s.Pump(pump); !ok {
		return fleet.Config{}, false
	}
	in := g.inputs()
	in.State, in.Parents = s, g.choice(pump, s)
	return Effective(pump, in), true
}

// inputs are what the configurations of all pumps have in common.
func (g *Gate) inputs() Inputs {
	in := Inputs{Signing: g.opts.Signing(), Parameter: g.opts.Parameter}
	if in.Signing != nil && g.opts.Sign != nil {
		until := g.opts.Now().Truncate(signedFor).Add(2 * signedFor)
		in.Sign = func(stream string) string { return g.opts.Sign(stream, until) }
	}
	return in
}

// settling tells whether the house has just started: pumps that it has not heard of yet count
// as up.
func (g *Gate) settling() bool { return g.opts.Now().Sub(g.started) < g.opts.Settle }

// early tells whether the house has just started and does not know yet where one of a pump's
// parents is reached. A configuration without that parent would make the pump leave a source
// that is fine, only to come back a moment later.
func (g *Gate) early(pump string) bool {
	if !g.settling() {
		return false
	}
	v := g.opts.Fleet.View()
	for _, id := range g.opts.Registry.State().Parents(pump) {
		if p := v.Pump(id); p != nil && p.Wanted().Enabled && p.URL() == "" {
			return true
		}
	}
	return false
}

// choice returns what chooses a pump's parents of now. One that is in use for a stream stays
// while it is up; one that comes back is used again once it delivers the stream, so that its
// children do not lose it. While the house has just started, pumps that were not heard of
// yet count as up.
func (g *Gate) choice(pump string, s *registry.State) func(stream string) []Parent {
	v := g.opts.Fleet.View()
	settling := g.settling()
	var up, drained []*live.Pump
	for _, id := range s.Parents(pump) {
		p := v.Pump(id)
		if p == nil || !p.Wanted().Enabled || p.URL() == "" {
			continue
		}
		switch {
		case !p.Up() && !(settling && p.Since().IsZero()):
		case p.Wanted().Draining:
			drained = append(drained, p)
		default:
			up = append(up, p)
		}
	}
	return func(stream string) []Parent { return g.choose(pump, stream, up, drained) }
}

// choose is the choice for one stream, and remembers it.
func (g *Gate) choose(pump, stream string, up, drained []*live.Pump) []Parent {
	g.mu.Lock()
	defer g.mu.Unlock()
	used := g.chosen[pump][stream]
	ready := slices.DeleteFunc(slices.Concat(up, drained), func(p *live.Pump) bool {
		return p.Up() && !slices.Contains(used, p.ID()) && !p.Delivers(stream)
	})
	if len(ready) == 0 {
		ready = slices.Concat(up, drained) // nobody delivers it: the first who does will do
	}
	var list []Parent
	var ids []string
	for _, p := range ready {
		list, ids = append(list, Parent{ID: p.ID(), URL: p.URL()}), append(ids, p.ID())
	}
	if g.chosen[pump] == nil {
		g.chosen[pump] = map[string][]string{}
	}
	g.chosen[pump][stream] = ids
	return list
}

// Effective makes a pump's configuration. It is pure: the same of the same.
func Effective(pump string, in Inputs) fleet.Config {
	p, _, _ := in.State.Pump(pump)
	c := fleet.Config{Pump: pump, Title: p.Title, Draining: p.Draining, Parents: map[string]string{}}
	var list []config.Stream
	for i := range in.State.Streams {
		s := in.State.Streams[i].Config
		if !s.Enabled || !p.Enabled {
			continue
		}
		fromParents(&s, in.Parents(strings.ToLower(s.Path)), c.Parents, in.Sign)
		list = append(list, s)
	}
	c.Settings = settingsJSON(list, limitsJSON(p.MaxViewers, p.MaxBandwidth), in)
	c.Seal()
	return c
}

// settingsJSON writes what a house may say, with limits as an object in JSON.
func settingsJSON(streams []config.Stream, limits string, in Inputs) []byte {
	var b bytes.Buffer
	b.WriteString(`{"streams":[`)
	for i := range streams {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(streams[i].JSON(false))
	}
	b.WriteString(`]`)
	if limits != "" {
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
	return b.Bytes()
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

// signedFor is how long the signed address of a parent is good at least, and how often it is
// another one: a pump leaves its source for a moment then.
const signedFor = 30 * 24 * time.Hour

// fromParents sets the sources of a stream to the parents, and notes their addresses.
// Without parents the stream stays as it is: the original. Nobody pushes to a pump that has
// parents: the encoder goes to the topmost one. What a stream asks of its viewers it asks of pumps
// downstream too: they come with a signed address, or as the first user whose password is
// known.
func fromParents(s *config.Stream, parents []Parent, names map[string]string, sign func(stream string) string) {
	if len(parents) == 0 {
		return
	}
	s.Type, s.File, s.SourceOptions, s.Sources = config.TypePull, "", nil, nil
	s.Publish, s.Takeover = config.Publish{}, false
	query := ""
	if s.Play.Signed && sign != nil {
		query = sign(s.Path)
	}
	var user config.User
	if i := slices.IndexFunc(s.Play.Users, func(u config.User) bool { return u.Password != "" }); i >= 0 && query == "" {
		user = s.Play.Users[i]
	}
	for _, p := range parents {
		at := sourceAt(p.URL, s.Path, query)
		names[at] = p.ID
		s.Sources = append(s.Sources, config.Source{Type: config.TypePull, URL: at, Port: 80, Path: "/", User: user.Name, Password: user.Password})
	}
}

// sourceAt is the address of a stream at a pump, for another pump to pull from.
func sourceAt(base, path, query string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if u.Scheme == "http" {
		u.Scheme = "mmsh"
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/streams/" + path
	u.RawQuery = query
	return u.String()
}
