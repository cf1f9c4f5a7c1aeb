package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// maxFile is how much of a PEM file is read, in bytes: a chain is a few KiB.
const maxFile = 1 << 20

// Files name what a [Keeper] reads. Key and Cert are required, unless it has an [Issuer].
type Files struct {
	Key      string // private key, PEM
	Cert     string // certificate with its chain, PEM
	ClientCA string // authorities of clients' certificates, PEM; "" asks for none
	Required bool   // a client must show a certificate; without it, it may
}

// material is what was read, ready for use and never changed.
type material struct {
	leaf   *x509.Certificate // nil where an issuer has them
	config *tls.Config
	sum    [sha256.Size]byte // of the bytes it was made of
	files  Files
}

// read makes TLS settings of files. It says nothing about the time: see valid. An issuer
// takes the place of key and certificate.
func read(f Files, issuer Issuer) (*material, error) {
	m := &material{files: f, config: &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		DynamicRecordSizingDisabled: true, // small records at first gain a browser some ms, and cost here for minutes
	}}
	var text [3][]byte
	h := sha256.New()
	for i, at := range []struct{ key, name string }{{"ssl_cert", f.Cert}, {"ssl_key", f.Key}, {"ssl_client_ca", f.ClientCA}} {
		if at.name == "" && (i == 2 || issuer != nil) {
			continue
		}
		b, err := readFile(at.name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", at.key, err)
		}
		text[i] = b
		fmt.Fprintf(h, "%d %d ", i, len(b))
		h.Write(b)
	}
	if issuer != nil {
		m.config.GetCertificate = issuer.GetCertificate
	} else {
		cert, err := tls.X509KeyPair(text[0], text[1])
		if err != nil {
			return nil, fmt.Errorf("ssl_cert %s with ssl_key %s: %w", f.Cert, f.Key, err)
		}
		m.leaf, m.config.Certificates = cert.Leaf, []tls.Certificate{cert}
	}
	if err := m.askClients(f, text[2]); err != nil {
		return nil, err
	}
	h.Sum(m.sum[:0])
	return m, nil
}

// readFile reads a file that is to be small.
func readFile(name string) ([]byte, error) {
	b, err := disk.Read(name, maxFile)
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes, which is no PEM file", name, maxFile)
	}
	return b, nil
}

// askClients makes the server ask for certificates of these authorities.
func (m *material) askClients(f Files, text []byte) error {
	if f.ClientCA == "" {
		return nil
	}
	pool, err := authorities(text)
	if err != nil {
		return fmt.Errorf("ssl_client_ca %s: %w", f.ClientCA, err)
	}
	m.config.ClientCAs = pool
	m.config.ClientAuth = tls.VerifyClientCertIfGiven
	if f.Required {
		m.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return nil
}

// Authorities reads a PEM file of authorities.
func Authorities(name string) (*x509.CertPool, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	pool, err := authorities(text)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return pool, nil
}

// authorities parses certificates, all of them: one that is skipped in silence would shut
// people out.
func authorities(text []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %q (only certificates belong there)", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 || n != bytes.Count(text, []byte("-----BEGIN")) { // Decode passes over what is broken
		return nil, errors.New("holds no certificate in PEM form, or a broken one")
	}
	return pool, nil
}

// same tells whether both show the same certificate.
func (m *material) same(o *material) bool {
	return m.leaf == nil && o.leaf == nil || m.leaf != nil && o.leaf != nil && m.leaf.Equal(o.leaf)
}

// valid tells what is wrong with the certificate's time.
func (m *material) valid(now time.Time) error {
	switch {
	case m.leaf == nil:
	case now.After(m.leaf.NotAfter):
		return fmt.Errorf("the certificate %s expired on %s", m.files.Cert, m.leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(m.leaf.NotBefore):
		return fmt.Errorf("the certificate %s is not valid before %s (is the clock right?)", m.files.Cert, m.leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
