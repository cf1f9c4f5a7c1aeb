package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/paralleltest"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// The library keeps a goroutine for each authority's rate, and one that looks after a lock
// for some seconds after it was released.
func TestMain(m *testing.M) {
	acmetest.Serve()
	if err := paralleltest.Allow(8); err != nil { // they wait for the library's minute
		panic(err)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

const patience = time.Minute

// A certificate is renewed before it ends, and whoever connects sees no gap; one that cannot
// be renewed stays, and the reason is told. (That one is
// issued at all, by either challenge, is tried with a whole pump.)
func TestRenewal(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a certificate to grow old; left out with -short")
	}
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	const life = 24 * time.Second // a third of it is left for renewing
	authority := acmetest.Start(t, 1, port, life)
	roots, err := certificate.Authorities(authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "acme")
	if err := Prepare(folder); err != nil {
		t.Fatal(err)
	}
	m := New(Options{
		Domains: []string{"pump.test"}, Directory: authority.Directory, Roots: roots, Folder: folder,
		Challenges: []string{TLSALPN}, Host: "127.0.0.1", TLSPort: port, Every: 500 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if all := m.Issued(); len(all) != 1 || all[0] != (certificate.Issued{Name: "pump.test"}) {
		t.Errorf("before anybody was asked there is %+v", all)
	}
	k, err := certificate.New(certificate.Files{}, certificate.Options{Issuer: m})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { shakeHands(ln, k.Config()) })
	all.Go(func() { m.Run(ctx) })
	defer func() { cancel(); _ = ln.Close(); all.Wait() }()

	shown := func() (*x509.Certificate, error) {
		c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "pump.test", RootCAs: authority.Roots})
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0], nil
	}
	var first *x509.Certificate
	end := time.Now().Add(patience)
	for ; first == nil; time.Sleep(50 * time.Millisecond) {
		if first, err = shown(); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	for {
		now, err := shown()
		if err != nil {
			t.Fatalf("a client is turned away, %v after the first certificate of %v: %v", time.Since(first.NotBefore), life, err)
		}
		if now.SerialNumber.Cmp(first.SerialNumber) != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("not renewed")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if all := k.States(); len(all) != 1 || !all[0].InForce || all[0].Problem != "" || all[0].Refused != 0 {
		t.Errorf("in force: %+v", all)
	}

	authority.Stop()
	var one certificate.Issued
	for one.Problem == "" {
		if one = m.Issued()[0]; time.Now().After(end) {
			t.Fatal("an authority that is gone is not noticed")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if now, err := shown(); err != nil || one.Leaf == nil || !now.Equal(one.Leaf) {
		t.Errorf("while it cannot be renewed, the certificate in force is %v, %v", one.Leaf, err)
	}
	if s := k.States()[0]; s.Refused == 0 || s.Problem != one.Problem || !strings.Contains(s.Problem, "connection refused") {
		t.Errorf("the state is %+v", s)
	}
	if st, err := os.Stat(folder); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", st.Mode(), err)
	}
}

// shakeHands is a server that does nothing else.
func shakeHands(ln net.Listener, cfg *tls.Config) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_ = tls.Server(c, cfg).Handshake()
		_ = c.Close()
	}
}

// A stored certificate that cannot be read is told, and keeps no other name from having its own.
func TestUnusableFiles(t *testing.T) {
	folder, ctx := t.TempDir(), t.Context()
	o := Options{
		Domains: []string{"broken.test", "pump.test"}, Directory: "https://127.0.0.1:1/dir", Folder: folder,
		Challenges: []string{TLSALPN}, Host: "127.0.0.1", TLSPort: 1,
	}
	files := certmagic.FileStorage{Path: folder}
	mine := certtest.NewAuthority(t, "authority").Issue(t, certtest.Spec{Hosts: []string{"pump.test"}, NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	cert, key := certtest.Write(t, t.TempDir(), mine)
	read := func(name string) []byte {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, pem := range map[string][2][]byte{"broken.test": {[]byte("rubbish"), []byte("rubbish")}, "pump.test": {read(cert), read(key)}} {
		keys := certmagic.StorageKeys
		const issuer = "127.0.0.1:1-dir"
		for place, text := range map[string][]byte{
			keys.SiteCert(issuer, name): pem[0], keys.SitePrivateKey(issuer, name): pem[1], keys.SiteMeta(issuer, name): []byte(`{"sans":["` + name + `"]}`),
		} {
			if err := files.Store(ctx, place, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := &worldtest.Log{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	m := New(o)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	defer running.Wait()
	defer cancel()
	select {
	case <-m.Loaded():
	case <-time.After(patience):
		t.Fatal("the folder is not read")
	}
	all := m.Issued()
	if len(all) != 2 || all[0].Leaf != nil || !strings.Contains(all[0].Problem, filepath.Join(folder, "certificates")) || m.Failures() != 1 {
		t.Errorf("of the broken one: %+v, %d failures", all[0], m.Failures())
	}
	if all[1].Leaf == nil || !all[1].Leaf.Equal(mine.Leaf) || all[1].Problem != "" {
		t.Errorf("of the good one: %+v", all[1])
	}
	cancel()
	running.Wait()
	if !strings.Contains(log.String(), "the stored certificate cannot be used") || !strings.Contains(log.String(), "broken.test") {
		t.Errorf("the log says\n%s", log.String())
	}
}

func TestBeforeItRuns(t *testing.T) {
	m := New(Options{Domains: []string{"pump.test"}})
	if _, err := m.GetCertificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("a certificate out of nowhere")
	}
	w := httptest.NewRecorder()
	if m.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/acme-challenge/x", nil)); w.Code != http.StatusNotFound {
		t.Errorf("a challenge is answered with %d", w.Code)
	}
}

func TestPrepare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(filepath.Join(file, "acme")); err == nil || !strings.Contains(err.Error(), "acme.folder") {
		t.Errorf("%v", err)
	}
}

// What the library logs comes out as ours: failures as errors, steps and what anybody can
// cause at the lowest level.
func TestLog(t *testing.T) {
	var b strings.Builder
	log := zap.New(bridge{log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))}).With(zap.String("identifier", "pump.test"))
	log.Info("obtaining", zap.Int("attempt", 1))
	log.Error("tls-alpn challenge", zap.Error(errNotYet))
	log.Warn("careful")
	log.Error("will retry", zap.Duration("retrying_in", time.Minute))
	log.Error("job failed", zap.Error(context.Canceled))
	log.Info("certificate obtained successfully")
	for _, want := range []string{
		`level=DEBUG msg="acme: obtaining" identifier=pump.test attempt=1`,
		`level=DEBUG msg="acme: tls-alpn challenge" identifier=pump.test error="there is no certificate yet"`,
		`level=WARN msg="acme: careful"`,
		`level=ERROR msg="no certificate from the authority; it is tried again" identifier=pump.test retrying_in=1m0s`,
		`level=DEBUG msg="no certificate from the authority; the old one stays, and it is tried again" identifier=pump.test error="context canceled"`,
		`level=INFO msg="certificate issued" identifier=pump.test`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}
