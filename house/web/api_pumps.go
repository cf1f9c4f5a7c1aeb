package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// PumpDetail is a pump with what the roster says of it.
type PumpDetail struct {
	PumpInfo
	Revision uint64       `json:"revision" doc:"of the settings"`
	Settings PumpSettings `json:"settings"`
}

// ByID names a pump.
type ByID struct {
	ID string `path:"id" maxLength:"64" doc:"of the pump"`
}

// Conditional is what a change may be based on.
type Conditional struct {
	IfMatch string `header:"If-Match" doc:"the ETag of what is changed: refused with 412 if it has changed since. Left out: whatever is there"`
}

type pumpOutput struct {
	ETag string `header:"ETag"`
	Body PumpDetail
}

type putPump struct {
	ByID
	Conditional
	Body PumpSettings
}

type deletePump struct {
	ByID
	Conditional
}

type putNetworks struct {
	ByID
	Conditional
	Body []Network `maxItems:"20000" nullable:"false"`
}

type putDraining struct {
	ByID
	Body struct {
		Draining bool `json:"draining" doc:"true: nobody new is sent to it"`
	}
}

var changes = []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}

func (s *site) pumpAPI(a huma.API) {
	huma.Register(a, operation(http.MethodGet, "/pumps", "pumps", "pumps", RoleLook, "All pumps, in the order of the roster."),
		func(context.Context, *struct{}) (*body[[]PumpInfo], error) {
			return &body[[]PumpInfo]{see(s.opts.Fleet).pumps}, nil
		})
	huma.Register(a, operation(http.MethodGet, "/pumps/{id}", "pump", "pumps", RoleLook, "One pump, with its settings and its last two minutes.", http.StatusNotFound),
		func(_ context.Context, in *ByID) (*pumpOutput, error) { return s.pump(in.ID) })
	huma.Register(a, operation(http.MethodPut, "/pumps/{id}", "put-pump", "pumps", RoleSteer,
		"Add a pump, or change it: its settings are what is sent, and what is left out takes the default. Its key stays.", changes...),
		func(ctx context.Context, in *putPump) (*pumpOutput, error) {
			p, err := in.Body.pump(in.ID)
			if err != nil {
				return nil, err
			}
			return s.putPump(ctx, p, in.IfMatch, "changed the pump's settings")
		})
	huma.Register(a, operation(http.MethodDelete, "/pumps/{id}", "delete-pump", "pumps", RoleSteer,
		"Take a pump off the roster, with its key and its certificates.", changes...),
		func(ctx context.Context, in *deletePump) (*struct{}, error) {
			ctx, cancel := changing(ctx)
			defer cancel()
			rev, err := revision(in.IfMatch)
			if err == nil {
				err = fault(s.opts.Steering.DeletePump(ctx, in.ID, rev))
			}
			if err != nil {
				return nil, err
			}
			s.did(ctx, in.ID, "taken off the roster")
			return nil, nil
		})
	huma.Register(a, operation(http.MethodPut, "/pumps/{id}/networks", "put-networks", "pumps", RoleSteer, "Change whom a pump serves.", changes...),
		func(ctx context.Context, in *putNetworks) (*pumpOutput, error) {
			list, err := networks(in.Body)
			if err != nil {
				return nil, err
			}
			return s.alter(ctx, in.ID, in.IfMatch, "changed the pump's networks", func(p *roster.Pump) { p.Networks = list })
		})
	huma.Register(a, operation(http.MethodPut, "/pumps/{id}/draining", "drain", "pumps", RoleSteer,
		"Drain a pump, or end that. It is kept in the roster: it survives a restart of house and pump.", changes...),
		func(ctx context.Context, in *putDraining) (*pumpOutput, error) {
			what := "drained"
			if !in.Body.Draining {
				what = "takes viewers again"
			}
			return s.alter(ctx, in.ID, "", what, func(p *roster.Pump) { p.Draining = in.Body.Draining })
		})
	s.pumpSecretAPI(a)
}

func (s *site) pump(id string) (*pumpOutput, error) {
	l := see(s.opts.Fleet)
	i := slices.IndexFunc(l.pumps, func(p PumpInfo) bool { return p.ID == id })
	if i < 0 {
		return nil, errNoPump(id)
	}
	p := l.view.Pumps[i]
	d := PumpDetail{PumpInfo: l.pumps[i], Revision: s.opts.Steering.PumpRevision(id), Settings: settingsOf(p.Wanted())}
	d.History = history(p)
	return &pumpOutput{etag(d.Revision), d}, nil
}

func errNoPump(id string) error {
	return huma.Error404NotFound(fmt.Sprintf("the roster has no pump %q", fleet.Shorten(id)))
}

