package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/registry"
)

func itoa(n int) string { return strconv.Itoa(n) }

// hello finds out who a pump is, and begins a session.
func (g *Gate) hello(w http.ResponseWriter, r *http.Request) {
	var h fleet.Hello
	if err := receive(w, r, &h); err != nil {
		refuse(w, err)
		return
	}
	if err := h.Check(); err != nil {
		refuse(w, fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "hello: %v", err))
		return
	}
	ctx, cancel := g.context(r)
	defer cancel()
	c, until, fault := g.identify(ctx, r, h.Pump)
	if fault != nil {
		refuse(w, fault)
		return
	}
	g.welcome(w, r, &h, c, until)
}

// receive reads the body of a request.
func receive(w http.ResponseWriter, r *http.Request, v any) *fleet.Error {
	err := fleet.Decode(http.MaxBytesReader(w, r.Body, fleet.MaxBody+1), r.Header.Get("Content-Encoding"), v)
	if err == nil {
		return nil
	}
	var e *fleet.Error
	if errors.As(err, &e) {
		return e
	}
	return fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "the body cannot be read")
}

// identify checks certificate or key. until is the end of the certificate, zero without one.
func (g *Gate) identify(ctx context.Context, r *http.Request, pump string) (c claims, until time.Time, fault *fleet.Error) {
	if isInside(r) {
		return g.byPlace(pump)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && r.Header.Get("Authorization") == "" {
		return g.byCertificate(r, pump, r.TLS.PeerCertificates[0])
	}
	id, key, ok := r.BasicAuth()
	if !ok {
		return c, until, g.refused(r, pump, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "a key or a client certificate is wanted"))
	}
	if id != pump {
		return c, until, g.refused(r, pump, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "the credentials are not those of %s", pump))
	}
	return g.byKey(ctx, r, pump, key)
}

func (g *Gate) byCertificate(r *http.Request, pump string, cert *x509.Certificate) (c claims, until time.Time, fault *fleet.Error) {
	s := g.opts.Registry.State()
	id, err := s.Authority.Check(cert, g.opts.Now())
	switch {
	case err != nil:
		fault = fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "%v", err)
	case id != pump:
		fault = fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "the certificate is not that of %s", pump)
	default:
		fault = certificateFault(s, pki.Serial(cert))
	}
	c = claims{Pump: pump, Serial: pki.Serial(cert)}
	if fault == nil {
		fault = g.valid(c)
	}
	if fault != nil {
		return claims{}, until, g.refused(r, pump, fault)
	}
	return c, cert.NotAfter, nil
}

func (g *Gate) byKey(ctx context.Context, r *http.Request, pump, key string) (c claims, until time.Time, fault *fleet.Error) {
	remote := g.opts.Remote(r)
	if wait := g.keys.Begin(ctx, remote); wait > 0 {
		e := fleet.Errorf(http.StatusTooManyRequests, fleet.CodeTooMany, "too many wrong keys from this address")
		e.WaitS = int(math.Ceil(wait.Seconds()))
		return c, until, g.refused(r, pump, e)
	}
	revision := g.opts.Registry.State().KeyRevision(pump)
	right, err := g.opts.Registry.CheckKey(ctx, pump, key)
	switch {
	case err != nil:
		g.keys.Withdraw(remote)
		e := fleet.Errorf(http.StatusServiceUnavailable, fleet.CodeUnavailable, "too many pumps say hello at once")
		e.WaitS = 1
		return c, until, e
	case !right:
		g.keys.Wrong(remote)
		return c, until, g.refused(r, pump, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "the key is not that of %s", pump))
	}
	g.keys.Right(remote)
	c = claims{Pump: pump, Key: revision}
	if fault = g.valid(c); fault != nil {
		return claims{}, until, g.refused(r, pump, fault)
	}
	return c, until, nil
}

// refused logs who was refused, without what he said.
func (g *Gate) refused(r *http.Request, pump string, e *fleet.Error) *fleet.Error {
	remote := g.opts.Remote(r).String()
	g.repeats.Log(slog.LevelWarn, "refused "+remote+" "+e.Code, "a pump was refused",
		slog.String("pump", pump), slog.String("address", remote), slog.String("reason", e.Text))
	if _, _, known := g.opts.Registry.State().Pump(pump); known {
		g.opts.Fleet.Note(pump, "refused from "+remote+": "+e.Text)
	}
	return e
}

// farOff is from when on a pump's clock is worth a word.
const farOff = time.Minute

