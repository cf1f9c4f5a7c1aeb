package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// AnyCertificate stands for every certificate that was verified.
const AnyCertificate = "*"

const printPrefix = "sha256:"

// certificates are the client certificates that are let in.
type certificates struct {
	any    bool
	names  map[string]bool // lower case
	prints [][sha256.Size]byte
}

// CheckCertificate returns what is wrong with an entry of [GateOptions.Certificates].
func CheckCertificate(entry string) error {
	_, err := newCertificates([]string{entry})
	return err
}

func newCertificates(list []string) (*certificates, error) {
	if len(list) == 0 {
		return nil, nil
	}
	c := &certificates{names: map[string]bool{}}
	for _, s := range list {
		if s == AnyCertificate {
			c.any = true
			continue
		}
		if len(s) >= len(printPrefix) && strings.EqualFold(s[:len(printPrefix)], printPrefix) {
			b, err := hex.DecodeString(strings.ReplaceAll(s[len(printPrefix):], ":", ""))
			if err != nil || len(b) != sha256.Size {
				return nil, fmt.Errorf("%q is no fingerprint: want sha256: and 64 hex digits", s)
			}
			c.prints = append(c.prints, [sha256.Size]byte(b))
			continue
		}
		if strings.TrimSpace(s) == "" {
			return nil, fmt.Errorf("%q names no certificate", s)
		}
		c.names[strings.ToLower(s)] = true
	}
	return c, nil
}

// allows returns the name of the peer's certificate if it was verified and is one of
// those let in: by its common name, one of its other names, or its fingerprint.
func (c *certificates) allows(state *tls.ConnectionState) (name string, ok bool) {
	if c == nil || state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return "", false
	}
	cert := state.VerifiedChains[0][0]
	names := namesOf(cert)
	ok = c.any
	for _, n := range names {
		ok = ok || c.names[strings.ToLower(n)]
	}
	sum := sha256.Sum256(cert.Raw)
	for _, p := range c.prints {
		ok = ok || subtle.ConstantTimeCompare(p[:], sum[:]) == 1
	}
	if !ok {
		return "", false
	}
	if len(names) > 0 {
		return names[0], true
	}
	return printPrefix + hex.EncodeToString(sum[:8]) + "…", true
}

// namesOf returns the names of a certificate, its common name first.
func namesOf(cert *x509.Certificate) []string {
	var names []string
	if cert.Subject.CommonName != "" {
		names = append(names, cert.Subject.CommonName)
	}
	names = append(append(names, cert.DNSNames...), cert.EmailAddresses...)
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	return names
}
