package house

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/config"
)

// door is one listener of the house.
type door struct {
	ln  net.Listener
	tls bool
}

// Bounds of requests.
const (
	headWithin = 10 * time.Second
	bodyWithin = 20 * time.Second
	idleFor    = 2 * time.Minute
	maxHead    = 32 << 10
)

func (h *House) listen(cfg *config.House) error {
	h.server = &http.Server{
		ReadHeaderTimeout: headWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	var errs []error
	open := func(address string, secure bool) {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			errs = append(errs, fmt.Errorf("listening at %s: %w", address, err))
			return
		}
		if cfg.ProxyProtocol {
			ln = newProxyListener(ln, func(a netip.Addr) bool { return h.proxies.Load().Trusts(a) })
		}
		if secure {
			ln = tls.NewListener(ln, h.tls.config())
		}
		h.doors = append(h.doors, door{ln, secure})
	}
	if cfg.SSL {
		t, err := newOwnTLS(cfg, h.registry)
		if err != nil {
			return err
		}
		h.tls = t
	}
	for _, a := range cfg.ListenAddresses() {
		open(a, false)
	}
	for _, a := range cfg.SSLAddresses() {
		open(a, true)
	}
	if err := h.openControl(cfg); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	h.server.Handler = h.routes()
	if err := h.embed(cfg); err != nil {
		return err
	}
	for _, d := range h.doors {
		h.log.Info("listening", slog.String("address", d.ln.Addr().String()), slog.Bool("tls", d.tls))
		h.serve(d.ln, h.server)
	}
	return nil
}

// serve serves a listener on a goroutine; one that gives up ends the house.
func (h *House) serve(ln net.Listener, s *http.Server) {
	h.done.Go(func() {
		if err := s.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			select {
			case h.failed <- err:
			default: // the first one is enough
			}
		}
	})
}

func (h *House) closeDoors() {
	for _, d := range h.doors {
		_ = d.ln.Close() // closed already, mostly
	}
	if h.control != nil {
		_ = h.control.Close()
	}
}

// Addr returns the first address without TLS, nil if there is none.
func (h *House) Addr() net.Addr { return h.addr(false) }

// TLSAddr returns the first address with TLS, nil if there is none.
func (h *House) TLSAddr() net.Addr { return h.addr(true) }

func (h *House) addr(secure bool) net.Addr {
	for _, d := range h.doors {
		if d.tls == secure {
			return d.ln.Addr()
		}
	}
	return nil
}

// peer is who is at the other end of the connection.
func peer(r *http.Request) netip.AddrPort {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// remote returns where a request came from, behind trusted proxies.
func (h *House) remote(r *http.Request) netip.Addr {
	return h.proxies.Load().Client(peer(r), r.Header).Addr()
}

// secure tells whether secrets may go over a request's connection: TLS here or at a trusted
// proxy, or this very machine.
func (h *House) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	from := peer(r).Addr()
	if h.proxies.Load().Trusts(from) {
		proto := r.Header.Get("X-Forwarded-Proto")
		return strings.EqualFold(proto, "https") || proto == "" && h.remote(r).IsLoopback()
	}
	return from.IsLoopback()
}

// routes are the addresses of the house.
func (h *House) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/fleet/", h.gate)
	mux.Handle("/streams/", h.delegator)
	mux.Handle("/", h.face())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(h.registry.State().Authority.PEM())
	})
	return bounded(mux)
}

// bounded bounds what a request may do to its connection: a body has a term, and after one with
// chunks the connection ends. Where two parties count the length of such a body differently,
// what follows would be somebody else's request to one of them, and nobody who belongs here
// sends chunks.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		if r.ContentLength != 0 {
			c := http.NewResponseController(w)
			if c.SetReadDeadline(time.Now().Add(bodyWithin)) == nil {
				own := *r // the server looks at the body of its own request to know whether the connection can go on
				own.Body = &termed{r.Body, c}
				r = &own
			}
		}
		next.ServeHTTP(w, r)
	})
}

// termed is a body with a term, which is over with the body: what follows may take its time.
type termed struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (t *termed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if err == io.EOF {
		_ = t.conn.SetReadDeadline(time.Time{}) // a connection that is gone is noticed otherwise
	}
	return n, err
}

// ready tells whether changes are taken; viewers are delegated in any case.
func (h *House) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.store.Health(); err != nil {
		text(w, http.StatusServiceUnavailable, "the store: "+err.Error()+"\n")
		return
	}
	text(w, http.StatusOK, "ok\n")
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s)) // #nosec G705 -- plain text, and browsers are told so
}

// request bounds what one request may wait for the store or a pump.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 20*time.Second)
}
