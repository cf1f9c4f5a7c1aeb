package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// relayed is a batch on its way between houses.
type relayed struct {
	House string       `json:"house"`
	URL   string       `json:"url,omitempty"`
	Batch *fleet.Batch `json:"batch"`
}

// Bounds of what goes over the bus in one piece.
const (
	relayEvents  = 500
	relayViewers = 500
	resyncEvery  = 2 * time.Second
	copyFor      = 30 * time.Second
)

// relay tells the other houses what a pump told. It may be lost: then they ask.
func (g *Gate) relay(b *fleet.Batch) {
	url := ""
	if p := g.opts.Fleet.View().Pump(b.Pump); p != nil {
		url = p.URL()
	}
	rest, first := b.Events, b.First
	for part := (fleet.Batch{Pump: b.Pump, Boot: b.Boot, Number: b.Number, State: b.State}); ; part.State = nil {
		n := min(len(rest), relayEvents)
		part.First, part.Events = first, rest[:n]
		data, err := json.Marshal(relayed{g.opts.House, url, &part})
		if err == nil {
			err = g.opts.Bus.Publish("telemetry."+b.Pump, data)
		}
		if err != nil {
			g.repeats.Log(slog.LevelWarn, "relay", "what a pump tells does not reach the other houses", slog.Any("error", err))
			return
		}
		if rest, first = rest[n:], first+int64(n); len(rest) == 0 {
			return
		}
	}
}

// listen hears what other houses tell of their pumps, and answers what they ask.
func (g *Gate) listen() error {
	heard, err := g.opts.Bus.Subscribe("telemetry.>", g.hear)
	if err != nil {
		return err
	}
	asked, err := g.opts.Bus.Serve("viewers."+g.opts.House, g.tell)
	if err != nil {
		heard()
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsub = append(g.unsub, heard, asked)
	return nil
}

func (g *Gate) hear(_ string, data []byte) {
	var m relayed
	if json.Unmarshal(data, &m) != nil || m.House == g.opts.House || m.Batch == nil || m.Batch.Check(m.Batch.Pump) != nil {
		return
	}
	if fleet.ValidHouseID(m.Batch.Pump) {
		if m.Batch.Pump != fleet.HouseID(m.House) { // each house speaks of its own only
			return
		}
		g.opts.Fleet.AddHouse(m.Batch.Pump, false)
	}
	if p := g.opts.Fleet.View().Pump(m.Batch.Pump); p != nil && m.URL != "" && fleet.ValidURL(m.URL) {
		g.reachedAt(p, m.URL)
	}
	receipt, ok := g.opts.Fleet.Apply(m.Batch, live.Relayed)
	if ok && receipt.Snapshot && g.mayResync(m.Batch.Pump) {
		g.done.Go(func() { g.ask(m.House, m.Batch.Pump) })
	}
}

func (g *Gate) mayResync(pump string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opts.Now()
	if now.Sub(g.resync[pump]) < resyncEvery {
		return false
	}
	g.resync[pump] = now
	return true
}

// question asks a house for a part of the viewers of one of its pumps.
type question struct {
	Pump string `json:"pump"`
	List string `json:"list,omitempty"` // empty: a new one
	Part int    `json:"part"`
}

type viewersAnswer struct {
	List  string       `json:"list"`
	Batch *fleet.Batch `json:"batch"`
}

// ask gets the viewers of a pump from the house it is connected to.
func (g *Gate) ask(house, pump string) {
	ctx, cancel := context.WithTimeout(context.Background(), copyFor)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-g.closing:
			cancel()
		case <-stop:
		}
	}()
	q := question{Pump: pump}
	for parts := 1; q.Part < parts; q.Part++ {
		data, err := json.Marshal(q)
		if err != nil {
			return
		}
		said, err := g.opts.Bus.Request(ctx, "viewers."+house, data)
		var a viewersAnswer
		if err != nil || json.Unmarshal(said, &a) != nil || a.Batch == nil || a.Batch.Snapshot == nil || a.Batch.Check(pump) != nil {
			g.log.Debug("another house does not tell who watches", slog.String("house", house), slog.String("pump", pump), slog.Any("error", err))
			return
		}
		q.List, parts = a.List, a.Batch.Snapshot.Parts
		g.opts.Fleet.Apply(a.Batch, live.Relayed)
	}
}

// copies are lists of viewers that another house is being told, by name.
type copies map[string]*viewersCopy

type viewersCopy struct {
	until time.Time
	pump  string
	boot  string
	after int64
	list  []fleet.Viewer
}

// tell answers a question.
func (g *Gate) tell(data []byte) []byte {
	var q question
	if json.Unmarshal(data, &q) != nil || q.Part < 0 {
		return []byte("{}")
	}
	c := g.copyOf(&q)
	if c == nil {
		return []byte("{}")
	}
	parts := 1 + max(len(c.list)-1, 0)/relayViewers
	if q.Part >= parts {
		return []byte("{}")
	}
	s := &fleet.Snapshot{After: c.after, Part: q.Part, Parts: parts, Viewers: c.list[q.Part*relayViewers : min((q.Part+1)*relayViewers, len(c.list))]}
	// Batch numbers of a copy start at 1: a state never comes with them.
	b := &fleet.Batch{Pump: c.pump, Boot: c.boot, Number: int64(q.Part + 1), First: c.after + 1, Snapshot: s}
	answer, err := json.Marshal(viewersAnswer{q.List, b})
	if err != nil {
		return []byte("{}")
	}
	return answer
}

// copyOf returns the list that is asked for; a new one is taken of a pump that is heard here.
func (g *Gate) copyOf(q *question) *viewersCopy {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opts.Now()
	for name, c := range g.copies {
		if now.After(c.until) {
			delete(g.copies, name)
		}
	}
	if q.List != "" {
		return g.copies[q.List]
	}
	boot, after, list, ok := g.opts.Fleet.Copy(q.Pump)
	if !ok || len(g.copies) >= maxCopies {
		return nil
	}
	q.List = strings.Join([]string{q.Pump, fleet.NewBoot()}, " ")
	if g.copies == nil {
		g.copies = copies{}
	}
	c := &viewersCopy{until: now.Add(copyFor), pump: q.Pump, boot: boot, after: after, list: list}
	g.copies[q.List] = c
	return c
}

const maxCopies = 100
