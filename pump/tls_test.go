package pump

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for loopback and returns its serial number.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "pump"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"my.cert": {Type: "CERTIFICATE", Bytes: cert}, "my.key": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func dialTLS(t *testing.T, w *world) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", w.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A viewer behind TLS plays; a reload brings a new certificate and does not disturb it.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	text := fmt.Sprintf("ssl: true\nssl_key: %s\nssl_cert: %s\n", filepath.Join(dir, "my.key"), filepath.Join(dir, "my.cert")) + fmt.Sprintf("ssl_port: %d\n", freePort(t)) + card
	w := newWorld(t, text)
	w.awaitLive("card")
	v := playOn(t, dialTLS(t, w), "card", "NSPlayer/9.0")
	v.packets(1)
	if p := w.server.Viewers(t.Context()); len(p) != 1 || !p[0].TLS {
		t.Errorf("viewers: %+v", p)
	}
	writeCertificate(t, dir, 2)
	w.reload(text)
	if n := dialTLS(t, w).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); n != 2 {
		t.Errorf("certificate %d after the reload, want 2", n)
	}
	v.packets(20)

	if err := os.WriteFile(filepath.Join(dir, "my.cert"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := w.ask("POST", "/api/v1/reload"); a.status != 422 || !strings.Contains(string(a.body), "ssl_cert") {
		t.Errorf("a broken certificate: %d %s", a.status, a.body)
	}
	v.packets(5)
	w.Drain()
	go w.Stop(t.Context())
	v.end()
}

func TestBrokenCertificate(t *testing.T) {
	_, err := Start(parse(t, "listen: ['127.0.0.1:0']\nadmin: {listen: 'off'}\nssl: true\nssl_key: nix.key\nssl_cert: nix.cert\nstreams: []\n"), Options{})
	if err == nil || !strings.Contains(err.Error(), "ssl_cert") {
		t.Errorf("%v, want one that names ssl_cert", err)
	}
}

// freePort is a port that nobody has now.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}
