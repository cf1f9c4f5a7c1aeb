package certificate

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math"
	"time"
)

// State is what a certificate is like.
type State struct {
	Names     []string // host names and addresses it is for
	Issuer    string
	Serial    string // hexadecimal
	SHA256    string // of the whole certificate, hexadecimal
	NotBefore time.Time
	NotAfter  time.Time
	DaysLeft  float64 // below 0: expired
	Problem   string  // why a newer one is not in force, "" for nothing
	Refused   uint64  // times a new one was refused
}

// State returns what is in force.
func (k *Keeper) State() State {
	s := Describe(k.inForce.Load().leaf, k.now())
	s.Refused = k.refused.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	s.Problem = k.problem
	return s
}

// Describe tells what a certificate is like at a time.
func Describe(c *x509.Certificate, now time.Time) State {
	return State{
		Names: names(c), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), SHA256: fingerprint(c),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, DaysLeft: days(c.NotAfter.Sub(now)),
	}
}

// names are what a certificate is for; its subject, when it names no host.
func names(c *x509.Certificate) []string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		list = append(list, c.Subject.String())
	}
	return list
}

// days rounds to hundredths: about a quarter of an hour.
func days(d time.Duration) float64 { return math.Round(d.Hours()/24*100) / 100 }

func hexOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
