package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/stream-pump/stream-pump/house/live"
)

// Figures are what has changed within a second.
type Figures struct {
	Time    time.Time    `json:"time"`
	Totals  Totals       `json:"totals"`
	Pumps   []PumpInfo   `json:"pumps" nullable:"false" doc:"those that said something, or fell silent; of a large fleet those whose condition has changed, and some others in turn"`
	Relays  []PumpInfo   `json:"relays" nullable:"false" doc:"all"`
	Streams []StreamInfo `json:"streams" nullable:"false" doc:"all"`
	Lost    uint64       `json:"lost" doc:"events that were too many to be sent, since the connection was made"`
}

type liveInput struct {
	request *http.Request
	Viewers bool `query:"viewers" doc:"joins, leaves and changes of health of viewers too: there may be thousands a second"`
}

// Resolve keeps the request, by which the session is looked at again.
func (l *liveInput) Resolve(ctx huma.Context) []error {
	l.request, _ = humago.Unwrap(ctx)
	return nil
}

const (
	figuresEvery = time.Second
	admitEvery   = 2 * time.Second // who has lost his session is noticed so late
	liveBuffer   = 4096
)

func (s *site) liveAPI(a huma.API) {
	op := operation(http.MethodGet, "/live", "live", "fleet", RoleLook,
		"Server-sent events: fleet at once, and again when roster or streams change; figures every second; happening at once.")
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	op.Middlewares = huma.Middlewares{s.fewEnough(a)}
	sse.Register(a, op, map[string]any{"fleet": Overview{}, "figures": Figures{}, "happening": EventInfo{}},
		func(ctx context.Context, in *liveInput, send sse.Sender) { s.follow(ctx, in, send) })
}

// follow tells what the fleet does until the client is gone, or may not see it any more.
func (s *site) follow(ctx context.Context, in *liveInput, send sse.Sender) {
	sub := s.opts.Fleet.Subscribe(liveBuffer, func(k live.Kind) bool { return in.Viewers || !k.OfViewer() })
	defer sub.Close()
	f := follower{site: s}
	if send.Data(f.whole()) != nil {
		return
	}
	tick, check := time.NewTicker(figuresEvery), time.NewTicker(admitEvery)
	defer tick.Stop()
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.opts.Done:
			return
		case h := <-sub.C:
			err = send.Data(eventInfo(&h))
		case <-tick.C:
			err = send.Data(f.next(sub.Lost()))
		case <-check.C:
			if _, fault := s.door.identify(in.request); fault != nil && fault.status != http.StatusTooManyRequests && fault.status != http.StatusServiceUnavailable {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Bounds of what one client is told at once, whatever the size of the fleet.
const (
	maxFigures   = 150 // pumps a second whose figures alone have changed
	maxHistories = 100 // pumps of a fleet whose past is told with all else
)

// follower knows what one client has been told.
type follower struct {
	site     *site
	revision uint64
	tick     int
	sent     map[string]told
}

// told is what the client knows of a pump.
type told struct {
	mark      mark
	condition string
	tick      int // when
}

// mark tells whether a pump has changed.
type mark struct {
	report *live.Report
	up     bool
}

func (f *follower) whole() Overview {
	marks := f.marks()
	l := see(f.site.opts.Fleet)
	o := l.overview(&f.site.opts)
	f.revision, f.sent = l.view.Revision, make(map[string]told, len(l.pumps))
	for i := range l.pumps {
		p := &l.pumps[i]
		f.sent[p.ID] = told{marks[p.ID], condition(p), f.tick}
	}
	o.History = historyOf(everyPump(l.view))
	if len(l.view.Pumps) <= maxHistories {
		for i, p := range l.view.Pumps {
			o.Pumps[i].History = history(p)
		}
	}
	return o
}

// condition is what a person should see at once when it changes: all but figures.
func condition(p *PumpInfo) string {
	var b strings.Builder
	fmt.Fprint(&b, p.State, p.Enabled, p.Draining, p.Full, p.URL, p.ConfigFault, p.Faults)
	for i := range p.Streams {
		s := &p.Streams[i]
		fmt.Fprint(&b, s.Path, " ", s.State, " ", s.Parent, " ")
	}
	return b.String()
}

// next returns what has changed: everything if roster or streams have.
func (f *follower) next(lost uint64) any {
	f.tick++
	if f.site.opts.Fleet.View().Revision != f.revision {
		return f.whole()
	}
	marks := f.marks()
	l := see(f.site.opts.Fleet)
	n := Figures{Time: f.site.opts.Now().UTC(), Totals: l.totals(f.site.opts.Fleet), Pumps: []PumpInfo{}, Relays: l.relays, Streams: l.streams(), Lost: lost}
	var rest []*PumpInfo
	tell := func(p *PumpInfo, c string) {
		n.Pumps = append(n.Pumps, *p)
		f.sent[p.ID] = told{marks[p.ID], c, f.tick}
	}
	for i := range l.pumps {
		p := &l.pumps[i]
		was := f.sent[p.ID]
		switch c := condition(p); {
		case marks[p.ID] == was.mark:
		case c != was.condition:
			tell(p, c)
		default:
			rest = append(rest, p)
		}
	}
	slices.SortStableFunc(rest, func(a, b *PumpInfo) int { return cmp.Compare(f.sent[a.ID].tick, f.sent[b.ID].tick) })
	for _, p := range rest[:min(len(rest), maxFigures)] {
		tell(p, f.sent[p.ID].condition)
	}
	return n
}

// marks are taken before one looks: what changes meanwhile is told once more, not never.
func (f *follower) marks() map[string]mark {
	v := f.site.opts.Fleet.View()
	m := make(map[string]mark, len(v.Pumps))
	for _, p := range v.Pumps {
		m[p.ID()] = mark{p.Report(), p.Up()}
	}
	return m
}
