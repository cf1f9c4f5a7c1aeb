package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"time"
)

// Issue signs a pump's certificate request. Of the request only the public key is used, and
// its signature is checked: who asks has the private key.
func (a *Authority) Issue(csr []byte, pump string, now time.Time, valid time.Duration) (*x509.Certificate, []byte, error) {
	block, _ := pem.Decode(csr)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, nil, ErrRequest
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || req.CheckSignature() != nil || !strong(req.PublicKey) {
		return nil, nil, ErrRequest
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: pump}, NotBefore: now.Add(-clockSlack), NotAfter: now.Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, req.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", pump, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate of %s: %w", pump, err)
	}
	return cert, encode(der), nil
}

func strong(key any) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= 256
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
	case ed25519.PublicKey:
		return true
	}
	return false
}

// Check tells whether a client's certificate is one of this authority's for a pump, and good
// now, and returns the pump's id. Whether it was taken back is not known here.
func (a *Authority) Check(c *x509.Certificate, now time.Time) (pump string, err error) {
	if err := c.CheckSignatureFrom(a.cert); err != nil {
		return "", ErrForeign
	}
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || c.IsCA || c.Subject.CommonName == "" {
		return "", ErrPurpose
	}
	switch {
	case now.After(c.NotAfter):
		return c.Subject.CommonName, ErrExpired
	case now.Before(c.NotBefore):
		return c.Subject.CommonName, ErrEarly
	}
	return c.Subject.CommonName, nil
}

// Server makes a certificate for the house itself, with a key of its own, and the
// authority's behind it.
func (a *Authority) Server(names []string, now time.Time) (*tls.Certificate, error) {
	return a.own(names, now, serverFor, x509.ExtKeyUsageServerAuth)
}

// Peer makes a certificate for what a house has with other houses: it is good for both
// sides of a connection, and for as long as the authority.
func (a *Authority) Peer(names []string, now time.Time) (*tls.Certificate, error) {
	return a.own(names, now, authorityFor, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

func (a *Authority) own(names []string, now time.Time, valid time.Duration, usage ...x509.ExtKeyUsage) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the house's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "pump-house"}, NotBefore: now.Add(-clockSlack), NotAfter: now.Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usage, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing the house's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the house's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}
