package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// Crowd is a part of those who watch.
type Crowd struct {
	All     int          `json:"all" doc:"how many fit, those that are not shown included"`
	Viewers []ViewerInfo `json:"viewers" nullable:"false"`
}

// Kicked is what became of a kick.
type Kicked struct {
	Viewers     []ViewerInfo `json:"viewers" nullable:"false" doc:"who was cut off, with the last figures"`
	Unreachable []string     `json:"unreachable,omitempty" doc:"pumps that did not answer"`
}

// ClientInfo is everybody who has one outside id.
type ClientInfo struct {
	Client  string       `json:"client"`
	Fresh   bool         `json:"fresh" doc:"the pumps were asked just now; else they could not be"`
	Health  string       `json:"health" enum:"good,poor,gone,unknown" doc:"of the newest viewer"`
	Viewers []ViewerInfo `json:"viewers" nullable:"false" doc:"the newest last; if none is there, those remembered that have left"`
}

type viewersInput struct {
	State  string `query:"state" enum:"watching,gone" default:"watching" doc:"who is there, or the last ones that have left, the latest first"`
	Client string `query:"client" maxLength:"512" doc:"only who has this outside id"`
	Pump   string `query:"pump" maxLength:"65" doc:"id; @ and a house's name for those whom it serves itself"`
	Stream string `query:"stream" maxLength:"128"`
	Search string `query:"search" maxLength:"512" doc:"only whose ids, address, stream or player contain this"`
	Health string `query:"health" enum:"good,poor,gone,unknown"`
	Pumps  bool   `query:"pumps" doc:"pumps downstream too"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"200"`
}

type viewerID struct {
	Pump string `path:"pump" maxLength:"65"`
	ID   string `path:"id" maxLength:"64" doc:"the pump's id of the viewer"`
}

type clientID struct {
	ID string `path:"id" maxLength:"512" doc:"given from outside"`
}

const (
	askMax  = 3 * time.Second // a pump may take to tell of its viewers
	kickMax = 10 * time.Second
)

func (s *site) viewerAPI(a huma.API) {
	huma.Register(a, operation(http.MethodGet, "/viewers", "viewers", "viewers", RoleLook, "Who watches, or did."),
		func(_ context.Context, in *viewersInput) (*body[Crowd], error) { return &body[Crowd]{s.crowd(in)}, nil })
	huma.Register(a, operation(http.MethodGet, "/viewers/{pump}/{id}", "viewer", "viewers", RoleLook, "One viewer, with figures that the pump is asked for now.", http.StatusNotFound),
		func(ctx context.Context, in *viewerID) (*body[ClientInfo], error) {
			w, ok := s.opts.Fleet.Watcher(in.Pump, in.ID)
			if !ok {
				return nil, huma.Error404NotFound("nobody with this id watches at this pump")
			}
			fresh := s.ask(ctx, []*live.Watcher{w})
			if now, ok := s.opts.Fleet.Watcher(in.Pump, in.ID); ok {
				w = now
			}
			return &body[ClientInfo]{s.client(w.Client, fresh, []*live.Watcher{w})}, nil
		})
	huma.Register(a, operation(http.MethodDelete, "/viewers/{pump}/{id}", "kick-viewer", "viewers", RoleSteer, "Cut one viewer off.", http.StatusNotFound, http.StatusServiceUnavailable),
		func(ctx context.Context, in *viewerID) (*body[Kicked], error) {
			if _, ok := s.opts.Fleet.Watcher(in.Pump, in.ID); !ok {
				return nil, huma.Error404NotFound("nobody with this id watches at this pump")
			}
			return s.kick(ctx, map[string]target{in.Pump: {viewers: []string{in.ID}}}, "viewer "+in.ID)
		})
	huma.Register(a, operation(http.MethodGet, "/clients/{id}", "client", "viewers", RoleLook,
		"Everybody with one outside id: which pump, since when, bytes, lag, skips, health; the pumps are asked for figures of now.", http.StatusNotFound),
		func(ctx context.Context, in *clientID) (*body[ClientInfo], error) {
			list := s.opts.Fleet.ByClient(in.ID)
			if len(list) == 0 {
				return nil, errNoClient(in.ID)
			}
			fresh := false
			if list[len(list)-1].Left.IsZero() {
				fresh = s.ask(ctx, list)
				if now := s.opts.Fleet.ByClient(in.ID); len(now) > 0 {
					list = now
				}
			}
			return &body[ClientInfo]{s.client(in.ID, fresh, list)}, nil
		})
	huma.Register(a, operation(http.MethodDelete, "/clients/{id}", "kick-client", "viewers", RoleSteer, "Cut off everybody with one outside id, wherever they are.", http.StatusNotFound, http.StatusServiceUnavailable),
		func(ctx context.Context, in *clientID) (*body[Kicked], error) {
			at := map[string]target{}
			for _, w := range s.opts.Fleet.ByClient(in.ID) {
				if w.Left.IsZero() {
					at[w.Pump] = target{clients: []string{in.ID}}
				}
			}
			if len(at) == 0 {
				return nil, errNoClient(in.ID)
			}
			return s.kick(ctx, at, "everybody with the id "+fleet.Shorten(in.ID))
		})
}