func (g *Gate) welcome(w http.ResponseWriter, r *http.Request, h *fleet.Hello, c claims, until time.Time) {
	now := g.opts.Now()
	c.Boot, c.Issued, c.Expires = h.Boot, now.UnixMilli(), now.Add(fleet.SessionFor).Unix()
	if fault := g.newer(c); fault != nil {
		refuse(w, fault)
		return
	}
	token, err := g.token(c)
	if err != nil {
		refuse(w, fleet.Errorf(http.StatusInternalServerError, fleet.CodeInternal, "no session can be made"))
		return
	}
	if off := h.Clock.Sub(now); !h.Clock.IsZero() && off.Abs() > farOff {
		g.repeats.Log(slog.LevelWarn, "clock "+h.Pump, "the clock of a pump is wrong", slog.String("pump", h.Pump), slog.String("off", off.Round(time.Second).String()))
		g.opts.Fleet.Note(h.Pump, "its clock is off by "+off.Round(time.Second).String())
	}
	if p := g.opts.Fleet.View().Pump(h.Pump); p != nil {
		if at := reachable(h, g.opts.Remote(r)); at != "" {
			g.reachedAt(p, at)
		}
	}
	if !isInside(r) {
		g.log.Info("a pump said hello", slog.String("pump", h.Pump), slog.String("program", h.Program), slog.String("address", g.opts.Remote(r).String()))
	}
	answer := fleet.Welcome{
		House: g.opts.House, Session: token, ExpiresS: int(fleet.SessionFor.Seconds()), Clock: now,
		TelemetryMS: int(g.opts.Interval.Milliseconds()), SilenceMS: int(fleet.SilenceMax.Milliseconds()),
	}
	if !until.IsZero() {
		answer.RenewS = int(registry.RenewAfter(now, until).Seconds())
	}
	reply(w, answer)
}

// reachedAt notes where a pump is reached, and tells its children.
func (g *Gate) reachedAt(p *live.Pump, url string) {
	before := p.URL()
	if p.SetURL(url); p.URL() != before {
		g.touch(p.ID())
	}
}

func reply(w http.ResponseWriter, v any) { answer(w, http.StatusOK, v) }

// reachable is where a pump is reached that the roster does not tell of.
func reachable(h *fleet.Hello, remote netip.Addr) string {
	switch {
	case h.URL != "":
		return h.URL
	case h.Port > 0 && remote.IsValid():
		return "http://" + net.JoinHostPort(remote.Unmap().String(), itoa(h.Port))
	}
	return ""
}

// certificate signs a pump's certificate request: of one that comes with an invite, or that
// has a session.
func (g *Gate) certificate(w http.ResponseWriter, r *http.Request) {
	var q fleet.CertificateRequest
	if e := receive(w, r, &q); e != nil {
		refuse(w, e)
		return
	}
	if err := q.Check(); err != nil {
		refuse(w, fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "certificate request: %v", err))
		return
	}
	ctx, cancel := g.context(r)
	defer cancel()
	a, fault := g.issue(ctx, r, &q)
	if fault != nil {
		refuse(w, fault)
		return
	}
	reply(w, a)
}

func (g *Gate) issue(ctx context.Context, r *http.Request, q *fleet.CertificateRequest) (*fleet.CertificateAnswer, *fleet.Error) {
	text, ok := bearer(r)
	if !ok {
		return nil, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "an invite or a session is wanted")
	}
	if invite, err := fleet.ParseInvite(text); err == nil {
		return g.join(ctx, r, q, invite)
	}
	c, fault := g.session(r)
	if fault != nil {
		return nil, fault
	}
	if c.Pump != q.Pump {
		return nil, fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "the session is not that of %s", q.Pump)
	}
	a, err := g.opts.Registry.Renew(ctx, q.Pump, []byte(q.CSR))
	if err != nil {
		return nil, storeFault(err)
	}
	g.opts.Fleet.Note(q.Pump, "has a new certificate")
	return a, nil
}

func (g *Gate) join(ctx context.Context, r *http.Request, q *fleet.CertificateRequest, invite fleet.Invite) (*fleet.CertificateAnswer, *fleet.Error) {
	remote := g.opts.Remote(r)
	if wait := g.invites.Begin(ctx, remote); wait > 0 {
		e := fleet.Errorf(http.StatusTooManyRequests, fleet.CodeTooMany, "too many wrong keys from this address")
		e.WaitS = int(math.Ceil(wait.Seconds()))
		return nil, g.refused(r, q.Pump, e)
	}
	if invite.Pump != q.Pump {
		g.invites.Wrong(remote)
		return nil, g.refused(r, q.Pump, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "the invite is not for %s", q.Pump))
	}
	a, err := g.opts.Registry.Join(ctx, invite, []byte(q.CSR))
	switch {
	case errors.Is(err, registry.ErrInvite), errors.Is(err, registry.ErrUnknown):
		g.invites.Wrong(remote)
		return nil, g.refused(r, q.Pump, fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "%v", err))
	case err != nil:
		g.invites.Withdraw(remote)
		return nil, storeFault(err)
	}
	g.invites.Right(remote)
	g.log.Info("a pump has joined with an invite", slog.String("pump", q.Pump), slog.String("address", remote.String()))
	g.opts.Fleet.Note(q.Pump, "has joined with an invite from "+remote.String())
	return a, nil
}

// storeFault is what a pump is told when something cannot be kept, or its request is no good.
func storeFault(err error) *fleet.Error {
	if errors.Is(err, pki.ErrRequest) {
		return fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "%v", err)
	}
	e := fleet.Errorf(http.StatusServiceUnavailable, fleet.CodeUnavailable, "the house cannot keep it now: %v", err)
	e.WaitS = 5
	return e
}
