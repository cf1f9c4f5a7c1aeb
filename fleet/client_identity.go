package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Identity is what a pump has instead of a key. It is a secret.
type Identity struct {
	Pump        string `json:"pump"`
	Key         string `json:"key"`         // PEM, PKCS #8
	Certificate string `json:"certificate"` // PEM, with its chain; empty: still to be had
	CA          string `json:"ca"`          // PEM, of the house's own authority
	Invite      string `json:"invite"`      // SHA-256 of the one it was got for
}

var errStranger = errors.New("there is nothing to prove with who this pump is: house.key or house.invite is missing, or the certificate that was got for an invite is lost")

// recall takes the identity that was kept, if it is still the one that is wanted.
func (c *Client) recall() error {
	if c.opts.Invite != "" {
		invite, err := ParseInvite(c.opts.Invite)
		if err != nil {
			return fmt.Errorf("house.invite: %w", err)
		}
		if invite.Pump != c.opts.Pump {
			return fmt.Errorf("house.invite is for the pump %s, but house.id is %s", invite.Pump, c.opts.Pump)
		}
	}
	if c.opts.Store != nil {
		who, err := c.opts.Store.Identity()
		if err != nil {
			c.opts.Log.Error("the pump's certificate is lost", slog.Any("error", err))
			c.fault("identity", "its certificate is lost: "+err.Error())
		}
		if who.Pump == c.opts.Pump && (c.opts.Invite == "" || who.Invite == digestOf(c.opts.Invite)) {
			c.who = who
		}
	}
	return c.adopt(c.who)
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// adopt makes connections as who from now on.
func (c *Client) adopt(who Identity) error {
	c.adopting.Lock()
	defer c.adopting.Unlock()
	return c.adoptLocked(who)
}

// adoptLocked is adopt for a caller that holds c.adopting.
func (c *Client) adoptLocked(who Identity) error {
	reach := c.reach.Load()
	invite, _ := ParseInvite(c.opts.Invite) // recall has checked it
	roots := reach.Roots
	if roots == nil && who.CA != "" && who.Certificate != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(who.CA)) {
			return errors.New("the authority of the house that was kept is no certificate")
		}
	}
	t := trust(roots, invite, reach.Houses)
	if who.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(who.Certificate), []byte(who.Key))
		if err != nil {
			return fmt.Errorf("the pump's certificate: %w", err)
		}
		// Sent whatever authorities the house names: it has one only.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	c.mu.Lock()
	c.who = who
	c.mu.Unlock()
	c.rewire(t)
	return nil
}

func (c *Client) identity() Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who
}

// credentials returns what proves who the pump is.
func (c *Client) credentials() (func(*http.Request), error) {
	key := c.reach.Load().Key
	switch {
	case c.identity().Certificate != "", c.opts.Dial != nil:
		return func(*http.Request) {}, nil
	case key != "":
		return func(r *http.Request) { r.SetBasicAuth(c.opts.Pump, key) }, nil
	}
	return nil, errStranger
}

// becomeKnown gets a certificate for the invite, unless there is one.
func (c *Client) becomeKnown(ctx context.Context, at string) error {
	who := c.identity()
	if c.opts.Invite == "" || who.Certificate != "" {
		return nil
	}
	if who.Key == "" { // the same key is tried again, should the answer have been lost
		key, err := newKey()
		if err != nil {
			return err
		}
		who = Identity{Pump: c.opts.Pump, Key: key, Invite: digestOf(c.opts.Invite)}
		// Before the invite is used up: it must be possible to keep what comes of it.
		if err := c.keepIdentity(who); err != nil {
			return fmt.Errorf("the invite is not used as long as its certificate cannot be kept: %w", err)
		}
		c.mu.Lock()
		c.who = who
		c.mu.Unlock()
	}
	if err := c.certify(ctx, at, who, bearer(c.opts.Invite)); err != nil {
		return fmt.Errorf("joining with the invite: %w", err)
	}
	c.opts.Log.Info("the pump has joined with its invite, and has a certificate now", slog.String("house", at))
	return nil
}

// renew gets another certificate, for another key.
func (c *Client) renew(ctx context.Context, s *session) error {
	who := c.identity()
	var err error
	if who.Key, err = newKey(); err != nil {
		return err
	}
	if err := c.certify(ctx, s.at, who, bearer(s.welcome.Session)); err != nil {
		return err
	}
	c.opts.Log.Info("the certificate is renewed", slog.String("house", s.at))
	return nil
}

// certify has a key signed, keeps what comes of it and adopts it.
func (c *Client) certify(ctx context.Context, at string, who Identity, auth func(*http.Request)) error {
	csr, err := requestFor(who)
	if err != nil {
		return err
	}
	var a CertificateAnswer
	if err := c.call(ctx, at+PathCertificate, auth, CertificateRequest{Pump: who.Pump, CSR: csr}, &a); err != nil {
		return err
	}
	before := c.identity()
	who.Certificate, who.CA = a.Certificate, a.CA
	if err := c.adopt(who); err != nil {
		_ = c.adopt(before) // it was in force
		return fmt.Errorf("the house's answer: %w", err)
	}
	if err := c.keepIdentity(who); err != nil {
		c.opts.Log.Error("the new certificate is in force, but cannot be kept: after a restart it is gone", slog.Any("error", err))
		c.fault("identity", "its certificate cannot be kept: "+err.Error())
		return nil
	}
	c.fault("identity", "")
	return nil
}

func (c *Client) keepIdentity(who Identity) error {
	if c.opts.Store == nil {
		return nil
	}
	return c.opts.Store.KeepIdentity(who)
}

func newKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("writing the key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func requestFor(who Identity) (string, error) {
	block, _ := pem.Decode([]byte(who.Key))
	if block == nil {
		return "", errors.New("the key that was kept is none")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return "", fmt.Errorf("asking for a certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
