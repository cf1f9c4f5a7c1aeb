package pump

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/access/hook"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// gates are who may push a stream and who may watch it.
type gates struct{ publish, play *access.Gate }

// guards slow down who guesses. A stream keeps them over a reload.
type guards struct{ publish, play *access.Guards }

func newGuards() guards {
	return guards{access.NewGuards(access.GuardOptions{}), access.NewGuards(access.GuardOptions{})}
}

// gatesOf makes the gates of a stream.
func (p *Pump) gatesOf(c config.Stream, whole *config.Config, g guards) (gates, error) {
	publish, publishErr := p.publishGate(c, g.publish)
	play, playErr := p.playGate(c, whole, g.play)
	if err := errors.Join(publishErr, playErr); err != nil {
		return gates{}, fmt.Errorf("stream %s: %w", c.Path, err)
	}
	return gates{publish, play}, nil
}

func (p *Pump) publishGate(c config.Stream, g *access.Guards) (*access.Gate, error) {
	x := c.Publish
	users := usersOf(x.Users)
	if x.User != "" {
		users = append(users, access.User{Name: x.User, Password: x.Password})
	}
	credentials, err := p.credentials(users, x.AllowBasic)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	var tokens []access.Token
	for _, t := range x.Tokens {
		tokens = append(tokens, access.Token(t))
	}
	gate, err := access.NewGate(access.GateOptions{
		Stream: c.Path, Networks: access.Rules{Allow: access.NewNetworks(x.Allow...)},
		Credentials: credentials, Tokens: tokens, Certificates: x.Certificates, Guards: g,
		Private: true, Hint: "stream " + c.Path + " says nothing about who may push it, so that it is pushed from loopback and private networks only; " +
			"set publish.users, publish.tokens, publish.certificates or publish.allow of the stream",
	})
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return gate, nil
}

func (p *Pump) playGate(c config.Stream, whole *config.Config, g *access.Guards) (*access.Gate, error) {
	x := c.Play
	credentials, err := p.credentials(usersOf(x.Users), x.AllowBasic)
	if err != nil {
		return nil, fmt.Errorf("play: %w", err)
	}
	o := access.GateOptions{
		Stream: c.Path, Credentials: credentials, Guards: g,
		Networks: access.Rules{Allow: access.NewNetworks(x.Allow...), Deny: access.NewNetworks(x.Deny...)},
	}
	if x.Signed {
		if o.Keys, err = keyring(whole); err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
	}
	gate, err := access.NewGate(o)
	if err != nil {
		return nil, fmt.Errorf("play: %w", err)
	}
	return gate, nil
}

func (p *Pump) credentials(users []access.User, allowBasic bool) (*access.Credentials, error) {
	return access.NewUsers(users, access.CredentialsOptions{AllowBasic: allowBasic, Hasher: p.hasher})
}

func usersOf(list []config.User) (users []access.User) {
	for _, u := range list {
		users = append(users, access.User(u))
	}
	return users
}

func keyring(c *config.Config) (*access.Keyring, error) {
	var keys []access.Key
	for _, k := range c.Signing.Keys {
		keys = append(keys, access.Key(k))
	}
	return access.NewKeyring(keys)
}

// regate makes all gates anew, for what a reload has changed. The caller holds p.mu.
func (p *Pump) regate(whole *config.Config) error {
	var errs []error
	for _, st := range p.stations {
		g, err := p.gatesOf(st.cfg, whole, st.guards)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		st.gates, st.target = g, targetOf(st, g.publish)
	}
	return errors.Join(errs...)
}

// gatekeeper is the viewers' gate as the server knows it, with the hook behind it.
type gatekeeper struct{ *Pump }

// gate returns the gate of a stream; there is none yet while the stream is being added,
// and none any more when it was just removed.
func (k gatekeeper) gate(s *stream.Stream) (g *access.Gate, there bool) {
	g, there = (*k.viewing.Load())[strings.ToLower(s.Path())]
	return g, there
}

// Slow implements [server.Gate].
func (k gatekeeper) Slow(s *stream.Stream) bool {
	g, _ := k.gate(s)
	return k.hook.Asks(hook.OnPlay) || g.Asks()
}

var errNoGate = errors.New("the stream is just being changed, try again")

// Enter implements [server.Gate].
func (k gatekeeper) Enter(ctx context.Context, v *server.Visit) (access.Pass, *access.Denial) {
	g, there := k.gate(v.Stream)
	if !there || !v.Patient && g.Asks() { // a reload has come between Slow and here
		return access.Pass{}, &access.Denial{Reason: access.RefusedBusy, Err: errNoGate, Wait: time.Second}
	}
	pass, denied := g.Enter(ctx, access.Visitor{Request: v.Request, Addr: v.Remote.Addr(), Query: v.Query})
	k.noteRefusal(v, denied)
	return pass, denied
}

