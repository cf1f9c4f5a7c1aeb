package live

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// Watcher is a viewer of the fleet. A Watcher that was handed out is not changed.
type Watcher struct {
	Pump    string // id
	ID      string // the pump's; with Pump it is unique
	Client  string // given from outside; empty: none
	Stream  string // path
	Address netip.Addr
	Agent   string
	Kind    string // mmsh, asf, or pump for a pump downstream
	TLS     bool
	Since   time.Time
	Seen    time.Time // when the figures were taken
	Bytes   int64
	LagMS   int64
	Skipped int64
	Health  string    // one of the fleet.Health words
	Left    time.Time // zero: is there
	Reason  string    // why it left
}

// crowd is all viewers of the fleet, and the last ones that left.
type crowd struct {
	mu       sync.RWMutex
	byPump   map[*Pump]map[string]*Watcher // by the pump's id of the viewer
	byClient map[string][]*Watcher         // by outside id, the newest last
	total    int
	gone     []*Watcher // a ring
	left     int        // ever
	keep     int
	words    map[string]string // texts that many viewers share
}

// Bounds of what is shared and shown.
const (
	maxWords     = 4096 // texts kept to be shared
	maxPerClient = 64   // viewers with one outside id that can be found by it
)

func (c *crowd) init(keep int) {
	c.keep = keep
	c.byPump = map[*Pump]map[string]*Watcher{}
	c.byClient = map[string][]*Watcher{}
	c.words = map[string]string{}
}

// share returns one and the same text for equal ones, so that a million viewers with ten
// players do not keep a million texts.
func (c *crowd) share(s string) string {
	if w, ok := c.words[s]; ok {
		return w
	}
	if len(c.words) >= maxWords {
		clear(c.words)
	}
	c.words[s] = s
	return s
}

// watcher makes a Watcher of what a pump says. The caller holds c.mu.
func (c *crowd) watcher(p *Pump, v *fleet.Viewer, at time.Time) *Watcher {
	address, _ := netip.ParseAddr(v.Address) // was checked
	return &Watcher{
		Pump: p.id, ID: v.ID, Client: v.Client, Stream: c.share(v.Stream), Address: address.Unmap(), Agent: c.share(v.Agent),
		Kind: c.share(v.Kind), TLS: v.TLS, Since: at.Add(-time.Duration(v.ForMS) * time.Millisecond), Seen: at,
		Bytes: v.Bytes, LagMS: v.LagMS, Skipped: v.Skipped, Health: c.share(v.Health),
	}
}

// put adds a viewer, or replaces the one with its id. The caller holds c.mu.
func (c *crowd) put(p *Pump, w *Watcher) (old *Watcher) {
	m := c.byPump[p]
	if m == nil {
		m = map[string]*Watcher{}
		c.byPump[p] = m
	}
	old = m[w.ID]
	if old == nil {
		c.total++
	} else {
		c.forgetClient(old)
	}
	m[w.ID] = w
	if list := c.byClient[w.Client]; w.Client != "" && len(list) < maxPerClient {
		c.byClient[w.Client] = append(list, w)
	}
	return old
}

// remove takes a viewer out and keeps what is known of it. The caller holds c.mu.
func (c *crowd) remove(p *Pump, old *Watcher, reason string, at time.Time) *Watcher {
	m := c.byPump[p]
	if m[old.ID] == nil {
		return nil
	}
	delete(m, old.ID)
	if len(m) == 0 {
		delete(c.byPump, p)
	}
	c.total--
	c.forgetClient(old)
	w := *old
	w.Left, w.Reason, w.Health = at, c.share(reason), fleet.HealthGone
	if len(c.gone) < c.keep {
		c.gone = append(c.gone, &w)
	} else {
		c.gone[c.left%c.keep] = &w
	}
	c.left++
	return &w
}

func (c *crowd) forgetClient(w *Watcher) {
	if w.Client == "" {
		return
	}
	list := slices.DeleteFunc(slices.Clone(c.byClient[w.Client]), func(x *Watcher) bool { return x == w })
	if len(list) == 0 {
		delete(c.byClient, w.Client)
		return
	}
	c.byClient[w.Client] = list
}

func (c *crowd) join(f *Fleet, p *Pump, v *fleet.Viewer, at time.Time) {
	c.mu.Lock()
	w := c.watcher(p, v, at)
	c.put(p, w)
	c.mu.Unlock()
	f.bell.ring(Happening{Time: at, Kind: ViewerJoined, Pump: p.id, Stream: w.Stream, Watcher: w})
}

// leave also knows viewers of whom no join came: the join was in what the pump had to drop.
func (c *crowd) leave(f *Fleet, p *Pump, v *fleet.Viewer, reason string, at time.Time) {
	c.mu.Lock()
	w := c.watcher(p, v, at)
	c.put(p, w)
	w = c.remove(p, w, reason, at)
	c.mu.Unlock()
	f.bell.ring(Happening{Time: at, Kind: ViewerLeft, Pump: p.id, Stream: w.Stream, Watcher: w, Text: w.Reason})
}

