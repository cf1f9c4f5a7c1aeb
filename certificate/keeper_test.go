package certificate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a folder with a certificate that is kept.
type desk struct {
	testing.TB
	*Keeper
	log   *worldtest.Log
	ca    *certtest.Authority
	dir   string
	files Files
}

const every = 10 * time.Second

func newDesk(t testing.TB, first certtest.Spec) *desk {
	t.Helper()
	d := &desk{TB: t, log: &worldtest.Log{}, ca: certtest.NewAuthority(t, "authority"), dir: t.TempDir()}
	d.files.Cert, d.files.Key = certtest.Write(t, d.dir, d.ca.Issue(t, first))
	k, err := New(d.files, Options{Every: every, Log: slog.New(slog.NewTextHandler(d.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	d.Keeper = k
	return d
}

// renew writes another certificate into the files and returns its serial number.
func (d *desk) renew(s certtest.Spec) string {
	d.Helper()
	c := d.ca.Issue(d, s)
	certtest.Write(d, d.dir, c)
	return c.Leaf.SerialNumber.Text(16)
}

// State is what is in force.
func (d *desk) State() State { return d.States()[0] }

func (d *desk) spoil(name, text string) { certtest.WriteFile(d, d.dir, name, []byte(text)) }

// watch looks after the certificate in a bubble of fake time.
func (d *desk) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { d.Watch(ctx) })
	return func() { cancel(); done.Wait() }
}

// settle is long enough for a change of the files to be noticed.
func settle() { time.Sleep(3 * every); synctest.Wait() }

func TestNewCertificateIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, certtest.Spec{})
		defer d.watch()()
		want := d.renew(certtest.Spec{})
		settle()
		if s := d.State(); s.Serial != want || s.Problem != "" || s.Refused != 0 {
			t.Errorf("in force is %+v, want serial %s", s, want)
		}
		if n := d.log.Count("certificate in force"); n != 2 {
			t.Errorf("%d lines about it, want 2", n)
		}
	})
}

func TestNewCertificateIsRefusedAndTheOldOneStays(t *testing.T) {
	hour := time.Hour
	for name, c := range map[string]struct {
		spoil func(d *desk)
		says  string
	}{
		"expired":       {func(d *desk) { d.renew(certtest.Spec{NotAfter: time.Now().Add(-time.Minute)}) }, "expired on"},
		"not valid yet": {func(d *desk) { d.renew(certtest.Spec{NotBefore: time.Now().Add(hour)}) }, "is the clock right?"},
		"rubbish":       {func(d *desk) { d.spoil("my.cert", "rubbish") }, "failed to find any PEM data"},
		"half a file":   {func(d *desk) { cut(d, "my.cert") }, "ssl_cert"},
		"another's key": {func(d *desk) {
			_, key := certtest.PEM(d, d.ca.Issue(d, certtest.Spec{}))
			d.spoil("my.key", string(key))
		}, "private key does not match"},
		"gone":     {func(d *desk) { _ = os.Remove(d.files.Key) }, "reading ssl_key"},
		"too long": {func(d *desk) { d.spoil("my.cert", strings.Repeat("x", maxFile+1)) }, "no PEM file"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, certtest.Spec{})
				was := d.State().Serial
				defer d.watch()()
				c.spoil(d)
				settle()
				time.Sleep(20 * every)
				if s := d.State(); s.Serial != was || !strings.Contains(s.Problem, c.says) || s.Refused != 1 {
					t.Errorf("in force is %s (was %s), refused %d times with %q, want one %q", s.Serial, was, s.Refused, s.Problem, c.says)
				}
				if n := d.log.Count("the new certificate is refused, the old one stays"); n != 1 {
					t.Errorf("%d lines say so, want 1", n)
				}
				for what, err := range map[string]error{"a check": d.Check(d.files), "a reload": d.Reload(d.files)} {
					if err == nil || !strings.Contains(err.Error(), c.says) {
						t.Errorf("%s says %v, want %q", what, err, c.says)
					}
				}
				want := d.renew(certtest.Spec{})
				settle()
				if s := d.State(); s.Serial != want || s.Problem != "" {
					t.Errorf("after that a good one came, in force is %+v", s)
				}
			})
		})
	}
}

// cut leaves half of a file.
func cut(d *desk, name string) {
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.Fatal(err)
	}
	d.spoil(name, string(b[:len(b)/3]))
}

