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
	InForce   bool     // false: not issued yet, and there is nothing below but Problem
	Issuer    string
	Serial    string // hexadecimal
	SHA256    string // of the whole certificate, hexadecimal
	NotBefore time.Time
	NotAfter  time.Time
	DaysLeft  float64 // below 0: expired
	Problem   string  // why a newer one is not in force, "" for nothing
	Refused   uint64  // times a new one was refused, or could not be got
}

// States returns the certificates in force, and those that an authority is to issue.
func (k *Keeper) States() []State {
	if k.issuer != nil {
		return k.awaited()
	}
	s := Describe(k.inForce.Load().leaf, k.now())
	k.mu.Lock()
	defer k.mu.Unlock()
	s.Refused, s.Problem = k.refused.Load(), k.problem
	return []State{s}
}

// awaited is States of an issuer; what is wrong with the files of settings goes to the first.
func (k *Keeper) awaited() []State {
	var list []State
	for _, one := range k.issuer.Issued() {
		s := State{Names: []string{one.Name}}
		if one.Leaf != nil {
			s = Describe(one.Leaf, k.now())
		}
		s.Problem = one.Problem
		list = append(list, s)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(list) > 0 {
		list[0].Refused = k.Refused()
		if list[0].Problem == "" {
			list[0].Problem = k.problem
		}
	}
	return list
}

// Refused returns how often new files were refused, and how often an issuer has failed.
func (k *Keeper) Refused() uint64 {
	n := k.refused.Load()
	if k.issuer != nil {
		n += k.issuer.Failures()
	}
	return n
}

// Describe tells what a certificate is like at a time.
func Describe(c *x509.Certificate, now time.Time) State {
	return State{
		Names: names(c), InForce: true, Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), SHA256: fingerprint(c),
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
