package web

import (
	"context"
	"net/http"
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
	Pumps   []PumpInfo   `json:"pumps" nullable:"false" doc:"only those that said something, or fell silent"`
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

// follower knows what one client has been told.
type follower struct {
	site     *site
	revision uint64
	sent     map[string]mark
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
	f.revision, f.sent = l.view.Revision, marks
	for i, p := range l.view.Pumps {
		o.Pumps[i].History = history(p)
	}
	return o
}

// next returns what has changed: everything if roster or streams have.
func (f *follower) next(lost uint64) any {
	if f.site.opts.Fleet.View().Revision != f.revision {
		return f.whole()
	}
	marks := f.marks()
	l := see(f.site.opts.Fleet)
	n := Figures{Time: f.site.opts.Now().UTC(), Totals: l.totals(f.site.opts.Fleet), Pumps: []PumpInfo{}, Streams: l.streams(), Lost: lost}
	for i := range l.pumps {
		if p := &l.pumps[i]; marks[p.ID] != f.sent[p.ID] {
			n.Pumps = append(n.Pumps, *p)
		}
	}
	f.sent = marks
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