// Key and certificate come one after the other; nobody complains in between.
func TestFilesThatChangeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, certtest.Spec{})
		defer d.watch()()
		c := d.ca.Issue(t, certtest.Spec{})
		cert, key := certtest.PEM(t, c)
		d.spoil("my.cert", string(cert))
		time.Sleep(every * 3 / 4)
		d.spoil("my.key", string(key))
		settle()
		if s := d.State(); s.Serial != c.Leaf.SerialNumber.Text(16) || s.Refused != 0 {
			t.Errorf("in force is %+v", s)
		}
	})
}

// With no interval files are read at a reload only; the end is warned of all the same.
func TestWithoutWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, certtest.Spec{NotAfter: time.Now().Add(15 * 24 * time.Hour), NotBefore: time.Now().Add(-100 * 24 * time.Hour)})
		d.SetEvery(0)
		was := d.State().Serial
		defer d.watch()()
		want := d.renew(certtest.Spec{NotAfter: time.Now().Add(15 * 24 * time.Hour), NotBefore: time.Now().Add(-100 * 24 * time.Hour)})
		time.Sleep(36 * time.Hour)
		if s := d.State(); s.Serial != was {
			t.Errorf("the file was read: %+v", s)
		}
		if d.log.Count("the certificate ends soon") == 0 {
			t.Error("nothing warns of the end")
		}
		if err := d.Reload(d.files); err != nil || d.State().Serial != want {
			t.Errorf("reload: %v, in force is %+v", err, d.State())
		}
		d.SetEvery(every) // and it looks again
		want = d.renew(certtest.Spec{})
		settle()
		if s := d.State(); s.Serial != want {
			t.Errorf("in force is %+v, want serial %s", s, want)
		}
	})
}

func TestTheEndIsWarnedOf(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		life, pass    time.Duration
		warns, errors int
	}{
		"90 days, 75 of them past": {90 * day, 75*day + 12*time.Hour, 0, 0},
		"once a day from 14 on":    {90 * day, 78*day + 12*time.Hour, 3, 0},
		"lives 6 days, 2 left":     {6 * day, 4*day + 12*time.Hour, 1, 0},
		"over for two days":        {6 * day, 8*day + 12*time.Hour, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, certtest.Spec{NotBefore: time.Now(), NotAfter: time.Now().Add(c.life)})
				d.SetEvery(0)
				defer d.watch()()
				time.Sleep(c.pass)
				if w, e := d.log.Count("ends soon"), d.log.Count("has expired"); w != c.warns || e != c.errors {
					t.Errorf("%d warnings and %d errors, want %d and %d", w, e, c.warns, c.errors)
				}
			})
		})
	}
}

// An expired certificate does not keep the program from starting, nor a reload for other
// reasons from being done.
func TestExpiredAtTheStart(t *testing.T) {
	d := newDesk(t, certtest.Spec{NotAfter: time.Now().Add(-time.Minute)})
	if n := d.log.Count("level=ERROR"); n != 1 {
		t.Errorf("%d errors in the log, want 1", n)
	}
	if s := d.State(); s.DaysLeft > 0 {
		t.Errorf("%v days left", s.DaysLeft)
	}
	if err := d.Reload(d.files); err != nil {
		t.Errorf("a reload of the same files: %v", err)
	}
}

func TestWrongAtTheStart(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewAuthority(t, "authority")
	cert, key := certtest.Write(t, dir, ca.Issue(t, certtest.Spec{}))
	for says, f := range map[string]Files{
		"reading ssl_cert":      {Cert: filepath.Join(dir, "none"), Key: key},
		"reading ssl_key":       {Cert: cert, Key: filepath.Join(dir, "none")},
		"with ssl_key":          {Cert: key, Key: cert},
		"reading ssl_client_ca": {Cert: cert, Key: key, ClientCA: filepath.Join(dir, "none")},
		"holds no certificate":  {Cert: cert, Key: key, ClientCA: certtest.WriteFile(t, dir, "ca", []byte("rubbish"))},
		`holds a "PRIVATE KEY"`: {Cert: cert, Key: key, ClientCA: key},
		"or a broken one":       {Cert: cert, Key: key, ClientCA: certtest.WriteFile(t, dir, "half", append(ca.PEM(), "-----BEGIN CERTIFICATE-----\nxx"...))},
		"certificate 1":         {Cert: cert, Key: key, ClientCA: certtest.WriteFile(t, dir, "der", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))},
	} {
		if _, err := New(f, Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}

// pair is a connection over loopback.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{client, server} {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { _ = c.Close() })
	}
	return client, server
}

