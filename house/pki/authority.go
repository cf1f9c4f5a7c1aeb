package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Times. A certificate is good from a day before it was made: clocks differ.
const (
	authorityFor = 20 * 365 * 24 * time.Hour
	serverFor    = 90 * 24 * time.Hour
	clockSlack   = 24 * time.Hour
)

// What is wrong with a request or a certificate.
var (
	ErrRequest = errors.New("not a certificate request (PKCS #10, PEM) with an ECDSA, Ed25519 or RSA key of at least 2048 bits")
	ErrForeign = errors.New("the certificate is not of this house's authority")
	ErrExpired = errors.New("the certificate has ended")
	ErrEarly   = errors.New("the certificate is not good yet: a clock is wrong")
	ErrPurpose = errors.New("the certificate is not a pump's")
)

// Authority signs certificates. It is immutable and may be used from any goroutine.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // of the certificate
}

// New makes an authority.
func New(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Pump House authority"},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(authorityFor),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the authority's certificate: %w", err)
	}
	return made(der, key)
}

func made(der []byte, key crypto.Signer) (*Authority, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	return &Authority{cert: cert, key: key, pem: encode(der)}, nil
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Marshal returns key and certificate in PEM form, for [Unmarshal]. It is a secret.
func (a *Authority) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("writing the authority's key: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), a.pem...), nil
}

// Unmarshal reads what [Authority.Marshal] wrote.
func Unmarshal(text []byte) (*Authority, error) {
	keyBlock, rest := pem.Decode(text)
	certBlock, _ := pem.Decode(rest)
	if keyBlock == nil || certBlock == nil {
		return nil, errors.New("reading the authority: key and certificate in PEM form are wanted")
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("reading the authority's key: it cannot sign")
	}
	return made(certBlock.Bytes, signer)
}

// Certificate returns the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PEM returns the authority's own certificate in PEM form.
func (a *Authority) PEM() []byte { return a.pem }

// serial is a random number of 127 bits.
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	b[15] |= 1 // never 0
	return new(big.Int).SetBytes(b)
}

// Serial returns how a certificate's number is written.
func Serial(c *x509.Certificate) string { return fmt.Sprintf("%032x", c.SerialNumber) }
