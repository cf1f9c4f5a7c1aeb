package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/gate"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/house/web"
)

// steering is how page and API change the fleet.
type steering struct{ h *House }

var _ web.Steering = steering{}

// Steering returns what changes the fleet.
func (h *House) Steering() web.Steering { return steering{h} }

// steered turns errors of the parts into those that page and API know.
func steered(err error) error {
	for from, to := range map[error]error{
		store.ErrNotFound: web.ErrNotFound, registry.ErrUnknown: web.ErrNotFound, store.ErrChanged: web.ErrChanged,
		store.ErrFull: web.ErrUnavailable, store.ErrUnavailable: web.ErrUnavailable, gate.ErrUnreachable: web.ErrUnreachable,
	} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %w", to, err)
		}
	}
	return err
}

func (s steering) PutPump(ctx context.Context, p roster.Pump, revision uint64) (uint64, error) {
	now, err := s.h.registry.PutPump(ctx, p, revision)
	return now, steered(err)
}

func (s steering) DeletePump(ctx context.Context, id string, revision uint64) error {
	return steered(s.h.registry.DeletePump(ctx, id, revision))
}

func (s steering) PumpRevision(id string) uint64 {
	_, revision, _ := s.h.registry.State().Pump(id)
	return revision
}

func (s steering) SetKey(ctx context.Context, id, key string) error {
	return steered(s.h.registry.SetKey(ctx, id, key))
}

func (s steering) Streams() []web.StreamEntry {
	var list []web.StreamEntry
	for _, x := range s.h.registry.State().Streams {
		list = append(list, web.StreamEntry{Path: x.Config.Path, Revision: x.Revision, Settings: x.Config.JSON(true)})
	}
	return list
}

func (s steering) PutStream(ctx context.Context, stream json.RawMessage, revision uint64) (string, uint64, error) {
	path, now, err := s.h.registry.PutStream(ctx, stream, revision)
	return path, now, steered(err)
}

func (s steering) DeleteStream(ctx context.Context, path string, revision uint64) error {
	return steered(s.h.registry.DeleteStream(ctx, path, revision))
}

func (s steering) ImportRoster(ctx context.Context, name string, text []byte) error {
	f, err := roster.Parse(name, text)
	if err != nil {
		return err
	}
	return steered(s.h.registry.ImportRoster(ctx, f))
}

func (s steering) ExportRoster() []byte { return s.h.registry.Export() }

func (s steering) Plan(name string, text []byte) (*roster.Plan, error) {
	f, err := roster.Parse(name, text)
	if err != nil {
		return nil, err
	}
	return s.h.Plan(f.Roster), nil
}

func (s steering) Invite(ctx context.Context, id string, valid time.Duration) (string, error) {
	a, err := Invite(ctx, s.h.registry, s.h.cfg.Load(), id, valid)
	return a.Invite, steered(err)
}

func (s steering) Certificates() []web.Certificate {
	var list []web.Certificate
	for _, c := range s.h.registry.State().Certificates {
		list = append(list, web.Certificate{Serial: c.Serial, Pump: c.Pump, Issued: c.Issued, NotAfter: c.NotAfter, Revoked: c.Revoked, Issuer: c.By})
	}
	return list
}

func (s steering) Revoke(ctx context.Context, serial string) error {
	err := s.h.registry.Revoke(ctx, serial)
	s.h.gate.Changed()
	return steered(err)
}

func (s steering) Tokens() []web.Token {
	var list []web.Token
	for _, t := range s.h.registry.State().Tokens {
		list = append(list, token(t))
	}
	return list
}

func token(t registry.Token) web.Token {
	return web.Token{ID: t.ID, Name: t.Name, Role: t.Role, Created: t.Created, Expires: t.Expires}
}

func (s steering) CreateToken(ctx context.Context, name, role string, valid time.Duration) (web.Token, string, error) {
	t, text, err := s.h.registry.CreateToken(ctx, name, role, valid)
	return token(t), text, steered(err)
}

func (s steering) DeleteToken(ctx context.Context, id string) error {
	return steered(s.h.registry.DeleteToken(ctx, id))
}

func (s steering) CheckToken(text string) (web.Token, bool) {
	t, ok := s.h.registry.CheckToken(text)
	return token(t), ok
}

func (s steering) Sign(stream, id string, valid time.Duration, network netip.Prefix) (string, time.Time, error) {
	cfg := s.h.cfg.Load()
	if len(cfg.Signing.Keys) == 0 {
		return "", time.Time{}, web.ErrNoKeys
	}
	x, ok := s.h.registry.State().Stream(stream)
	if !ok {
		return "", time.Time{}, fmt.Errorf("stream %s: %w", stream, web.ErrNotFound)
	}
	first := cfg.Signing.Keys[0]
	expires := time.Now().Add(valid).Truncate(time.Second)
	key := access.Key{Name: first.Name, Secret: first.Secret}
	query, err := key.Sign(access.Grant{Stream: x.Config.Path, Expires: expires, ID: id, Network: network}, cfg.IDParameter)
	return "/streams/" + x.Config.Path + "?" + query, expires, err
}

func (s steering) Kick(ctx context.Context, pump string, viewers, clients []string, reason string) ([]fleet.Viewer, error) {
	list, err := s.h.gate.Do(ctx, pump, fleet.Command{Kind: fleet.CommandKick, Viewers: viewers, Clients: clients, Reason: reason})
	return list, steered(err)
}

func (s steering) Inspect(ctx context.Context, pump string, viewers, clients []string) ([]fleet.Viewer, error) {
	list, err := s.h.gate.Do(ctx, pump, fleet.Command{Kind: fleet.CommandInspect, Viewers: viewers, Clients: clients})
	return list, steered(err)
}