// shake makes one TLS connection and returns what each side knows of it.
func (d *desk) shake(client *tls.Config) (cs, ss tls.ConnectionState, err error) {
	d.Helper()
	a, b := pair(d)
	server := tls.Server(b, d.Config())
	failed := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("x")) // tickets are in front of it
		}
		failed <- err
	}()
	client = client.Clone()
	client.RootCAs, client.ServerName = d.ca.Pool(), "localhost"
	c := tls.Client(a, client)
	if err = c.Handshake(); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		cs, ss = c.ConnectionState(), server.ConnectionState()
	}
	_ = a.Close()
	if e := <-failed; err == nil {
		err = e
	}
	return cs, ss, err
}

func TestVersions(t *testing.T) {
	d := newDesk(t, certtest.Spec{})
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cs, _, err := d.shake(&tls.Config{MinVersion: version, MaxVersion: version})
		if (err == nil) != ok || ok && cs.Version != version {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	d := newDesk(t, certtest.Spec{})
	theirs := certtest.NewAuthority(t, "encoders")
	good, stranger := theirs.Issue(t, certtest.Spec{Name: "encoder"}), certtest.NewAuthority(t, "other").Issue(t, certtest.Spec{})
	old := theirs.Issue(t, certtest.Spec{NotAfter: time.Now().Add(-time.Minute)})
	ca := certtest.WriteFile(t, d.dir, "ca", theirs.PEM())
	for _, c := range []struct {
		name     string
		ca       string
		required bool
		shows    []tls.Certificate
		ok       bool
		verified string // common name
	}{
		{"not asked for", "", false, []tls.Certificate{good}, true, ""},
		{"asked for, none", ca, false, nil, true, ""},
		{"asked for, good", ca, false, []tls.Certificate{good}, true, "encoder"},
		{"required, none", ca, true, nil, false, ""},
		{"required, good", ca, true, []tls.Certificate{good}, true, "encoder"},
		{"required, expired", ca, true, []tls.Certificate{old}, false, ""},
		{"asked for, of another authority", ca, false, []tls.Certificate{stranger}, false, ""},
	} {
		f := d.files
		f.ClientCA, f.Required = c.ca, c.required
		if err := d.Reload(f); err != nil {
			t.Fatal(err)
		}
		_, ss, err := d.shake(&tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c.shows == nil {
				return &tls.Certificate{}, nil
			}
			return &c.shows[0], nil
		}})
		got := ""
		if len(ss.VerifiedChains) > 0 {
			got = ss.VerifiedChains[0][0].Subject.CommonName
		}
		if (err == nil) != c.ok || got != c.verified {
			t.Errorf("%s: %v, verified as %q", c.name, err, got)
		}
	}
}

// A client that comes back resumes with its ticket, over a change of the certificate too;
// but not if its own certificate is no longer one of those that are taken.
func TestResumption(t *testing.T) {
	d := newDesk(t, certtest.Spec{})
	theirs := certtest.NewAuthority(t, "encoders")
	f := d.files
	f.ClientCA, f.Required = certtest.WriteFile(t, d.dir, "ca", theirs.PEM()), true
	if err := d.Reload(f); err != nil {
		t.Fatal(err)
	}
	config := d.Config() // one listener, one set of ticket keys
	client := &tls.Config{
		RootCAs: d.ca.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4),
		Certificates: []tls.Certificate{theirs.Issue(t, certtest.Spec{})},
	}
	again := func() (bool, error) {
		a, b := pair(t)
		go func() {
			defer b.Close()
			s := tls.Server(b, config)
			if s.Handshake() == nil {
				_, _ = s.Write([]byte("x"))
			}
		}()
		c := tls.Client(a, client)
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return false, err
		}
		return c.ConnectionState().DidResume, nil
	}
	if resumed, err := again(); resumed || err != nil {
		t.Errorf("the first time: %v, %v", resumed, err)
	}
	d.renew(certtest.Spec{})
	if err := d.Reload(f); err != nil {
		t.Fatal(err)
	}
	if resumed, err := again(); !resumed || err != nil {
		t.Errorf("with a new certificate of the server: resumed %v, %v", resumed, err)
	}
	certtest.WriteFile(t, d.dir, "ca", certtest.NewAuthority(t, "others").PEM())
	if err := d.Reload(f); err != nil {
		t.Fatal(err)
	}
	if resumed, err := again(); resumed || err == nil {
		t.Errorf("with an authority that is no longer taken: resumed %v, %v", resumed, err)
	}
}
