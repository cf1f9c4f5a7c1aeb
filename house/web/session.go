package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// claims are what a session says. They are signed by the house, and nothing is kept: a house
// that has restarted, or another one of the fleet, knows the session all the same.
type claims struct {
	User        string `json:"u"`
	Fingerprint string `json:"f"` // of the password's hash: a new password ends the session
	Nonce       string `json:"n"`
	Expires     int64  `json:"e"` // s
}

const (
	sessionFor = 12 * time.Hour
	maxEnded   = 10_000

	// What is signed begins with these, so that nothing else that the houses' key signs is
	// taken for it.
	purposeSession     = "session of the page\x00"
	purposeFingerprint = "fingerprint of a password\x00"
)

var enc = base64.RawURLEncoding.Strict()

func (d *door) fingerprint(u User) string {
	return enc.EncodeToString(d.opts.Sign([]byte(purposeFingerprint + u.Name + "\x00" + u.PasswordHash))[:12])
}

// begin returns a new session of a user, and when it ends.
func (d *door) begin(u User) (text string, expires time.Time) {
	expires = d.opts.Now().Add(sessionFor).Truncate(time.Second)
	b, err := json.Marshal(claims{User: u.Name, Fingerprint: d.fingerprint(u), Nonce: rand.Text(), Expires: expires.Unix()})
	if err != nil { // only texts and numbers are in it
		panic("web: writing a session: " + err.Error())
	}
	return enc.EncodeToString(b) + "." + enc.EncodeToString(d.opts.Sign(append([]byte(purposeSession), b...))), expires
}

// read returns what a session says, if this fleet has signed it and it has not ended.
func (d *door) read(text string) (claims, bool) {
	var c claims
	body, mac, ok := strings.Cut(text, ".")
	if !ok || len(text) > 2048 || strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return c, false
	}
	b, err := enc.DecodeString(body)
	if err != nil {
		return c, false
	}
	sum, err := enc.DecodeString(mac)
	if err != nil || !hmac.Equal(sum, d.opts.Sign(append([]byte(purposeSession), b...))) || json.Unmarshal(b, &c) != nil {
		return claims{}, false
	}
	return c, d.opts.Now().Unix() < c.Expires && !d.isOver(c.session())
}

// session is what other houses are told of it.
func (c *claims) session() Session {
	expires := time.Unix(c.Expires, 0)
	return Session{ID: c.Nonce, User: c.User, Begun: expires.Add(-sessionFor), Expires: expires}
}

func (d *door) bySession(r *http.Request) (Who, *refusal) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return Who{}, errNobody
	}
	c, ok := d.read(cookie.Value)
	if !ok {
		return Who{}, errEnded
	}
	u, ok := d.users().find(c.User)
	if !ok || !hmac.Equal([]byte(d.fingerprint(u)), []byte(c.Fingerprint)) {
		return Who{}, errEnded
	}
	return Who{Name: u.Name, Kind: kindUser, Role: u.Role, Expires: time.Unix(c.Expires, 0), session: c.session()}, nil
}

// end makes a session void: at this house at once, at the others once they are told. An error
// says that they could not be.
func (d *door) end(ctx context.Context, w Who) error {
	if w.session.ID == "" {
		return nil
	}
	d.endHere(w.session)
	if d.opts.Sessions == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	return d.opts.Sessions.End(ctx, w.session)
}

// endWithin bounds how long a log-out waits for the store.
const endWithin = 5 * time.Second

func (d *door) endHere(s Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opts.Now()
	if len(d.ended) >= maxEnded {
		for n, until := range d.ended {
			if now.After(until) {
				delete(d.ended, n)
			}
		}
	}
	for n := range d.ended { // any one: what all houses know stays known
		if len(d.ended) < maxEnded {
			break
		}
		delete(d.ended, n)
	}
	d.ended[s.ID] = s.Expires
}

func (d *door) isOver(s Session) bool {
	d.mu.Lock()
	_, over := d.ended[s.ID]
	d.mu.Unlock()
	return over || d.opts.Sessions != nil && d.opts.Sessions.Ended(s)
}

// viaTLS tells whether the browser speaks TLS, if only to a proxy. It decides about the
// cookie's form alone.
func viaTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// cookieName begins with __Host- where that is possible: no other host can set it then.
func cookieName(r *http.Request) string {
	if viaTLS(r) {
		return "__Host-pump-house"
	}
	return "pump-house"
}

// cookie holds a session; an empty text takes it away.
func cookie(r *http.Request, text string) *http.Cookie {
	c := &http.Cookie{ // #nosec G124 -- all three are set; Secure wherever there is TLS, which is everywhere but on loopback
		Name: cookieName(r), Value: text, Path: "/", MaxAge: int(sessionFor.Seconds()),
		HttpOnly: true, Secure: viaTLS(r), SameSite: http.SameSiteStrictMode,
	}
	if text == "" {
		c.MaxAge = -1
	}
	return c
}
