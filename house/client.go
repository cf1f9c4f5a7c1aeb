package house

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
)

// Desk is how the commands reach what a house keeps: through the house that runs on this
// machine, or, where none does, in the store itself.
type Desk interface {
	Import(ctx context.Context, name string, text []byte) error
	Export(ctx context.Context) ([]byte, error)
	Invite(ctx context.Context, pump string, valid time.Duration) (InviteAnswer, error)

	// Plan tells what a roster file would do to the viewers of now. Only a running house knows
	// them; else it is [ErrNotRunning].
	Plan(ctx context.Context, name string, text []byte) (*roster.Plan, error)
	Close()
}

// ErrNotRunning says that no house runs on this machine with the configuration's data.
var ErrNotRunning = errors.New("the house does not run here, and only one that runs knows who watches")

// OpenDesk finds the running house of a configuration, or opens its store.
func OpenDesk(ctx context.Context, cfg *config.House, log *slog.Logger) (Desk, error) {
	name := ControlSocket(cfg.Data)
	if c, err := net.DialTimeout("unix", name, 2*time.Second); err == nil {
		_ = c.Close()
		return newRemoteDesk(name), nil
	} else if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("the house that runs here cannot be told anything by this user: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	o, err := storeOptions(cfg, nameOf(cfg), log)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := registry.Open(ctx, registry.Options{
		Store: s, Hasher: access.NewHasher(access.HasherOptions{}), Log: log, Signing: func() config.Signing { return cfg.Signing },
		Invites: cfg.Certificates.Invites.D(), Valid: cfg.Certificates.Valid.D(),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &localDesk{cfg: cfg, store: s, registry: r, log: log}, nil
}

// Invite makes an invite. Where the house's certificate is of its own authority, the invite
// names that authority, so that the pump knows the house.
func Invite(ctx context.Context, r *registry.Registry, cfg *config.House, pump string, valid time.Duration) (InviteAnswer, error) {
	if valid <= 0 {
		valid = cfg.Certificates.Invites.D()
	}
	token, err := r.Invite(ctx, pump, valid, cfg.SSLCert == "")
	return InviteAnswer{Invite: token, Expires: time.Now().Add(valid).UTC().Truncate(time.Second)}, err
}

type localDesk struct {
	cfg      *config.House
	store    store.Store
	registry *registry.Registry
	log      *slog.Logger
}

func (d *localDesk) Import(ctx context.Context, name string, text []byte) error {
	f, err := roster.Parse(name, text)
	if err != nil {
		return err
	}
	return d.registry.ImportRoster(ctx, f)
}

func (d *localDesk) Export(context.Context) ([]byte, error) { return d.registry.Export(), nil }

func (d *localDesk) Invite(ctx context.Context, pump string, valid time.Duration) (InviteAnswer, error) {
	return Invite(ctx, d.registry, d.cfg, pump, valid)
}

func (d *localDesk) Plan(_ context.Context, name string, text []byte) (*roster.Plan, error) {
	if _, err := roster.Parse(name, text); err != nil {
		return nil, err
	}
	return nil, ErrNotRunning
}

func (d *localDesk) Close() {
	d.registry.Close()
	if err := d.store.Close(); err != nil {
		d.log.Error("closing the store", slog.Any("error", err))
	}
}

// remoteDesk speaks to the house at its control socket.
type remoteDesk struct{ client *http.Client }

func newRemoteDesk(socket string) *remoteDesk {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &remoteDesk{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 5 * time.Minute}}
}

func (d *remoteDesk) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://house"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("telling the house: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("hearing the house: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusUnprocessableEntity:
		var problems config.Problems
		if err := json.Unmarshal(text, &problems); err != nil {
			return nil, fmt.Errorf("hearing the house: %w", err)
		}
		return nil, problems
	case resp.StatusCode >= 300:
		return nil, errors.New(string(bytes.TrimSpace(text)))
	}
	return text, nil
}

func (d *remoteDesk) Import(ctx context.Context, name string, text []byte) error {
	_, err := d.do(ctx, http.MethodPut, controlRoster+"?name="+url.QueryEscape(name), text)
	return err
}

func (d *remoteDesk) Export(ctx context.Context) ([]byte, error) {
	return d.do(ctx, http.MethodGet, controlRoster, nil)
}

func (d *remoteDesk) Invite(ctx context.Context, pump string, valid time.Duration) (a InviteAnswer, err error) {
	q, err := json.Marshal(InviteRequest{Pump: pump, ValidS: int64(valid.Seconds())})
	if err != nil {
		return a, err
	}
	text, err := d.do(ctx, http.MethodPost, controlInvite, q)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(text, &a)
}

func (d *remoteDesk) Plan(ctx context.Context, name string, text []byte) (*roster.Plan, error) {
	said, err := d.do(ctx, http.MethodPost, controlPlan+"?name="+url.QueryEscape(name), text)
	if err != nil {
		return nil, err
	}
	var p roster.Plan
	return &p, json.Unmarshal(said, &p)
}

func (d *remoteDesk) Close() { d.client.CloseIdleConnections() }