// pump makes an entry of the roster. What is wrong between entries is found later.
func (p *PumpSettings) pump(id string) (roster.Pump, error) {
	if !fleet.ValidID(id) {
		return roster.Pump{}, huma.Error422UnprocessableEntity(fmt.Sprintf("%q is no id of a pump (letters, digits, _, - and ., at most %d)", fleet.Shorten(id), fleet.MaxID))
	}
	list, err := networks(p.Networks)
	if err != nil {
		return roster.Pump{}, err
	}
	e := roster.Pump{
		ID: id, Title: p.Title, URL: p.URL, Parents: p.Parents, Networks: list,
		MaxViewers: p.MaxViewers, MaxBandwidth: p.MaxBandwidth, Enabled: p.Enabled == nil || *p.Enabled, Draining: p.Draining,
	}
	checked, _, err := roster.UnmarshalPump(roster.MarshalPump(e)) // as strictly as the file
	if err != nil {
		return roster.Pump{}, fault(err)
	}
	return checked, nil
}

func networks(list []Network) ([]roster.Network, error) {
	var out []roster.Network
	var errs []error
	for i, n := range list {
		p, err := access.ParsePrefix(n.CIDR)
		if err != nil {
			errs = append(errs, &huma.ErrorDetail{Message: err.Error(), Location: fmt.Sprintf("networks[%d].cidr", i)})
			continue
		}
		out = append(out, roster.Network{Prefix: p, Priority: n.Priority})
	}
	if len(errs) > 0 {
		return nil, huma.Error422UnprocessableEntity("not all networks can be read; nothing was changed", errs...)
	}
	return out, nil
}

// alter changes one thing of a pump as it is now.
func (s *site) alter(ctx context.Context, id, ifMatch, what string, change func(*roster.Pump)) (*pumpOutput, error) {
	if ifMatch == "" {
		ifMatch = etag(s.opts.Steering.PumpRevision(id)) // read before the pump, so that nothing is changed back
	}
	p := s.opts.Fleet.View().Pump(id)
	if p == nil || p.IsHouse() {
		return nil, errNoPump(id)
	}
	next := *p.Wanted()
	change(&next)
	return s.putPump(ctx, next, ifMatch, what)
}

func (s *site) putPump(ctx context.Context, p roster.Pump, ifMatch, what string) (*pumpOutput, error) {
	rev, err := revision(ifMatch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := changing(ctx)
	defer cancel()
	if _, err := s.opts.Steering.PutPump(ctx, p, rev); err != nil {
		return nil, fault(err)
	}
	s.did(ctx, p.ID, what)
	return s.pump(p.ID)
}

// Key is a pump's key.
type Key struct {
	Key string `json:"key" doc:"shown once: the house keeps its hash"`
}

// Invite lets a pump join.
type Invite struct {
	Invite string `json:"invite" doc:"for house.invite in the pump's configuration; good once"`
}

type putKey struct {
	ByID
	Body *struct {
		Key string `json:"key,omitempty" maxLength:"256" format:"password" doc:"left out: a new one is made up"`
	}
}

type postInvite struct {
	ByID
	Body *struct {
		ValidS int64 `json:"valid_s,omitempty" minimum:"0" maximum:"31536000" doc:"seconds; 0: as configured"`
	}
}

func (s *site) pumpSecretAPI(a huma.API) {
	huma.Register(a, operation(http.MethodPut, "/pumps/{id}/key", "put-key", "pumps", RoleSteer, "Give a pump a key; sessions of the old one end.", changes...),
		func(ctx context.Context, in *putKey) (*body[Key], error) {
			key := rand.Text()
			if in.Body != nil && in.Body.Key != "" {
				key = in.Body.Key
			}
			if err := s.setKey(ctx, in.ID, key, "has a new key"); err != nil {
				return nil, err
			}
			return &body[Key]{Key{key}}, nil
		})
	huma.Register(a, operation(http.MethodDelete, "/pumps/{id}/key", "delete-key", "pumps", RoleSteer, "Take a pump's key away.", changes...),
		func(ctx context.Context, in *ByID) (*struct{}, error) {
			return nil, s.setKey(ctx, in.ID, "", "has no key any more")
		})
	invite := operation(http.MethodPost, "/pumps/{id}/invite", "invite", "pumps", RoleSteer, "Invite a pump: with the invite it gets its certificate.", changes...)
	invite.DefaultStatus = http.StatusCreated
	huma.Register(a, invite, func(ctx context.Context, in *postInvite) (*body[Invite], error) {
		ctx, cancel := changing(ctx)
		defer cancel()
		var valid time.Duration
		if in.Body != nil {
			valid = time.Duration(in.Body.ValidS) * time.Second
		}
		text, err := s.opts.Steering.Invite(ctx, in.ID, valid)
		if err != nil {
			return nil, fault(err)
		}
		s.did(ctx, in.ID, "invited")
		return &body[Invite]{Invite{text}}, nil
	})
}

func (s *site) setKey(ctx context.Context, id, key, what string) error {
	ctx, cancel := changing(ctx)
	defer cancel()
	if err := s.opts.Steering.SetKey(ctx, id, key); err != nil {
		return fault(err)
	}
	s.did(ctx, id, what)
	return nil
}
