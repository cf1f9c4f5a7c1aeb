package acme

import (
	"cmp"
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

const every = 10 * time.Minute

// Manager gets and renews certificates. All methods may be called from any goroutine.
type Manager struct {
	opts     Options
	desk     atomic.Pointer[desk] // nil before Run
	failures atomic.Uint64
	loaded   chan struct{}

	mu       sync.Mutex
	problems map[string]string // by name: why the last attempt failed
	disk     string            // why the folder could not be written last; empty when it could
	until    time.Time         // when the authority wants to be asked again
}

// desk is a manager at work.
type desk struct {
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	store  *store
}

// New makes a manager that does nothing before [Manager.Run].
func New(o Options) *Manager {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every <= 0 {
		o.Every = every
	}
	return &Manager{opts: o, problems: map[string]string{}, loaded: make(chan struct{})}
}

func (m *Manager) newDesk() *desk {
	o := m.opts
	log := zap.New(bridge{log: o.Log, answered: m.answered})
	d := &desk{store: newStore(o.Folder, m.wrote)}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		RenewCheckInterval: o.Every, Logger: log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		Storage: d.store, Logger: log, OnEvent: m.note,
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

// storedAnew is when stored files that cannot be read are tried again: somebody may have put them right.
const storedAnew = time.Hour

// Run gets the certificates, out of the folder or from the authority, and renews them
// until ctx is done. It is called once.
func (m *Manager) Run(ctx context.Context) {
	d := m.newDesk()
	defer d.store.release()
	defer d.cache.Stop()
	m.desk.Store(d)
	var all, looked sync.WaitGroup
	defer all.Wait()
	for _, name := range m.opts.Domains {
		looked.Add(1)
		all.Go(func() { m.keep(ctx, d, name, looked.Done) })
	}
	looked.Wait()
	close(m.loaded)
	if err := d.cache.RenewManagedCertificates(ctx); err != nil && ctx.Err() == nil { // what has grown old while the program was away
		m.opts.Log.Error("renewing certificates", slog.Any("error", err))
	}
	<-ctx.Done()
}

// Loaded is closed once Run has taken what lies in the folder.
func (m *Manager) Loaded() <-chan struct{} { return m.loaded }

// keep takes a name's certificate out of the folder, or gets one first; from then on the library renews it. It calls
// looked when it has looked into the folder.
func (m *Manager) keep(ctx context.Context, d *desk, name string, looked func()) {
	looked = sync.OnceFunc(looked)
	for got := false; ; {
		_, err := d.magic.CacheManagedCertificate(ctx, name)
		looked()
		wait := storedAnew
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, fs.ErrNotExist) && !got:
			if err = d.magic.ObtainCertAsync(ctx, name); err == nil {
				got = true
				continue
			}
			m.notGot(ctx, name, err)
			wait = m.opts.Every
		default:
			m.unusable(name, err)
			got = false
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// notGot tells that the library has given up: it goes on for a month when the authority is to blame, and ends at once
// when the folder is.
func (m *Manager) notGot(ctx context.Context, name string, err error) {
	if ctx.Err() != nil {
		return
	}
	m.fail(name, err)
	m.opts.Log.Error("no certificate; it is tried again", slog.String("identifier", name), slog.Any("error", err), slog.String("retrying_in", m.opts.Every.String()))
}

// sleep waits, and tells whether ctx is still not done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
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

// note keeps what became of an attempt, and delays one that comes too early for the authority. The events and their
// fields are the library's.
func (m *Manager) note(ctx context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtaining":
		return m.awaitTurn(ctx)
	case "cert_failed":
		if err, ok := data["error"].(error); ok && !errors.Is(err, context.Canceled) { // else the program ends
			m.fail(name, m.explainLimit(name, err))
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
		one := certificate.Issued{Name: name, Problem: cmp.Or(m.problems[name], m.disk)}
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
