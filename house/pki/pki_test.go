package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"testing"
	"time"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func request(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "somebody else"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func newKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func authority(t testing.TB) *Authority {
	t.Helper()
	a, err := New(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAPumpsCertificate(t *testing.T) {
	a := authority(t)
	cert, text, err := a.Issue(request(t, newKey(t, elliptic.P256())), "calgary", now, time.Hour)
	if err != nil || !bytes.HasPrefix(text, []byte("-----BEGIN CERTIFICATE")) {
		t.Fatal(err)
	}
	if pump, err := a.Check(cert, now); err != nil || pump != "calgary" {
		t.Errorf("%q, %v: the name in the request does not count", pump, err)
	}
	if len(Serial(cert)) != 32 {
		t.Error(Serial(cert))
	}
	if _, err := a.Check(cert, now.Add(61*time.Minute)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := a.Check(cert, now.Add(-time.Hour)); err != nil {
		t.Errorf("with a clock an hour off: %v", err)
	}
	if _, err := a.Check(cert, now.Add(-25*time.Hour)); !errors.Is(err, ErrEarly) {
		t.Errorf("before its time: %v", err)
	}
	if _, err := authority(t).Check(cert, now); !errors.Is(err, ErrForeign) {
		t.Errorf("another authority of the same name: %v", err)
	}
}

func TestTheHousesOwnCertificateIsNoPumps(t *testing.T) {
	a := authority(t)
	s, err := a.Server([]string{"house.example.org", "192.0.2.1", "::1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Check(s.Leaf, now); !errors.Is(err, ErrPurpose) {
		t.Errorf("%v", err)
	}
	if _, err := a.Check(a.Certificate(), now); !errors.Is(err, ErrPurpose) {
		t.Errorf("the authority's own: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, name := range []string{"house.example.org", "192.0.2.1", "::1"} {
		if _, err := s.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.org", CurrentTime: now}); err == nil {
		t.Error("it is good for a name that it does not have")
	}
}

func TestBadRequests(t *testing.T) {
	a := authority(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, newKey(t, elliptic.P256()))
	block, _ := pem.Decode(good)
	forged := bytes.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	for name, csr := range map[string][]byte{
		"nothing":         nil,
		"no PEM":          []byte("hello"),
		"a small RSA key": request(t, small),
		"a small curve":   request(t, newKey(t, elliptic.P224())),
		"a certificate":   a.PEM(),
		"a forged one":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: forged}),
		"one cut in half": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: block.Bytes[:50]}),
	} {
		if _, _, err := a.Issue(csr, "x", now, time.Hour); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAuthorityIsKept(t *testing.T) {
	a := authority(t)
	text, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := b.Issue(request(t, newKey(t, elliptic.P384())), "x", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Check(cert, now); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 10, 100, len(text) - 30} {
		if _, err := Unmarshal(text[:n]); err == nil {
			t.Errorf("cut at %d it is read", n)
		}
	}
}

func FuzzIssue(f *testing.F) {
	a := authority(f)
	f.Add(request(f, newKey(f, elliptic.P256())))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, csr []byte) {
		cert, _, err := a.Issue(csr, "x", now, time.Hour)
		if err == nil {
			if _, err := a.Check(cert, now); err != nil {
				t.Error(err)
			}
		}
	})
}
