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
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/stream-pump/stream-pump/certificate"
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
	opts     Options
	desk     atomic.Pointer[desk] // nil before Run
	failures atomic.Uint64

	mu       sync.Mutex
	problems map[string]string // by name: why the last attempt failed
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
	return &Manager{opts: o, problems: map[string]string{}}
}

func (m *Manager) newDesk() *desk {
	o := m.opts
	log := zap.New(bridge{log: o.Log})
	d := &desk{}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		RenewCheckInterval: o.Every, Logger: log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Folder}, Logger: log, OnEvent: m.note,
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

// begunAnew is how often names without a certificate are begun anew: the library tries for a
// month and then never again, and nobody may be near to start the program.
const begunAnew = 31 * 24 * time.Hour

// Run gets the certificates, out of the folder or from the authority, and renews them
// until ctx is done. It is called once.
func (m *Manager) Run(ctx context.Context) error {
	d := m.newDesk()
	defer d.cache.Stop()
	m.desk.Store(d)
	again := time.NewTicker(begunAnew)
	defer again.Stop()
	for {
		if err := d.magic.ManageAsync(ctx, m.opts.Domains); err != nil { // those it has, it leaves alone
			return fmt.Errorf("getting certificates: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
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

// note keeps what became of an attempt. The events and their fields are the library's.
func (m *Manager) note(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	if err, ok := data["error"].(error); ok && errors.Is(err, context.Canceled) {
		return nil // the program ends
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch event {
	case "cert_failed":
		m.failures.Add(1)
		m.problems[name] = fmt.Sprint(data["error"])
	case "cert_obtained":
		delete(m.problems, name)
	}
	return nil
}

// Failures returns how many attempts to get or renew a certificate have failed.
func (m *Manager) Failures() uint64 { return m.failures.Load() }

// Issued tells how things stand, in the order of the domains.
func (m *Manager) Issued() []certificate.Issued {
	d := m.desk.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []certificate.Issued
	for _, name := range m.opts.Domains {
		one := certificate.Issued{Name: name, Problem: m.problems[name]}
		if d != nil {
			one.Leaf = d.leaf(name)
		}
		list = append(list, one)
	}
	return list
}

// leaf is the certificate in force for a name, nil for none.
func (d *desk) leaf(name string) *x509.Certificate {
	for _, c := range d.cache.AllMatchingCertificates(name) {
		if c.Leaf != nil {
			return c.Leaf
		}
	}
	return nil
}

// ServeHTTP answers challenges, and everything else with 404.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d := m.desk.Load(); d == nil || !d.issuer.HandleHTTPChallenge(w, r) {
		http.NotFound(w, r)
	}
}
