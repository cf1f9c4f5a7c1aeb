package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Issuer gets certificates by itself, in place of files.
type Issuer interface {
	// GetCertificate returns the certificate for a client, or answers a challenge of the
	// authority, which comes as a client of the protocol acme-tls/1.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Issued tells how things stand, name by name.
	Issued() []Issued
	// Failures returns how many attempts to get or renew a certificate have failed.
	Failures() uint64
}

// Issued is what an [Issuer] has for one name.
type Issued struct {
	Name    string
	Leaf    *x509.Certificate // in force; nil: not issued yet
	Problem string            // why the last attempt to get or renew it failed, "" for nothing
}

// challengeProtocol is what an authority speaks to find out whether a name is ours. RFC 8737.
const challengeProtocol = "acme-tls/1"

// Options tune [New]; the zero value works.
type Options struct {
	Issuer Issuer           // nil: certificates come from the files
	Every  time.Duration    // how often [Keeper.Watch] looks at the files; 0: never
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // nil: time.Now
}

// Keeper keeps what was read from files. All methods may be called from any goroutine.
type Keeper struct {
	log     *slog.Logger
	now     func() time.Time
	every   atomic.Int64 // ns
	issuer  Issuer       // nil: the certificate is in the files
	inForce atomic.Pointer[material]
	refused atomic.Uint64
	nudge   chan struct{} // tells Watch that every has changed

	mu      sync.Mutex                    // guards what follows, and orders the changes of inForce
	problem string                        // what is wrong with the files as they are now, "" for nothing
	seen    print                         // of the files, when they were last looked at
	tried   print                         // of the files that were last read
	warned  map[[sha256.Size]byte]warning // by certificate
}

// warning is when the end of a certificate was last warned of, and whether it had come.
type warning struct {
	at   time.Time
	over bool
}

// New reads the files. A certificate whose time is over, or has not come yet, is used with
// an error in the log; everything else that is wrong is returned.
func New(f Files, o Options) (*Keeper, error) {
	k := &Keeper{log: o.Log, now: o.Now, issuer: o.Issuer, nudge: make(chan struct{}, 1)}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.now == nil {
		k.now = time.Now
	}
	k.every.Store(int64(o.Every))
	k.seen = look(f)
	m, err := read(f, k.issuer)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = k.seen
	k.use(m)
	if err := m.valid(k.now()); err != nil {
		k.log.Error("the certificate is used, and clients will refuse it", slog.Any("error", err))
		k.warned = map[[sha256.Size]byte]warning{sha256.Sum256(m.leaf.Raw): {k.now(), true}}
	}
	k.warn()
	return k, nil
}

// Config returns settings for a server. They show whatever certificate is in force when a
// client comes. TLS 1.2 is the least; tickets for resumption stay good when the
// certificate changes. A connection whose negotiated protocol is neither none nor http/1.1
// is an authority's challenge, done with its handshake: it must not be served.
func (k *Keeper) Config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var challenged *tls.Config // an authority that looks whether a name is ours shows no certificate
	if k.issuer != nil {
		c.GetCertificate = k.issuer.GetCertificate
		challenged = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{challengeProtocol}, GetCertificate: k.issuer.GetCertificate}
	} else {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &k.inForce.Load().config.Certificates[0], nil
		}
	}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if challenged != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol {
			return challenged, nil
		}
		return k.inForce.Load().config, nil
	}
	return c
}

// Reload reads the files anew, perhaps other ones, whether they have changed or not. On an
// error, which includes an expired certificate, what is in force stays.
func (k *Keeper) Reload(f Files) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := look(f)
	if err := k.replace(f); err != nil {
		return err
	}
	k.seen, k.tried = seen, seen
	return nil
}

// SetEvery changes how often Watch looks at the files; 0: not any more.
func (k *Keeper) SetEvery(d time.Duration) {
	if k.every.Swap(int64(d)) != int64(d) {
		select {
		case k.nudge <- struct{}{}:
		default: // Watch is told already
		}
	}
}

// Check tells what Reload would say, and changes nothing.
func (k *Keeper) Check(f Files) error {
	_, err := k.candidate(f)
	return err
}

