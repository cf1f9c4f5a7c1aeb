package house

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/web"
)

// face is what people and scripts see: the page, the API, the metrics. The server must be
// there already, and nothing of the house may be served yet.
func (h *House) face() http.Handler {
	done := make(chan struct{})
	h.server.RegisterOnShutdown(func() { close(done) })
	return web.New(web.Options{
		Fleet: h.fleet, Steering: h.Steering(), Users: h.users, Hasher: h.hasher,
		Sign: func(b []byte) []byte { return h.registry.State().Sign(b) }, Sessions: sessions{h.registry},
		Secure: h.secure, Remote: h.remote,
		Scrapers: func() access.Networks { return access.NewNetworks(h.cfg.Load().Metrics.Allow...) },
		Page:     h.page, House: h.name, Version: h.opts.Version, Log: h.log, Done: done, Metrics: h.figures(),
	})
}

// sessions are those that were logged out of at any house.
type sessions struct{ registry *registry.Registry }

func (s sessions) End(ctx context.Context, x web.Session) error {
	return steered(s.registry.EndSession(ctx, registry.Session(x)))
}

func (s sessions) Ended(x web.Session) bool { return s.registry.State().Ended(registry.Session(x)) }

// users are those of the configuration, but for who was taken off at another house whose
// configuration is the newer one.
func (h *House) users() []web.User {
	s := h.registry.State()
	var list []web.User
	for _, u := range h.cfg.Load().Users {
		if !s.AnyGone() || s.Gone(userMark(s, u)) == "" {
			list = append(list, web.User{Name: u.Name, PasswordHash: u.PasswordHash, Role: u.Role})
		}
	}
	return list
}

// userMark stands for what a user is: his name, his password and his role.
func userMark(s *registry.State, u config.HouseUser) string {
	return base64.RawURLEncoding.EncodeToString(s.Sign([]byte("a user of a house\x00" + u.Name + "\x00" + u.PasswordHash + "\x00" + u.Role))[:15])
}

// keepUsers tells the other houses who may log in here, and not any more.
func (h *House) keepUsers(ctx context.Context) {
	s := h.registry.State()
	marks := map[string]string{}
	for _, u := range h.cfg.Load().Users {
		mark := userMark(s, u)
		marks[mark] = u.Name
		if house := s.Gone(mark); house != "" && house != h.name {
			h.repeats.Log(slog.LevelWarn, "gone "+mark, "a user of this configuration is not let in: another house has taken him off, or given him another password or role; let all houses have the same users",
				slog.String("name", u.Name), slog.String("house", house))
		}
	}
	if err := h.registry.KeepUsers(ctx, h.name, marks); err != nil && ctx.Err() == nil {
		h.repeats.Log(slog.LevelWarn, "users", "the other houses cannot be told who may log in", slog.Any("error", err))
	}
}

// page is where a browser that came without TLS finds the page: as configured, or at the name
// that it asked for if that is one of the house's own. Empty: it is not told, for a request may
// name any host.
func (h *House) page(r *http.Request) string {
	if u := h.cfg.Load().PublicURL; u != "" {
		return u + "/"
	}
	a, ok := h.TLSAddr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host = strings.Trim(host, "[]"); host == "" || !h.tls.named(host) {
		return ""
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(a.Port)) + "/"
}
