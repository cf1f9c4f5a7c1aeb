package gate

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/registry"
)

// claims are what a session says, signed by the house: every house of the fleet takes it, and
// nothing has to be kept.
type claims struct {
	Pump    string `json:"p"`
	Boot    string `json:"b"`
	Serial  string `json:"s,omitempty"` // of the certificate it began with
	Key     uint64 `json:"k,omitempty"` // revision of the key it began with
	Issued  int64  `json:"t"`           // ms
	Expires int64  `json:"e"`           // s
}

func (g *Gate) token(c claims) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString(b) + "." + enc.EncodeToString(g.opts.Registry.State().Sign(b)), nil
}

// read checks a token's signature and time.
func (g *Gate) read(token string) (claims, bool) {
	var c claims
	text, mac, ok := strings.Cut(token, ".")
	if !ok || len(token) > 1024 {
		return c, false
	}
	enc := base64.RawURLEncoding.Strict()
	b, err := enc.DecodeString(text)
	if err != nil {
		return c, false
	}
	sum, err := enc.DecodeString(mac)
	if err != nil || !g.opts.Registry.State().Signed(b, sum) || json.Unmarshal(b, &c) != nil {
		return c, false
	}
	return c, g.opts.Now().Unix() < c.Expires
}

var errSession = fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "there is no session, or it has ended; say hello")

// session finds out who sends a request.
func (g *Gate) session(r *http.Request) (claims, *fleet.Error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return claims{}, errSession
	}
	c, ok := g.read(token)
	if !ok {
		return claims{}, errSession
	}
	if g.isOwn(c.Pump) && !isInside(r) {
		return claims{}, errSession // it has got out
	}
	if e := g.valid(c); e != nil {
		return claims{}, e
	}
	return c, g.newer(c)
}

// sender is session for what only pumps send: who has none is logged, by the name that he gives himself.
func (g *Gate) sender(r *http.Request) (claims, *fleet.Error) {
	c, fault := g.session(r)
	if fault != nil {
		remote := g.opts.Remote(r).String()
		g.repeats.Log(slog.LevelWarn, "session "+remote+" "+fault.Code, "a pump without a session was refused",
			slog.String("pump", claimed(r)), slog.String("address", remote), slog.String("reason", fault.Text))
	}
	return c, fault
}

// claimed is whom a request says that it is from, unproved; empty: nobody who can be.
func claimed(r *http.Request) string {
	id, _, ok := r.BasicAuth()
	if !ok {
		var c claims
		token, _ := bearer(r)
		text, _, _ := strings.Cut(token, ".")
		if b, err := base64.RawURLEncoding.DecodeString(text); err == nil && json.Unmarshal(b, &c) == nil {
			id = c.Pump
		}
	}
	if !fleet.ValidID(id) && !fleet.ValidHouseID(id) {
		return ""
	}
	return id
}

// valid tells whether what a session began with is good still.
func (g *Gate) valid(c claims) *fleet.Error {
	if g.isOwn(c.Pump) {
		return nil // only who is inside gets such a session, and has use of it
	}
	s := g.opts.Registry.State()
	if _, _, ok := s.Pump(c.Pump); !ok {
		return fleet.Errorf(http.StatusForbidden, fleet.CodeDisabled, "the roster has no pump %s", c.Pump)
	}
	if c.Serial != "" {
		return certificateFault(s, c.Serial)
	}
	if s.KeyRevision(c.Pump) != c.Key {
		return fleet.Errorf(http.StatusUnauthorized, fleet.CodeUnauthorized, "the key of %s has changed; say hello", c.Pump)
	}
	return nil
}

func certificateFault(s *registry.State, serial string) *fleet.Error {
	cert, known := s.Certificates[serial]
	switch {
	case !known:
		return fleet.Errorf(http.StatusForbidden, fleet.CodeRevoked, "the certificate is not known here any more")
	case !cert.Revoked.IsZero():
		return fleet.Errorf(http.StatusForbidden, fleet.CodeRevoked, "the certificate was revoked on %s", cert.Revoked.Format(time.RFC3339))
	}
	return nil
}

// newer sees that of two runs of one pump the one that came last is heard.
func (g *Gate) newer(c claims) *fleet.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, seen := g.newest[c.Pump]
	if seen && n.Boot != c.Boot && n.Issued > c.Issued {
		return fleet.Errorf(http.StatusConflict, fleet.CodeSuperseded, "another run of %s has said hello later; is its id in two configurations?", c.Pump)
	}
	if !seen || c.Issued > n.Issued {
		g.newest[c.Pump] = c
	}
	return nil
}
