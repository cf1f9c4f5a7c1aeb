package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Challenges that an authority may set.
const (
	TLSALPN = "tls-alpn-01" // a handshake at port 443
	HTTP    = "http-01"     // a request at port 80
)

// Options are what a [Manager] is made with. Domains, Directory, Folder and Challenges
// are required.
type Options struct {
	Domains    []string       // host names
	Email      string         // told to the authority, for its warnings; may be empty
	Directory  string         // address of the authority's directory
	Roots      *x509.CertPool // for the authority's own certificate; nil: the system's
	Folder     string         // made if it is not there
	Challenges []string       // that can be answered
	Host       string         // at which the server listens; empty: at all
	HTTPPort   int            // where it answers HTTP, which port 80 has to lead to
	TLSPort    int            // where it answers TLS, which port 443 has to lead to
	Log        *slog.Logger   // nil discards
	Every      time.Duration  // between two looks whether something is to be renewed; default 10 minutes
}

// Manager gets and renews certificates. All methods may be called from any goroutine.
type Manager struct {
	opts Options
	desk atomic.Pointer[desk] // nil before Run
}

// desk is a manager at work.
type desk struct {
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// New makes a manager that does nothing before [Manager.Run].
func New(o Options) *Manager {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{opts: o}
}

func newDesk(o Options) *desk {
	log := zap.New(bridge{log: o.Log})
	d := &desk{}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		RenewCheckInterval: o.Every, Logger: log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Folder}, Logger: log,
		DefaultServerName: o.Domains[0], FallbackServerName: o.Domains[0], // players may give no name, or an address
	})
	d.issuer = certmagic.NewACMEIssuer(d.magic, certmagic.ACMEIssuer{
		CA: o.Directory, Email: o.Email, Agreed: true, TrustedRoots: o.Roots, Logger: log,
		DisableHTTPChallenge:    !slices.Contains(o.Challenges, HTTP),
		DisableTLSALPNChallenge: !slices.Contains(o.Challenges, TLSALPN),
		ListenHost:              o.Host, AltHTTPPort: o.HTTPPort, AltTLSALPNPort: o.TLSPort,
	})
	d.magic.Issuers = []certmagic.Issuer{d.issuer}
	return d
}

// Prepare makes the folder and sees that files can be written there.
func Prepare(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("acme.folder: %w", err)
	}
	probe := filepath.Join(folder, ".writable")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return fmt.Errorf("acme.folder: %w", err)
	}
	return os.Remove(probe)
}

// Run gets the certificates, out of the folder or from the authority, and renews them
// until ctx is done. It is called once.
func (m *Manager) Run(ctx context.Context) error {
	d := newDesk(m.opts)
	defer d.cache.Stop()
	m.desk.Store(d)
	if err := d.magic.ManageAsync(ctx, m.opts.Domains); err != nil {
		return fmt.Errorf("getting certificates: %w", err)
	}
	<-ctx.Done()
	return nil
}

var errNotYet = errors.New("there is no certificate yet")

// GetCertificate returns the certificate for a client, or the answer to a challenge.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	d := m.desk.Load()
	if d == nil {
		return nil, errNotYet
	}
	return d.magic.GetCertificate(hello)
}

// Leaves returns the certificates in force, in the order of the domains.
func (m *Manager) Leaves() []*x509.Certificate {
	var list []*x509.Certificate
	d := m.desk.Load()
	if d == nil {
		return nil
	}
	for _, name := range m.opts.Domains {
		for _, c := range d.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil {
				list = append(list, c.Leaf)
				break
			}
		}
	}
	return list
}

// ServeHTTP answers challenges, and everything else with 404.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d := m.desk.Load(); d == nil || !d.issuer.HandleHTTPChallenge(w, r) {
		http.NotFound(w, r)
	}
}
