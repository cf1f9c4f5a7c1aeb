package pump

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/porttest"
)

// secure is a pump with a TLS port.
type secure struct {
	*world
	ca   *certtest.Authority
	dir  string
	text string // its configuration
}

// newSecure runs one that shows the test card; keys are more lines of its configuration.
func newSecure(t *testing.T, keys string) *secure {
	t.Helper()
	s := &secure{ca: certtest.NewAuthority(t, "authority"), dir: t.TempDir()}
	s.renew(t)
	s.text = fmt.Sprintf("ssl: true\nssl_key: %s/my.key\nssl_cert: %[1]s/my.cert\nssl_port: %d\n", s.dir, freePort(t)) + keys + card
	s.world = newWorld(t, s.text)
	s.awaitLive("card")
	return s
}

// renew writes a new certificate and returns its serial number.
func (s *secure) renew(t *testing.T) int64 {
	t.Helper()
	c := s.ca.Issue(t, certtest.Spec{})
	certtest.Write(t, s.dir, c)
	return c.Leaf.SerialNumber.Int64()
}

func (s *secure) dial(t *testing.T, shows ...tls.Certificate) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", s.TLSAddr().String(), &tls.Config{RootCAs: s.ca.Pool(), Certificates: shows})
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// shown is the serial number of the certificate that the pump shows.
func (s *secure) shown(t *testing.T) int64 {
	t.Helper()
	conn, err := s.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A viewer behind TLS plays; a reload brings a new certificate and does not disturb it.
func TestTLS(t *testing.T) {
	s := newSecure(t, "")
	conn, err := s.dial(t)
	if err != nil {
		t.Fatal(err)
	}
	v := playOn(t, conn, "card", "NSPlayer/9.0")
	v.packets(1)
	if p := s.server.Viewers(t.Context()); len(p) != 1 || !p[0].TLS {
		t.Errorf("viewers: %+v", p)
	}
	want := s.renew(t)
	s.reload(s.text)
	if n := s.shown(t); n != want {
		t.Errorf("certificate %d after the reload, want %d", n, want)
	}
	v.packets(20)

	certtest.WriteFile(t, s.dir, "my.cert", []byte("rubbish"))
	if a := s.ask("POST", "/api/v1/reload"); a.status != 422 || !strings.Contains(string(a.body), "ssl_cert") {
		t.Errorf("a broken certificate: %d %s", a.status, a.body)
	}
	if n := s.shown(t); n != want {
		t.Errorf("certificate %d after a reload that was refused, want %d", n, want)
	}
	v.packets(5)
	s.Drain()
	go s.Stop(t.Context())
	v.end()
}

// Nobody has to tell the pump of a new certificate. What is in force, and what is wrong
// with what is not, stands in the log, in the API and on the metrics page.
func TestCertificateIsLookedAfter(t *testing.T) {
	s := newSecure(t, "ssl_watch: 0.02\n")
	want := s.renew(t)
	s.eventually("the new certificate is shown", func() bool { return s.shown(t) == want })

	certtest.WriteFile(t, s.dir, "my.key", []byte("rubbish"))
	s.eventually("a broken one is refused", func() bool {
		return strings.Contains(s.log.String(), "the new certificate is refused, the old one stays")
	})
	if n := s.shown(t); n != want {
		t.Errorf("certificate %d is shown, want %d", n, want)
	}
	var list []CertificateInfo
	s.ask("GET", "/api/v1/certificates").decode(t, &list)
	if len(list) != 1 || list[0].Serial != fmt.Sprintf("%x", want) || list[0].DaysLeft < 89 || list[0].Refused != 1 ||
		!strings.Contains(list[0].Problem, "ssl_key") || len(list[0].Names) != 3 {
		t.Errorf("the API says %+v", list)
	}
	page := string(s.ask("GET", "/metrics").body)
	if !strings.Contains(page, "stream_pump_certificate_expiry_days 90") && !strings.Contains(page, "stream_pump_certificate_expiry_days 89.9") {
		t.Error("the metrics page does not tell the days that are left")
	}
	if !strings.Contains(page, "stream_pump_certificates_refused_total 1\n") {
		t.Error("the metrics page does not count the refusal")
	}
}

// With an authority of clients and require, nobody is served without a certificate; a
// reload changes that for those who come from then on.
func TestClientCertificates(t *testing.T) {
	theirs := certtest.NewAuthority(t, "clients")
	keys := fmt.Sprintf("ssl_client_ca: %s\nssl_client_certificate: require\n", certtest.WriteFile(t, t.TempDir(), "ca", theirs.PEM()))
	s := newSecure(t, keys)
	served := func(shows ...tls.Certificate) bool {
		conn, err := s.dial(t, shows...)
		if err != nil {
			return false
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write([]byte("GET /streams/card.asx HTTP/1.0\r\nHost: pump\r\n\r\n"))
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	}
	good := theirs.Issue(t, certtest.Spec{Name: "encoder"})
	if served() {
		t.Error("served without a certificate")
	}
	if !served(good) {
		t.Error("not served with a certificate")
	}
	if served(certtest.NewAuthority(t, "others").Issue(t, certtest.Spec{})) {
		t.Error("served with a certificate of another authority")
	}
	s.reload(strings.Replace(s.text, "require", "request", 1))
	if !served() || !served(good) {
		t.Error("not served although a certificate is only asked for")
	}
}

func TestBrokenCertificate(t *testing.T) {
	_, err := Start(parse(t, "listen: ['127.0.0.1:0']\nadmin: {listen: 'off'}\nssl: true\nssl_key: nix.key\nssl_cert: nix.cert\nstreams: []\n"), Options{})
	if err == nil || !strings.Contains(err.Error(), "ssl_cert") {
		t.Errorf("%v, want one that names ssl_cert", err)
	}
}

// An expired certificate does not keep a pump from starting: what is had without TLS goes on.
func TestExpiredCertificate(t *testing.T) {
	cert, key := certtest.Write(t, t.TempDir(), certtest.NewAuthority(t, "authority").Issue(t, certtest.Spec{NotAfter: time.Now().Add(-time.Hour)}))
	w := newWorld(t, fmt.Sprintf("ssl: true\nssl_key: %s\nssl_cert: %s\nssl_port: %d\n", key, cert, freePort(t))+card)
	w.awaitLive("card")
	w.play("card").packets(1)
	if !strings.Contains(w.log.String(), "clients will refuse it") {
		t.Errorf("the log does not say so:\n%s", w.log)
	}
}

// freePort is a port that nobody else has.
func freePort(t *testing.T) int {
	t.Helper()
	return porttest.Free(t)
}
