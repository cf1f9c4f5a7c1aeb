package pump

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/certtest"
)

// A pump gets its certificate from a real authority, by either way to prove that the name is
// its own, and serves with it whatever name a player gives, or none. Started again, it has
// the certificate at once.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			plain, secure, folder := freePort(t), freePort(t), filepath.Join(t.TempDir(), "acme")
			authority := acmetest.Start(t, plain, secure, 90*24*time.Hour)
			clients := certtest.NewAuthority(t, "clients")
			// A pump that demands certificates of its clients cannot demand one of the authority.
			file := fmt.Sprintf(`listen: ["127.0.0.1:%d"]
admin: {listen: 127.0.0.1:0}
ssl: true
ssl_port: %d
ssl_client_ca: %s
ssl_client_certificate: require
acme: {domains: [pump.test], email: a@pump.test, directory: %q, ca: %s, folder: %s, challenges: [%s]}
`, plain, secure, certtest.WriteFile(t, t.TempDir(), "ca", clients.PEM()), authority.Directory, authority.CA, folder, challenge) + card
			w := newWorldOf(t, file)
			own := clients.Issue(t, certtest.Spec{})
			dial := func(name string, shows ...tls.Certificate) (*tls.Conn, error) {
				return tls.Dial("tcp", w.TLSAddr().String(), &tls.Config{
					RootCAs: authority.Roots, ServerName: name, InsecureSkipVerify: name != "pump.test", Certificates: shows,
				})
			}
			var first *tls.Conn
			var err error
			for end := time.Now().Add(time.Minute); first == nil; time.Sleep(50 * time.Millisecond) {
				if first, err = dial("pump.test", own); err != nil && time.Now().After(end) {
					t.Fatalf("no certificate: %v", err)
				}
			}
			defer func() { _ = first.Close() }()
			w.awaitLive("card")
			playOn(t, first, "card", "NSPlayer/9.0").packets(3)
			serial := first.ConnectionState().PeerCertificates[0].SerialNumber
			for _, name := range []string{"", "other.test"} {
				conn, err := dial(name, own)
				if err != nil {
					t.Fatalf("as %q: %v", name, err)
				}
				if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(serial) != 0 {
					t.Errorf("as %q: certificate %x, want %x", name, got, serial)
				}
				_ = conn.Close()
			}
			if !strings.Contains(w.log.String(), "certificate issued") {
				t.Error("the log does not tell of the certificate")
			}
			w.nothingForChallengers(t)

			var list []CertificateInfo
			w.ask("GET", "/api/v1/certificates").decode(t, &list)
			if len(list) != 1 || !list[0].InForce || list[0].Problem != "" || list[0].Serial != serial.Text(16) || list[0].DaysLeft < 89 {
				t.Errorf("the API says %+v", list)
			}
			if page := string(w.ask("GET", "/metrics").body); !strings.Contains(page, "stream_pump_certificate_expiry_days 90") &&
				!strings.Contains(page, "stream_pump_certificate_expiry_days 89.9") {
				t.Error("the metrics page does not tell the days that are left")
			}
			if a := w.askAt("http://"+w.Addr().String()+"/.well-known/acme-challenge/x", "GET"); a.status != http.StatusNotFound {
				t.Errorf("a challenge that nobody has set: %d", a.status)
			}
			if err := w.Stop(t.Context()); err != nil {
				t.Error(err)
			}

			w = newWorldOf(t, file)
			var again *tls.Conn
			w.eventually("the certificate is there again", func() (ok bool) {
				conn, err := dial("pump.test", own)
				again = conn
				return err == nil
			})
			defer func() { _ = again.Close() }()
			if got := again.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(serial) != 0 {
				t.Errorf("another certificate after the restart: %x, was %x", got, serial)
			}
			if strings.Contains(w.log.String(), "certificate issued") {
				t.Error("the authority was asked again")
			}
		})
	}
}

// nothingForChallengers sees that the protocol of challenges, which needs no certificate of the
// client, leads to nothing else.
func (w *world) nothingForChallengers(t *testing.T) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "pump.test", NextProtos: []string{"acme-tls/1"}})
	if err != nil {
		return // there is no challenge now
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write([]byte("GET /streams/card.asx HTTP/1.0\r\nHost: pump.test\r\n\r\n"))
	if n, _ := conn.Read(make([]byte, 1)); n > 0 {
		t.Error("a client that claims to be an authority is served")
	}
}

// While an authority issues nothing, the log and the API say why, in words an operator can
// act on, handshakes fail, and whoever watches without TLS notices nothing.
func TestACMEFails(t *testing.T) {
	type place struct {
		secure int
		folder string
	}
	for name, c := range map[string]struct {
		keys func(t *testing.T, at place) string // of acme
		want string
	}{
		"nobody is there": {func(*testing.T, place) string { return "directory: 'https://127.0.0.1:1/dir'" }, "127.0.0.1:1: connect: connection refused"},
		"the authority's own certificate is unknown": {func(t *testing.T, at place) string {
			return fmt.Sprintf("directory: %q", acmetest.Start(t, 1, at.secure, time.Hour).Directory)
		}, "certificate signed by unknown authority"},
		"the name leads elsewhere": {func(t *testing.T, at place) string {
			a := acmetest.Start(t, freePort(t), freePort(t), time.Hour)
			return fmt.Sprintf("directory: %q, ca: %s", a.Directory, a.CA)
		}, "Failed to connect to 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			at := place{freePort(t), filepath.Join(t.TempDir(), "acme")}
			w := newWorld(t, fmt.Sprintf("ssl: true\nssl_port: %d\nacme: {domains: [pump.test], folder: %s, challenges: [tls-alpn-01], %s}\n", at.secure, at.folder, c.keys(t, at))+card)
			w.awaitLive("card")
			v := w.play("card")
			w.eventually("the API tells why", func() bool {
				var list []CertificateInfo
				w.ask("GET", "/api/v1/certificates").decode(t, &list)
				return len(list) == 1 && list[0].Names[0] == "pump.test" && !list[0].InForce && list[0].Refused > 0 && strings.Contains(list[0].Problem, c.want)
			})
			w.eventually("the log does", func() bool {
				for line := range strings.Lines(w.log.String()) {
					if strings.Contains(line, "level=ERROR") && strings.Contains(line, "no certificate from the authority; it is tried again") &&
						strings.Contains(line, "pump.test") && strings.Contains(line, c.want) && strings.Contains(line, "retrying_in=1m0s") {
						return true
					}
				}
				return false
			})
			if conn, err := tls.Dial("tcp", w.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "pump.test"}); err == nil {
				_ = conn.Close()
				t.Error("a handshake without a certificate")
			}
			if page := string(w.ask("GET", "/metrics").body); !strings.Contains(page, "stream_pump_certificate_expiry_days NaN") || strings.Contains(page, "stream_pump_certificates_refused_total 0\n") {
				t.Error("the metrics page does not tell")
			}
			v.packets(3)
		})
	}
}

// A folder that cannot be written is told at the start.
func TestACMEFolder(t *testing.T) {
	blocked := certtest.WriteFile(t, t.TempDir(), "file", []byte("x"))
	text := local + fmt.Sprintf("ssl: true\nssl_port: %d\nacme: {domains: [pump.test], directory: 'https://127.0.0.1:1/dir', folder: %s/acme}\n", freePort(t), blocked) + card
	_, err := Start(parse(t, text), Options{})
	if err == nil || !strings.Contains(err.Error(), "acme.folder") {
		t.Errorf("%v, want one that names acme.folder", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(blocked), "acme")); err == nil {
		t.Error("something was made elsewhere")
	}
}