// candidate reads files and tells whether they may be put in force.
func (k *Keeper) candidate(f Files) (*material, error) {
	m, err := read(f, k.issuer)
	if err != nil {
		return nil, err
	}
	if m.same(k.inForce.Load()) { // what is in force may stay, whatever its time
		return m, nil
	}
	return m, m.valid(k.now())
}

// replace puts the files in force, if they are good. The caller holds k.mu.
func (k *Keeper) replace(f Files) error {
	m, err := k.candidate(f)
	if err != nil {
		k.problem = err.Error()
		k.refused.Add(1)
		return err
	}
	k.problem = ""
	if now := k.inForce.Load(); m.sum != now.sum || m.files != now.files {
		k.use(m)
		k.warn()
	}
	return nil
}

// use puts material in force. The caller holds k.mu.
func (k *Keeper) use(m *material) {
	k.inForce.Store(m)
	if m.leaf == nil {
		return
	}
	k.log.Info("certificate in force", slog.Any("names", names(m.leaf)), slog.String("issuer", m.leaf.Issuer.String()),
		slog.String("not_after", m.leaf.NotAfter.UTC().Format(time.RFC3339)), slog.String("sha256", fingerprint(m.leaf)))
}

// Watch looks after the certificate until ctx is done: it takes changed files, and warns
// of the end.
func (k *Keeper) Watch(ctx context.Context) {
	for {
		every := time.Duration(k.every.Load())
		wait := every
		if every <= 0 || every > idle {
			wait = idle
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-k.nudge:
			t.Stop()
			continue
		case <-t.C:
		}
		k.mu.Lock()
		if every > 0 {
			k.check()
		}
		k.warn()
		k.mu.Unlock()
	}
}

// idle is how long Watch sleeps at the most: it has the end to warn of.
const idle = time.Minute

// check takes files that have changed, once they have been the same for two looks: key
// and certificate are not replaced at the same moment. The caller holds k.mu.
func (k *Keeper) check() {
	f := k.inForce.Load().files
	seen := look(f)
	settled := seen == k.seen
	k.seen = seen
	if !settled || seen == k.tried {
		return
	}
	k.tried = seen
	if err := k.replace(f); err != nil {
		k.log.Error("the new certificate is refused, the old one stays", slog.Any("error", err))
	}
}

// Shape of the warning.
const (
	warnBefore = 14 * 24 * time.Hour
	warnPart   = 3 // of its life, for certificates that live shorter
	warnEvery  = 24 * time.Hour
)

// warn tells of ends that come near, or have come. The caller holds k.mu.
func (k *Keeper) warn() {
	next := map[[sha256.Size]byte]warning{}
	for _, leaf := range k.leaves() {
		sum := sha256.Sum256(leaf.Raw)
		if w := k.remind(leaf, k.warned[sum]); !w.at.IsZero() {
			next[sum] = w
		}
	}
	k.warned = next
}

// remind tells of one certificate's end, if it is time to, and returns when it was told last.
func (k *Keeper) remind(leaf *x509.Certificate, last warning) warning {
	now := k.now()
	left := leaf.NotAfter.Sub(now)
	if left > min(warnBefore, leaf.NotAfter.Sub(leaf.NotBefore)/warnPart) {
		return warning{}
	}
	over := left <= 0
	if since := now.Sub(last.at); over == last.over && since >= 0 && since < warnEvery { // below 0: the clock was set back
		return last
	}
	attrs := []any{slog.Any("names", names(leaf)), slog.String("not_after", leaf.NotAfter.UTC().Format(time.RFC3339)), slog.Float64("days_left", days(left))}
	if over {
		k.log.Error("the certificate has expired", attrs...)
	} else {
		k.log.Warn("the certificate ends soon; renew it", attrs...)
	}
	return warning{now, over}
}

// leaves are the certificates in force.
func (k *Keeper) leaves() []*x509.Certificate {
	if k.issuer == nil {
		return []*x509.Certificate{k.inForce.Load().leaf}
	}
	var list []*x509.Certificate
	for _, one := range k.issuer.Issued() {
		if one.Leaf != nil {
			list = append(list, one.Leaf)
		}
	}
	return list
}

// fingerprint is how people compare certificates.
func fingerprint(c *x509.Certificate) string { return hexOf(sha256.Sum256(c.Raw)) }
