package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/internal/passhash"
)

func lower(s string) string { return strings.ToLower(s) }

// Errors of what lets in.
var (
	ErrInvite  = errors.New("the invite is not good: used, too old, or never given")
	ErrUnknown = errors.New("the roster has no such pump")
	ErrRole    = errors.New("a role is look or steer")
)

// SetKey gives a pump a key, or a hash of one that begins with $; an empty one takes it
// away. Sessions of the old key end.
func (r *Registry) SetKey(ctx context.Context, id, key string) error {
	if _, ok := r.State().pumps[id]; !ok {
		return fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	if key == "" {
		return r.store.Delete(ctx, kindKey+id, store.Any)
	}
	hash, err := hashed(key)
	if err != nil {
		return fmt.Errorf("the key of %s: %w", id, err)
	}
	_, err = r.keep(ctx, kindKey+id, []byte(hash), store.Any)
	return err
}

// hashed returns the hash of a key, or the key if it is one.
func hashed(key string) (string, error) {
	if !strings.HasPrefix(key, "$") {
		return passhash.NewArgon2id(key), nil
	}
	_, err := passhash.Parse(key)
	return key, err
}

func matches(hash, key string) bool {
	h, err := passhash.Parse(hash)
	return err == nil && h.Matches(key)
}

// CheckKey tells whether a key is the pump's. It takes as long for a pump that there is not.
func (r *Registry) CheckKey(ctx context.Context, id, key string) (bool, error) {
	hash, known := r.State().keys[id].hash, true
	if hash == "" {
		hash, known = nobody(), false
	}
	right, err := r.opts.Hasher.Matches(ctx, id, hash, key)
	return right && known, err
}

// nobody is the hash of a key that nobody has.
var nobody = sync.OnceValue(func() string { return passhash.NewArgon2id(rand.Text()) })

// Invite makes an invite for a pump; an older one of the same pump is void.
func (r *Registry) Invite(ctx context.Context, id string, valid time.Duration, pin bool) (string, error) {
	s := r.State()
	if _, ok := s.pumps[id]; !ok {
		return "", fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	if valid <= 0 {
		valid = r.opts.Invites
	}
	ca := s.Authority.Certificate()
	if !pin {
		ca = nil
	}
	i := fleet.NewInvite(id, ca)
	e := inviteEntry{Hash: sum(i.Secret[:]), Expires: r.opts.Now().Add(valid).UTC().Truncate(time.Second)}
	if _, err := r.keep(ctx, kindInvite+id, mustJSON(e), store.Any); err != nil {
		return "", err
	}
	return i.String(), nil
}

// Join takes an invite and signs the certificate request of the pump it is for. An invite
// is good once: of two who come at once one is refused.
func (r *Registry) Join(ctx context.Context, i fleet.Invite, csr []byte) (*fleet.CertificateAnswer, error) {
	s := r.State()
	e, ok := s.invites[i.Pump]
	if !ok || subtle.ConstantTimeCompare(e.Hash, sum(i.Secret[:])) != 1 || r.opts.Now().After(e.Expires) {
		return nil, ErrInvite
	}
	if _, ok := s.pumps[i.Pump]; !ok {
		return nil, ErrUnknown
	}
	// Signing first shows whether the request is any good; it costs the invite only then.
	answer, cert, err := r.sign(i.Pump, csr, "invite")
	if err != nil {
		return nil, err
	}
	if err := r.store.Delete(ctx, kindInvite+i.Pump, e.revision); err != nil {
		if errors.Is(err, store.ErrChanged) {
			err = ErrInvite
		}
		return nil, err
	}
	return answer, r.record(ctx, cert)
}

// Renew signs a new certificate for a pump that has proved who it is. The old one stays good
// until its end: the pump may lose the answer.
func (r *Registry) Renew(ctx context.Context, id string, csr []byte) (*fleet.CertificateAnswer, error) {
	if _, ok := r.State().pumps[id]; !ok {
		return nil, ErrUnknown
	}
	answer, cert, err := r.sign(id, csr, "renewal")
	if err != nil {
		return nil, err
	}
	return answer, r.record(ctx, cert)
}

func (r *Registry) sign(id string, csr []byte, by string) (*fleet.CertificateAnswer, Certificate, error) {
	now := r.opts.Now()
	a := r.State().Authority
	cert, text, err := a.Issue(csr, id, now, r.opts.Valid)
	if err != nil {
		return nil, Certificate{}, err
	}
	answer := &fleet.CertificateAnswer{
		Certificate: string(text), CA: string(a.PEM()), NotAfter: cert.NotAfter, RenewS: int(RenewAfter(now, cert.NotAfter).Seconds()),
	}
	return answer, Certificate{Serial: pki.Serial(cert), Pump: id, Issued: now.UTC(), NotAfter: cert.NotAfter.UTC(), By: by}, nil
}

// RenewAfter returns when a certificate should be renewed: after two thirds of what is left.
func RenewAfter(now, notAfter time.Time) time.Duration {
	return max(notAfter.Sub(now)*2/3, time.Second)
}

func (r *Registry) record(ctx context.Context, c Certificate) error {
	_, err := r.keep(ctx, kindCertificate+c.Serial, mustJSON(c), store.Absent)
	return err
}

// Revoke takes a certificate back. Sessions that began with it end.
func (r *Registry) Revoke(ctx context.Context, serial string) error {
	c, ok := r.State().Certificates[lower(serial)]
	if !ok {
		return fmt.Errorf("revoking certificate %s: %w", serial, store.ErrNotFound)
	}
	if !c.Revoked.IsZero() {
		return nil
	}
	c.Revoked = r.opts.Now().UTC()
	_, err := r.keep(ctx, kindCertificate+c.Serial, mustJSON(c), c.revision)
	return err
}

// Expire forgets certificates that ended more than a month ago, and invites, tokens and
// sessions that have ended.
func (r *Registry) Expire(ctx context.Context) error {
	s, now := r.State(), r.opts.Now()
	var errs []error
	for serial, c := range s.Certificates {
		if now.Sub(c.NotAfter) > 30*24*time.Hour {
			errs = append(errs, r.store.Delete(ctx, kindCertificate+serial, store.Any))
		}
	}
	for id, e := range s.invites {
		if now.After(e.Expires) {
			errs = append(errs, r.store.Delete(ctx, kindInvite+id, e.revision))
		}
	}
	for id, t := range s.Tokens {
		if !t.Expires.IsZero() && now.After(t.Expires) {
			errs = append(errs, r.store.Delete(ctx, kindToken+id, store.Any))
		}
	}
	return errors.Join(append(errs, r.expireSessions(ctx))...)
}

// tokenPrefix lets people and scanners of repositories recognise a token.
const tokenPrefix = "pht_"

// CreateToken makes a token for the API, and returns its text, which is not kept. valid 0:
// for ever.
func (r *Registry) CreateToken(ctx context.Context, name, role string, valid time.Duration) (Token, string, error) {
	if role != "look" && role != "steer" {
		return Token{}, "", ErrRole
	}
	id, secret := make([]byte, 8), make([]byte, 32)
	rand.Read(id)
	rand.Read(secret)
	text := tokenPrefix + hex.EncodeToString(id) + "_" + base64.RawURLEncoding.EncodeToString(secret)
	now := r.opts.Now().UTC().Truncate(time.Second)
	t := Token{ID: hex.EncodeToString(id), Name: fleet.Shorten(name), Role: role, Created: now, Hash: sum([]byte(text))}
	if valid > 0 {
		t.Expires = now.Add(valid)
	}
	if _, err := r.store.Put(ctx, kindToken+t.ID, mustJSON(t), store.Absent); err != nil {
		return Token{}, "", err
	}
	return t, text, r.until(ctx, func(s *State) bool { _, ok := s.Tokens[t.ID]; return ok })
}

// CheckToken finds the token with this text.
func (r *Registry) CheckToken(text string) (Token, bool) {
	id, _, ok := strings.Cut(strings.TrimPrefix(text, tokenPrefix), "_")
	if !ok || !strings.HasPrefix(text, tokenPrefix) {
		return Token{}, false
	}
	t, ok := r.State().Tokens[id]
	if !ok || subtle.ConstantTimeCompare(t.Hash, sum([]byte(text))) != 1 || !t.Expires.IsZero() && r.opts.Now().After(t.Expires) {
		return Token{}, false
	}
	return t, true
}

// DeleteToken takes a token back.
func (r *Registry) DeleteToken(ctx context.Context, id string) error {
	if _, ok := r.State().Tokens[id]; !ok {
		return fmt.Errorf("deleting token: %w", store.ErrNotFound)
	}
	if err := r.store.Delete(ctx, kindToken+id, store.Any); err != nil {
		return err
	}
	return r.until(ctx, func(s *State) bool { _, ok := s.Tokens[id]; return !ok })
}
