package house

import (
	"net"
	"net/http"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/house/web"
)

// face is what people and scripts see: the page, the API, the metrics. The server must be
// there already, and nothing of the house may be served yet.
func (h *House) face() http.Handler {
	done := make(chan struct{})
	h.server.RegisterOnShutdown(func() { close(done) })
	return web.New(web.Options{
		Fleet: h.fleet, Steering: h.Steering(), Users: h.users, Hasher: h.hasher,
		Sign:   func(b []byte) []byte { return h.registry.State().Sign(b) },
		Secure: h.secure, Remote: h.remote,
		Scrapers: func() access.Networks { return access.NewNetworks(h.cfg.Load().Metrics.Allow...) },
		TLSPort:  h.tlsPort(), House: h.name, Version: h.opts.Version, Log: h.log, Done: done, Metrics: h.figures(),
	})
}

func (h *House) users() []web.User {
	var list []web.User
	for _, u := range h.cfg.Load().Users {
		list = append(list, web.User{Name: u.Name, PasswordHash: u.PasswordHash, Role: u.Role})
	}
	return list
}

// tlsPort is where browsers find the page; 0 without TLS.
func (h *House) tlsPort() int {
	a := h.TLSAddr()
	if a == nil {
		return 0
	}
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return 0
}
