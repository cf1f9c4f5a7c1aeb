package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/porttest"
)

// Authorities come to ports 80 and 443, which only root may bind. A pump that root started has them, and as an ordinary
// user it still answers there whatever it is asked, by either challenge.
func TestChallengesAtRootsPorts(t *testing.T) {
	want := needUser(t)
	t.Parallel()
	binary, err := buildRelease()
	if err != nil {
		t.Fatal(err)
	}
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			pump := &PumpProc{Port: porttest.Roots(t), AdminPort: freePort(t), stopped: true}
			secure, dir := porttest.Roots(t), publicDir(t)
			if err := os.Chown(dir, want.uid, want.gid); err != nil {
				t.Fatal(err)
			}
			authority := acmetest.Start(t, pump.Port, secure, 90*24*time.Hour)
			ca, err := os.ReadFile(authority.CA)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			pump.Config = filepath.Join(dir, "pump.yml")
			pump.Rewrite(t, fmt.Sprintf("run_as: {user: %s, groups: [%s]}\nssl: true\nssl_port: %d\n", testUser, testGroup, secure)+
				fmt.Sprintf("acme: {domains: [pump.test], directory: %q, ca: ca.pem, challenges: [%s]}\n", authority.Directory, challenge)+
				"streams: [{type: test_card, path: card}]")
			pump.launch(t, binary)
			var shown *x509.Certificate
			eventually(t, 2*time.Minute, "there is a certificate", func() bool {
				c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(secure)), &tls.Config{ServerName: "pump.test", RootCAs: authority.Roots})
				if err != nil {
					return false
				}
				defer func() { _ = c.Close() }()
				shown = c.ConnectionState().PeerCertificates[0]
				return true
			})
			if err := shown.VerifyHostname("pump.test"); err != nil {
				t.Error(err)
			}
			checkDropped(t, pump.proc.cmd.Process.Pid, want)
			if st, err := os.Stat(filepath.Join(dir, "acme")); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("the folder: %v, %v", st, err)
			}
		})
	}
}
