package house

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/registry"
)

// ownTLS is the house's side of TLS: a certificate from files, or one of its own authority,
// made anew in time. Clients may show a certificate; package gate looks at it.
type ownTLS struct {
	registry *registry.Registry
	names    []string

	mu   sync.Mutex
	cert *tls.Certificate
	own  bool
}

func newOwnTLS(cfg *config.House, r *registry.Registry) (*ownTLS, error) {
	t := &ownTLS{registry: r, names: cfg.SSLNames}
	if len(t.names) == 0 {
		t.names = hostNames()
	}
	return t, t.load(cfg)
}

// load reads key and certificate; connections that are there keep the old one.
func (t *ownTLS) load(cfg *config.House) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cfg.SSLCert == "" {
		t.own, t.cert = true, nil
		_, err := t.currentLocked()
		return err
	}
	cert, err := tls.LoadX509KeyPair(cfg.SSLCert, cfg.SSLKey)
	if err != nil {
		return fmt.Errorf("reading ssl_cert %s and ssl_key %s: %w", cfg.SSLCert, cfg.SSLKey, err)
	}
	t.own, t.cert = false, &cert
	return nil
}

// currentLocked returns the certificate of now. The caller holds t.mu.
func (t *ownTLS) currentLocked() (*tls.Certificate, error) {
	now := time.Now()
	if t.cert != nil && (!t.own || now.Before(renewal(t.cert.Leaf))) {
		return t.cert, nil
	}
	cert, err := t.registry.State().Authority.Server(t.names, now)
	if err != nil {
		return nil, err
	}
	t.cert = cert
	return cert, nil
}

// named tells whether a host is one that the certificate is for.
func (t *ownTLS) named(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	cert, err := t.currentLocked()
	return err == nil && cert.Leaf != nil && cert.Leaf.VerifyHostname(host) == nil
}

// renewal is when two thirds of a certificate's time are over.
func renewal(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)
}

func (t *ownTLS) config() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(t.registry.State().Authority.Certificate())
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.currentLocked()
		},
		// Asked for and not verified here: a pump whose certificate has ended should be told
		// so. Browsers offer none, for the names of this authority fit none of theirs.
		ClientAuth: tls.RequestClientCert, ClientCAs: pool,
		NextProtos: []string{"http/1.1"}, // an event stream each: nothing to be multiplexed
	}
}

// hostNames are the names and addresses of this machine.
func hostNames() []string {
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && !n.IP.IsMulticast() {
			names = append(names, n.IP.String())
		}
	}
	return names
}
