package web

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/house/live"
)

// body is an answer with nothing but a body.
type body[T any] struct{ Body T }

type eventsInput struct {
	After uint64 `query:"after" doc:"only events with a higher number"`
	Kind  string `query:"kind" enum:"pump_up,pump_down,pump_full,pump_free,stream_live,stream_lost,roster_changed,noted" doc:"only events of this kind"`
	Pump  string `query:"pump" doc:"only events of this pump"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"200" doc:"only the last ones"`
}

func (s *site) fleetAPI(a huma.API) {
	huma.Register(a, operation(http.MethodGet, "/fleet", "fleet", "fleet", RoleLook, "The whole fleet at a glance."),
		func(context.Context, *struct{}) (*body[Overview], error) {
			return &body[Overview]{see(s.opts.Fleet).overview(&s.opts)}, nil
		})
	huma.Register(a, operation(http.MethodGet, "/events", "events", "events", RoleLook,
		"What happened lately, oldest first, but for joins and leaves of viewers: those come with GET /live?viewers=true."),
		func(_ context.Context, in *eventsInput) (*body[[]EventInfo], error) {
			return &body[[]EventInfo]{s.events(in)}, nil
		})
	s.rosterAPI(a)
	huma.Register(a, operation(http.MethodGet, "/networks", "networks", "pumps", RoleLook, "All networks with the pumps that serve them, in the order of the roster."),
		func(context.Context, *struct{}) (*body[[]NetworkInfo], error) {
			list := []NetworkInfo{}
			for _, p := range s.opts.Fleet.View().Pumps {
				for _, n := range p.Wanted().Networks {
					list = append(list, NetworkInfo{n.Prefix.String(), n.Priority, p.ID()})
				}
			}
			return &body[[]NetworkInfo]{list}, nil
		})
}

func (s *site) events(in *eventsInput) []EventInfo {
	list := []EventInfo{}
	for _, h := range s.opts.Fleet.Recent() {
		if h.Number > in.After && (in.Kind == "" || h.Kind == live.Kind(in.Kind)) && (in.Pump == "" || h.Pump == in.Pump) {
			list = append(list, eventInfo(&h))
		}
	}
	return list[max(0, len(list)-in.Limit):]
}