// Begin implements [server.Gate].
func (k gatekeeper) Begin(ctx context.Context, v *server.Visit, final bool) (string, *access.Denial) {
	if !v.Patient && k.hook.Asks(hook.OnPlay) {
		return "", &access.Denial{Reason: access.RefusedBusy, Err: errNoGate, Wait: time.Second}
	}
	session, denied := k.hook.Ask(ctx, hook.Event{
		Action: hook.OnPlay, Stream: v.Stream.Path(), ID: v.Query.ID, Address: v.Remote.Addr(), UserAgent: v.Request.UserAgent(),
		Query: v.Request.URL.RawQuery, TLS: v.Request.TLS != nil, Kind: v.Kind,
	}.Of(v.Pass), final)
	k.noteRefusal(v, denied)
	return session, denied
}

// Ended implements [server.Gate].
func (k gatekeeper) Ended(v server.Viewer) {
	k.hook.Tell(hook.Event{
		Action: hook.OnStop, Session: v.Visit, Stream: v.Stream, ID: v.ClientID, Address: v.Remote.Addr(), User: v.User, By: v.By,
		UserAgent: v.UserAgent, TLS: v.TLS, Kind: v.Kind,
		Reason: string(v.Reason), Seconds: seconds(v.Left.Sub(v.Connected)), Bytes: v.BytesOut, Packets: v.Skipped,
	})
}

// noteRefusal logs and counts who is not let in; to be asked for credentials is no refusal.
func (k gatekeeper) noteRefusal(v *server.Visit, d *access.Denial) {
	if d == nil || errors.Is(d, access.ErrCredentialsMissing) {
		return
	}
	path := v.Stream.Path()
	v.Stream.Metrics().ViewersRefused(string(d.Reason)).Inc()
	k.noted.Log(slog.LevelInfo, path+" "+string(d.Reason), "viewer refused", slog.String("stream", path),
		slog.String("address", v.Remote.String()), slog.String("client_id", v.Query.ID), slog.Int("status", d.Status()), slog.String("reason", d.Error()))
}

// pushHook is the hook as the encoders' door knows it.
type pushHook struct{ *Pump }

func (h pushHook) event(action string, p ingest.Publication) hook.Event {
	id := access.ReadQuery(p.Query, *h.idKey.Load()).ID
	if access.CheckID(id) != nil {
		id = ""
	}
	return hook.Event{
		Action: action, Session: p.Session, Stream: p.Stream, ID: id, Address: p.Peer.Addr(), UserAgent: p.Agent, Query: p.Query, TLS: p.TLS, Kind: "push",
		Reason: p.Reason, Seconds: seconds(p.Took), Packets: p.Packets,
	}.Of(p.Pass)
}

// Publish implements [ingest.PushHook].
func (h pushHook) Publish(ctx context.Context, p ingest.Publication) (string, *access.Denial) {
	return h.hook.Ask(ctx, h.event(hook.OnPublish, p), true)
}

// Unpublish implements [ingest.PushHook].
func (h pushHook) Unpublish(p ingest.Publication) { h.hook.Tell(h.event(hook.OnUnpublish, p)) }

// hookSettings are what a configuration says of the hook.
func hookSettings(c *config.Config) hook.Settings {
	question := func(q config.HookQuestion) hook.Action {
		return hook.Action{URL: q.URL, Timeout: q.Timeout.D(), Cache: q.Cache.D(), FailOpen: q.Fail == config.FailOpen}
	}
	notice := func(n config.HookNotice) hook.Action { return hook.Action{URL: n.URL, Timeout: n.Timeout.D()} }
	return hook.Settings{Secret: c.Hook.Secret, Actions: map[string]hook.Action{
		hook.OnPublish: question(c.Hook.OnPublish), hook.OnUnpublish: notice(c.Hook.OnUnpublish),
		hook.OnPlay: question(c.Hook.OnPlay), hook.OnStop: notice(c.Hook.OnStop),
	}}
}

// hookTime is how long the end of a pump waits for what the hook is still to be told.
const hookTime = 3 * time.Second

// closeAccess tells the hook what is left to tell.
func (p *Pump) closeAccess() {
	ctx, cancel := context.WithTimeout(context.Background(), hookTime)
	defer cancel()
	p.hook.Close(ctx)
	p.noted.Close()
}

// openAccess makes what all gates share.
func (p *Pump) openAccess(c *config.Config) {
	p.hasher = access.NewHasher(access.HasherOptions{})
	p.hook = hook.New(hookSettings(c), hook.Options{Log: p.log, Metrics: p.metrics})
	p.noted = telemetry.NewRepeats(p.log, telemetry.RepeatsOptions{Every: 10 * time.Second})
	p.idKey.Store(&c.IDParameter)
}