func errNoClient(id string) error {
	return huma.Error404NotFound(fmt.Sprintf("nobody with the id %q is known", fleet.Shorten(id)))
}

// crowd finds viewers.
func (s *site) crowd(in *viewersInput) Crowd {
	fits := in.fits(s)
	if in.State == "gone" {
		c := Crowd{Viewers: []ViewerInfo{}}
		for _, w := range s.opts.Fleet.Gone(1 << 30) {
			if !fits(w) {
				continue
			}
			if c.All++; c.All <= in.Limit {
				c.Viewers = append(c.Viewers, viewerInfo(w))
			}
		}
		return c
	}
	list, all := s.opts.Fleet.Watchers(fits, in.Limit)
	return Crowd{All: all, Viewers: s.viewerInfos(list)}
}

func (in *viewersInput) fits(s *site) func(*live.Watcher) bool {
	search := strings.ToLower(in.Search)
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), search) }
	return func(w *live.Watcher) bool {
		switch {
		case !in.Pumps && w.Kind == fleet.KindPump,
			in.Client != "" && w.Client != in.Client,
			in.Pump != "" && w.Pump != in.Pump,
			in.Stream != "" && !strings.EqualFold(w.Stream, in.Stream),
			in.Health != "" && s.health(w) != in.Health:
			return false
		}
		return search == "" || has(w.Client) || has(w.ID) || has(w.Address.String()) || has(w.Stream) || has(w.Agent)
	}
}

func (s *site) client(id string, fresh bool, list []*live.Watcher) ClientInfo {
	return ClientInfo{Client: id, Fresh: fresh, Health: s.health(list[len(list)-1]), Viewers: s.viewerInfos(list)}
}

// target is who is meant at one pump.
type target struct{ viewers, clients []string }

// each does something at several pumps at once, and returns who was meant and those pumps
// that did not answer, with why.
func each(at map[string]target, do func(pump string, t target) ([]fleet.Viewer, error)) (map[string][]fleet.Viewer, map[string]error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	met, failed := map[string][]fleet.Viewer{}, map[string]error{}
	for pump, t := range at {
		wg.Go(func() {
			list, err := do(pump, t)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[pump] = err
				return
			}
			met[pump] = list
		})
	}
	wg.Wait()
	return met, failed
}

// ask has pumps tell of viewers; what they say is in the fleet afterwards. It tells whether
// all of them answered.
func (s *site) ask(ctx context.Context, list []*live.Watcher) bool {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	at := map[string]target{}
	for _, w := range list {
		at[w.Pump] = target{viewers: append(at[w.Pump].viewers, w.ID)}
	}
	_, failed := each(at, func(pump string, t target) ([]fleet.Viewer, error) {
		return s.opts.Steering.Inspect(ctx, pump, t.viewers, nil)
	})
	return len(failed) == 0
}

func (s *site) kick(ctx context.Context, at map[string]target, whom string) (*body[Kicked], error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kickMax)
	defer cancel()
	reason := "kicked by " + who(ctx).Name
	met, failed := each(at, func(pump string, t target) ([]fleet.Viewer, error) {
		return s.opts.Steering.Kick(ctx, pump, t.viewers, t.clients, reason)
	})
	k := Kicked{Viewers: []ViewerInfo{}}
	var errs []error
	for pump, err := range failed {
		k.Unreachable = append(k.Unreachable, pump)
		errs = append(errs, fmt.Errorf("pump %s: %w", pump, err))
		s.opts.Log.Warn("a kick failed", slog.String("pump", pump), slog.Any("error", err))
	}
	if len(met) == 0 {
		return nil, fault(errors.Join(errs...))
	}
	for pump, list := range met {
		for i := range list {
			k.Viewers = append(k.Viewers, kicked(pump, &list[i], s.opts.Now()))
		}
		s.did(ctx, pump, whom+" cut off")
	}
	return &body[Kicked]{k}, nil
}

func kicked(pump string, v *fleet.Viewer, now time.Time) ViewerInfo {
	return ViewerInfo{
		Pump: pump, Relayed: fleet.ValidHouseID(pump), ID: v.ID, Client: v.Client, Stream: v.Stream, Address: v.Address, Agent: v.Agent, Kind: v.Kind, TLS: v.TLS,
		Since: now.Add(-time.Duration(v.ForMS) * time.Millisecond).UTC(), Seen: now.UTC(), Bytes: v.Bytes, LagMS: v.LagMS, Skipped: v.Skipped,
		Health: fleet.HealthGone,
	}
}
