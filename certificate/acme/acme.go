package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
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
	loaded   chan struct{}

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
	return &Manager{opts: o, problems: map[string]string{}, loaded: make(chan struct{})}
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

// When names are begun anew: those whose stored certificate cannot be read, soon, because
// somebody may have put it right; the others because the library tries for a month and then
// never again, and nobody may be near to start the program.
const (
	storedAnew = time.Hour
	begunAnew  = 31 * 24 * time.Hour
)

// Run gets the certificates, out of the folder or from the authority, and renews them
// until ctx is done. It is called once.
func (m *Manager) Run(ctx context.Context) {
	d := m.newDesk()
	defer d.cache.Stop()
	m.desk.Store(d)
	names := m.begin(ctx, d, m.opts.Domains)
	close(m.loaded)
	for {
		wait := storedAnew
		if len(names) == 0 {
			names, wait = m.opts.Domains, begunAnew // those it has, the library leaves alone
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		names = m.begin(ctx, d, names)
	}
}

// Loaded is closed once Run has taken what lies in the folder.
func (m *Manager) Loaded() <-chan struct{} { return m.loaded }

// begin takes the names' certificates out of the folder, sets about getting and renewing
// them, and returns those whose files cannot be used.
func (m *Manager) begin(ctx context.Context, d *desk, names []string) (unusable []string) {
	var missing []string
	for _, name := range names {
		if d.leaf(name) != nil {
			continue
		}
		_, err := d.magic.CacheManagedCertificate(ctx, name)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		default:
			m.unusable(name, err)
			unusable = append(unusable, name)
		}
	}
	err := d.magic.ManageAsync(ctx, missing)
	if err == nil {
		err = d.cache.RenewManagedCertificates(ctx) // what has grown old while the program was away
	}
	if err != nil && ctx.Err() == nil {
		m.opts.Log.Error("getting certificates", slog.Any("error", err))
	}
	return unusable
}

func (m *Manager) unusable(name string, err error) {
	err = fmt.Errorf("the files in %s: %w", filepath.Join(m.opts.Folder, "certificates"), err)
	m.fail(name, err)
	m.opts.Log.Error("the stored certificate cannot be used; remove it, and a new one is got within the hour",
		slog.String("identifier", name), slog.Any("error", err))
}

func (m *Manager) fail(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures.Add(1)
	m.problems[name] = err.Error()
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
	switch event {
	case "cert_failed":
		if err, ok := data["error"].(error); ok && !errors.Is(err, context.Canceled) { // else the program ends
			m.fail(name, err)
		}
	case "cert_obtained":
		m.mu.Lock()
		defer m.mu.Unlock()
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
