package pump

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Bounds of the admin port.
const (
	adminHeadTime  = 5 * time.Second
	adminTime      = 30 * time.Second // for a whole request with its answer
	adminIdle      = 60 * time.Second
	adminMaxHead   = 16 << 10 // bytes
	adminMaxBody   = config.MaxFileBytes
	adminCloseTime = time.Second
)

// admin is the operator's port: an ordinary HTTP server, far from the packets.
type admin struct {
	pump *Pump
	http *http.Server
}

func newAdmin(p *Pump) *admin {
	a := &admin{pump: p}
	a.http = &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: adminHeadTime,
		ReadTimeout:       adminTime,
		WriteTimeout:      adminTime,
		IdleTimeout:       adminIdle,
		MaxHeaderBytes:    adminMaxHead,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	newCrowd(adminMost).bound(a.http)
	return a
}

func (a *admin) serve(ln net.Listener) error {
	if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close lets a running request finish, for a moment.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), adminCloseTime)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		_ = a.http.Close()
	}
}

// handler is everything at the admin port, behind the checks that hold for all of it.
func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", a.home)
	mux.HandleFunc("/metrics", a.reading(a.metrics))
	mux.HandleFunc("/healthz", a.reading(a.health))
	mux.HandleFunc("/readyz", a.reading(a.ready))
	mux.HandleFunc("/page/kick", methods{http.MethodPost: operation{handle: a.kickOnPage}}.serve)
	mux.HandleFunc("/page/reload", methods{http.MethodPost: operation{handle: a.reloadOnPage}}.serve)
	for path, methods := range a.routes() {
		mux.HandleFunc(path, methods.serve)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "no_such_address", "the API has no "+r.URL.Path+"; see /api/v1/openapi.json")
	})
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusForbidden, "cross_origin", "pages of other origins may change nothing here")
	}))
	return a.guard(origin.Handler(mux))
}

// guard lets in whoever admin.allow lets in, and keeps pages of other names from
// reaching a loopback port by a name that they have pointed there.
func (a *admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.contain(r)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		r.RemoteAddr = a.client(r)
		if !a.permits(r.RemoteAddr) {
			writeError(w, http.StatusForbidden, "not_allowed", "your address is not in admin.allow")
			return
		}
		if !hostFits(r) {
			writeError(w, http.StatusForbidden, "wrong_host", "a port at loopback is asked by address or as localhost")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, adminMaxBody)
		next.ServeHTTP(w, r)
	})
}

// contain ends one request whose handler panics. What it has written so far must not look
// whole, so that its connection is closed.
func (a *admin) contain(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		telemetry.CaughtPanic(a.pump.log, "a request at the admin port: "+r.Method, v)
	}
	panic(http.ErrAbortHandler)
}

// client is the address of whoever sent a request, perhaps by way of a proxy.
func (a *admin) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	return a.pump.clientBehind(peer, r.Header).String()
}

func (a *admin) permits(remote string) bool {
	allowed := a.pump.networks.Load()
	if allowed.Len() == 0 {
		return true
	}
	ap, err := netip.ParseAddrPort(remote)
	return err == nil && allowed.Contains(ap.Addr())
}

// hostFits tells whether a request that came to loopback names an address or localhost.
func hostFits(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !isLoopback(local.String()) {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" || host == "" {
		return true
	}
	_, err := netip.ParseAddr(trimBrackets(host))
	return err == nil
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// reading answers GET and HEAD with f and refuses the rest.
func (a *admin) reading(f http.HandlerFunc) http.HandlerFunc {
	return methods{http.MethodGet: operation{handle: f}}.serve
}

func (a *admin) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_ = a.pump.writeMetrics(w)
}

func (a *admin) health(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") }

func (a *admin) ready(w http.ResponseWriter, _ *http.Request) {
	if a.pump.draining.Load() {
		writeText(w, http.StatusServiceUnavailable, "draining: no new viewers are taken\n")
		return
	}
	writeText(w, http.StatusOK, "ready\n")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