func (c *crowd) change(f *Fleet, p *Pump, v *fleet.Viewer, at time.Time) {
	c.mu.Lock()
	w := c.watcher(p, v, at)
	c.put(p, w)
	c.mu.Unlock()
	kind := ViewerGood
	if v.Health == fleet.HealthPoor {
		kind = ViewerPoor
	}
	f.bell.ring(Happening{Time: at, Kind: kind, Pump: p.id, Stream: w.Stream, Watcher: w})
}

// refresh takes figures of a viewer that is known and there.
func (c *crowd) refresh(p *Pump, v *fleet.Viewer, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byPump[p][v.ID] != nil && v.Health != fleet.HealthGone {
		c.put(p, c.watcher(p, v, at))
	}
}

// replace makes the list all that watch at p; whoever came or went is told of.
func (c *crowd) replace(f *Fleet, p *Pump, list []fleet.Viewer, now time.Time) {
	var news []Happening
	c.mu.Lock()
	before := c.byPump[p]
	there := make(map[string]bool, len(list))
	for i := range list {
		w := c.watcher(p, &list[i], now)
		there[w.ID] = true
		if c.put(p, w) == nil {
			news = append(news, Happening{Time: w.Since, Kind: ViewerJoined, Pump: p.id, Stream: w.Stream, Watcher: w})
		}
	}
	var leavers []*Watcher
	for id, w := range before {
		if !there[id] {
			leavers = append(leavers, w)
		}
	}
	for _, w := range leavers {
		w = c.remove(p, w, "left while the house did not hear the pump", now)
		news = append(news, Happening{Time: now, Kind: ViewerLeft, Pump: p.id, Stream: w.Stream, Watcher: w, Text: w.Reason})
	}
	c.mu.Unlock()
	for _, h := range news {
		f.bell.ring(h)
	}
}

// empty lets everybody at p leave.
func (c *crowd) empty(f *Fleet, p *Pump, reason string, now time.Time) {
	var leavers []*Watcher
	c.mu.Lock()
	for _, w := range c.byPump[p] {
		leavers = append(leavers, w)
	}
	for i, w := range leavers {
		leavers[i] = c.remove(p, w, reason, now)
	}
	c.mu.Unlock()
	for _, w := range leavers {
		f.bell.ring(Happening{Time: now, Kind: ViewerLeft, Pump: p.id, Stream: w.Stream, Watcher: w, Text: reason})
	}
}

// Watching returns how many viewers the house knows of.
func (f *Fleet) Watching() int {
	f.crowd.mu.RLock()
	defer f.crowd.mu.RUnlock()
	return f.crowd.total
}

// ByClient returns who has this outside id: those that are there, the newest last; if
// none is, those remembered that have left, the latest last.
func (f *Fleet) ByClient(id string) []*Watcher {
	c := &f.crowd
	c.mu.RLock()
	defer c.mu.RUnlock()
	if list := c.byClient[id]; len(list) > 0 {
		return slices.Clone(list)
	}
	var list []*Watcher
	for _, w := range c.gone {
		if w.Client == id && len(list) < maxPerClient {
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(a, b *Watcher) int { return a.Left.Compare(b.Left) })
	return list
}

// Watcher returns one viewer that is there.
func (f *Fleet) Watcher(pump, id string) (*Watcher, bool) {
	c := &f.crowd
	p := f.View().Pump(pump)
	c.mu.RLock()
	defer c.mu.RUnlock()
	w, ok := c.byPump[p][id]
	return w, ok
}

// Watchers returns those that fit, at most so many, in order of pump, then since when, then
// id; and how many fit in all. nil fits all.
func (f *Fleet) Watchers(fits func(*Watcher) bool, most int) (list []*Watcher, all int) {
	c := &f.crowd
	c.mu.RLock()
	for _, m := range c.byPump {
		for _, w := range m {
			if fits == nil || fits(w) {
				list = append(list, w)
			}
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Watcher) int {
		return cmp.Or(cmp.Compare(a.Pump, b.Pump), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), most)], len(list)
}

// Gone returns the last viewers that left, the latest first, at most so many.
func (f *Fleet) Gone(most int) []*Watcher {
	c := &f.crowd
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := min(c.left, len(c.gone), most)
	list := make([]*Watcher, 0, n)
	for i := range n {
		list = append(list, c.gone[(c.left-1-i)%c.keep])
	}
	return list
}

// Copy returns the viewers of a pump as they are after an event of its journal, for another
// house; ok is false if they are not known here at first hand.
func (f *Fleet) Copy(pump string) (boot string, after int64, list []fleet.Viewer, ok bool) {
	p := f.View().Pump(pump)
	if p == nil {
		return "", 0, nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.link.known || !p.link.direct {
		return "", 0, nil, false
	}
	now := f.opts.Now()
	c := &f.crowd
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, w := range c.byPump[p] {
		list = append(list, fleet.Viewer{
			ID: w.ID, Client: w.Client, Stream: w.Stream, Address: w.Address.String(), Agent: w.Agent, Kind: w.Kind, TLS: w.TLS,
			ForMS: max(now.Sub(w.Since).Milliseconds(), 0), Bytes: w.Bytes, LagMS: w.LagMS, Skipped: w.Skipped, Health: w.Health,
		})
	}
	return p.link.boot, p.link.next - 1, list, true
}
