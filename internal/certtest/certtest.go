package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Authority issues certificates.
type Authority struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Spec says what a certificate is like. The zero value is for 127.0.0.1, ::1 and
// localhost, good from an hour ago until in 90 days, for servers and clients.
type Spec struct {
	Name      string // common name; default "test"
	Hosts     []string
	NotBefore time.Time
	NotAfter  time.Time
}

// T is a *testing.T, or what a benchmark that is a program has in its place.
type T interface {
	Helper()
	Fatal(args ...any)
}

var serial atomic.Int64

// NewAuthority makes an authority.
func NewAuthority(t T, name string) *Authority {
	t.Helper()
	key := newKey(t)
	template := template(Spec{Name: name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	return &Authority{Cert: sign(t, template, template, &key.PublicKey, key), key: key}
}

// Issue makes a certificate.
func (a *Authority) Issue(t T, s Spec) tls.Certificate {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, template(s), a.Cert, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.Cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// Pool holds the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.Cert.Raw) }

// PEM returns a certificate with its chain, and its key.
func PEM(t T, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	for _, der := range c.Certificate {
		cert = append(cert, encode("CERTIFICATE", der)...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return cert, encode("PRIVATE KEY", der)
}

// Write puts a certificate and its key into files of a folder, my.cert and my.key. They
// take the places of files that are there, as programs that renew certificates do it.
func Write(t T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	certPEM, keyPEM := PEM(t, c)
	return WriteFile(t, dir, "my.cert", certPEM), WriteFile(t, dir, "my.key", keyPEM)
}

// WriteFile puts a file into its place at once.
func WriteFile(t T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(s Spec) *x509.Certificate {
	if s.Name == "" {
		s.Name = "test"
	}
	if s.Hosts == nil {
		s.Hosts = []string{"127.0.0.1", "::1", "localhost"}
	}
	if s.NotBefore.IsZero() {
		s.NotBefore = time.Now().Add(-time.Hour)
	}
	if s.NotAfter.IsZero() {
		s.NotAfter = time.Now().Add(90 * 24 * time.Hour)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: s.Name},
		NotBefore: s.NotBefore, NotAfter: s.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range s.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return c
}

func sign(t T, c, by *x509.Certificate, key *ecdsa.PublicKey, with *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, key, with)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
