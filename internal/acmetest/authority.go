package acmetest

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// variable tells the test's own program that it is to be the authority.
const variable = "STREAM_PUMP_TEST_AUTHORITY"

// Authority is a running authority.
type Authority struct {
	Directory string         // its address
	CA        string         // file of the authority of its own certificate
	Roots     *x509.CertPool // of the certificates that it issues
	process   *os.Process
	own       *certtest.Authority
}

// Stop ends the authority before the test does.
func (a *Authority) Stop() { _ = a.process.Kill() }

// order is what the child is told, in its environment.
type order struct {
	Cert, Key         string
	HTTPPort, TLSPort int           // where it looks whether a name is ours
	Validity          time.Duration // of what it issues
}

// answer is what the child says once it serves, in one line.
type answer struct {
	Directory string
	Root      []byte // DER
}

// Start runs an authority until the test ends. It proves names at the two ports of loopback,
// where the rest of the world would use 80 and 443; what it issues is good for so long. The
// test's TestMain has to call [Serve] before anything else.
func Start(t testing.TB, httpPort, tlsPort int, validity time.Duration) *Authority {
	t.Helper()
	dir := t.TempDir()
	own := certtest.NewAuthority(t, "the authority's web server")
	cert, key := certtest.Write(t, dir, own.Issue(t, certtest.Spec{}))
	text, err := json.Marshal(order{cert, key, httpPort, tlsPort, validity})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+string(text), "PEBBLE_VA_NOSLEEP=1")
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder // read once the child has ended
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the authority said:\n%s", log.String())
		}
	})
	line, err := bufio.NewReader(said).ReadBytes('\n')
	var a answer
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		t.Fatalf("the authority does not serve: %v", err)
	}
	root, err := x509.ParseCertificate(a.Root)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return &Authority{Directory: a.Directory, CA: certtest.WriteFile(t, dir, "ca.pem", own.PEM()), Roots: roots, process: cmd.Process, own: own}
}
