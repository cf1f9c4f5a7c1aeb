package certificate

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math"
	"time"
)

// State is what one certificate is like.
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

// States returns what is in force, and Problem and Refused of the files with the first.
func (k *Keeper) States() []State {
	var list []State
	for _, leaf := range k.leaves() {
		list = append(list, Describe(leaf, k.now()))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(list) > 0 {
		list[0].Refused, list[0].Problem = k.refused.Load(), k.problem
	}
	return list
}

// Refused returns how often new files were refused.
func (k *Keeper) Refused() uint64 { return k.refused.Load() }

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
