package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func gate(t testing.TB, o GateOptions) (*Gate, *clock) {
	t.Helper()
	c := &clock{at: end.Add(-time.Hour)}
	o.Stream, o.Now = "studio", c.now
	g, err := NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g, c
}

// visit is somebody from 203.0.113.5 with a query.
func visit(query string, authorization ...string) Visitor {
	return Visitor{
		Request: request("POST", target, authorization...), Addr: netip.MustParseAddr("203.0.113.5"), Query: ReadQuery(query, IDKey),
	}
}

func (v Visitor) at(addr string) Visitor {
	v.Addr = netip.MustParseAddr(addr)
	return v
}

func enter(g *Gate, v Visitor) (Pass, *Denial) { return g.Enter(context.Background(), v) }

func networks(t testing.TB, list ...string) Networks {
	t.Helper()
	n, err := ParseNetworks(list...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// clientCertificate is what a TLS listener knows of a client: verified or not.
func clientCertificate(t testing.TB, verified bool) (*tls.ConnectionState, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, _ := url.Parse("spiffe://studio/encoder")
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Camera 1"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"camera.example"}, EmailAddresses: []string{"camera@example.org"}, URIs: []*url.URL{uri},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if verified {
		s.VerifiedChains = [][]*x509.Certificate{{cert}}
	}
	sum := sha256.Sum256(der)
	return s, hex.EncodeToString(sum[:])
}

func TestGate(t *testing.T) {
	users, err := NewUsers([]User{{Name: "jo", Password: "open sesame"}}, CredentialsOptions{AllowBasic: true})
	if err != nil {
		t.Fatal(err)
	}
	tokens := []Token{{Name: "obs", Token: "a token of some length"}}
	signed := sign(t, oldKey, Grant{Stream: "studio", Expires: end})
	expired := sign(t, oldKey, Grant{Stream: "studio", Expires: end.Add(-2 * time.Hour)})
	elsewhere := sign(t, oldKey, Grant{Stream: "studio", Expires: end, Network: netip.MustParsePrefix("192.0.2.7/32")})
	keys := keyring(t, oldKey)
	state, print := clientCertificate(t, true)
	unverified, _ := clientCertificate(t, false)
	by := func(v Visitor, s *tls.ConnectionState) Visitor {
		v.Request.TLS = s
		return v
	}
	for _, x := range []struct {
		name    string
		options GateOptions
		visitor Visitor
		want    string // way, name; or refusal, status
	}{
		{"nothing is set", GateOptions{}, visit(""), "network "},
		{"private: from outside", GateOptions{Private: true}, visit(""), "network 403"},
		{"private: loopback", GateOptions{Private: true}, visit("").at("127.0.0.1"), "network "},
		{"private: IPv6 loopback", GateOptions{Private: true}, visit("").at("::1"), "network "},
		{"private: 10/8", GateOptions{Private: true}, visit("").at("10.1.2.3"), "network "},
		{"private: in IPv6 form", GateOptions{Private: true}, visit("").at("::ffff:192.168.1.1"), "network "},
		{"private: unique local", GateOptions{Private: true}, visit("").at("fd00::1"), "network "},
		{"private: link-local", GateOptions{Private: true}, visit("").at("fe80::1%eth0"), "network "},
		{"private: shared by a provider", GateOptions{Private: true}, visit("").at("100.64.0.1"), "network 403"},
		{"private: no address", GateOptions{Private: true}, Visitor{Request: request("POST", target)}, "network 403"},
		{"private does not count with allow", GateOptions{Private: true, Networks: Rules{Allow: networks(t, "203.0.113.0/24")}}, visit(""), "network "},
		{"private does not count with users", GateOptions{Private: true, Credentials: users}, visit("", basic("jo", "open sesame")), "password jo"},
		{"private addresses need credentials too", GateOptions{Private: true, Credentials: users}, visit("").at("10.1.2.3"), "credentials 401"},

		{"allowed", GateOptions{Networks: Rules{Allow: networks(t, "203.0.113.5")}}, visit(""), "network "},
		{"not allowed", GateOptions{Networks: Rules{Allow: networks(t, "192.0.2.0/24")}}, visit(""), "network 403"},
		{"denied", GateOptions{Networks: Rules{Deny: networks(t, "203.0.113.0/24")}}, visit(""), "network 403"},
		{"credentials do not help who is denied", GateOptions{Networks: Rules{Deny: networks(t, "203.0.113.0/24")}, Credentials: users}, visit("", basic("jo", "open sesame")), "network 403"},
		{"an allowed network is not enough with users", GateOptions{Networks: Rules{Allow: networks(t, "203.0.113.5")}, Credentials: users}, visit(""), "credentials 401"},

		{"password", GateOptions{Credentials: users}, visit("", basic("jo", "open sesame")), "password jo"},
		{"wrong password", GateOptions{Credentials: users}, visit("", basic("jo", "open")), "credentials 401"},
		{"no password", GateOptions{Credentials: users}, visit(""), "credentials 401"},

		{"token", GateOptions{Tokens: tokens}, visit("token=a+token+of+some+length"), "token obs"},
		{"wrong token", GateOptions{Tokens: tokens}, visit("token=a+token+of+some+lengtH"), "token 403"},
		{"no token", GateOptions{Tokens: tokens}, visit(""), "credentials 403"},
		{"token or password: token", GateOptions{Tokens: tokens, Credentials: users}, visit("token=a+token+of+some+length"), "token obs"},
		{"token or password: password", GateOptions{Tokens: tokens, Credentials: users}, visit("", basic("jo", "open sesame")), "password jo"},
		{"token or password: neither", GateOptions{Tokens: tokens, Credentials: users}, visit(""), "credentials 401"},

		{"signature", GateOptions{Keys: keys}, visit(signed), "signature old"},
		{"wrong signature", GateOptions{Keys: keys}, visit(signed[:len(signed)-1] + "x"), "signature 403"},
		{"expired", GateOptions{Keys: keys}, visit(expired), "expired 403"},
		{"elsewhere", GateOptions{Keys: keys}, visit(elsewhere), "elsewhere 403"},
		{"not signed", GateOptions{Keys: keys}, visit(""), "credentials 403"},
		{"signature or password: password", GateOptions{Keys: keys, Credentials: users}, visit("", basic("jo", "open sesame")), "password jo"},

		{"certificate by common name", GateOptions{Certificates: []string{"camera 1"}}, by(visit(""), state), "certificate Camera 1"},
		{"certificate by DNS name", GateOptions{Certificates: []string{"other", "Camera.Example"}}, by(visit(""), state), "certificate Camera 1"},
		{"certificate by mail address", GateOptions{Certificates: []string{"camera@example.org"}}, by(visit(""), state), "certificate Camera 1"},
		{"certificate by URI", GateOptions{Certificates: []string{"spiffe://studio/encoder"}}, by(visit(""), state), "certificate Camera 1"},
		{"certificate by fingerprint", GateOptions{Certificates: []string{"SHA256:" + strings.ToUpper(print)}}, by(visit(""), state), "certificate Camera 1"},
		{"any certificate", GateOptions{Certificates: []string{AnyCertificate}}, by(visit(""), state), "certificate Camera 1"},
		{"another certificate", GateOptions{Certificates: []string{"camera 2"}}, by(visit(""), state), "credentials 403"},
		{"unverified certificate", GateOptions{Certificates: []string{AnyCertificate}}, by(visit(""), unverified), "credentials 403"},
		{"TLS without certificate", GateOptions{Certificates: []string{AnyCertificate}}, by(visit(""), &tls.ConnectionState{}), "credentials 403"},
		{"no TLS", GateOptions{Certificates: []string{AnyCertificate}}, visit(""), "credentials 403"},
		{"certificate or password: password", GateOptions{Certificates: []string{"x"}, Credentials: users}, by(visit("", basic("jo", "open sesame")), state), "password jo"},
	} {
		g, _ := gate(t, x.options)
		pass, denial := enter(g, x.visitor)
		got := pass.By + " " + pass.Name
		if denial != nil {
			got = fmt.Sprint(denial.Reason, " ", denial.Status())
			if (pass != Pass{}) {
				t.Errorf("%s: refused with %+v", x.name, pass)
			}
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s (%v)", x.name, got, x.want, denial)
		}
	}
	if pass, denial := enter(nil, visit("")); denial != nil || pass.By != ByNetwork {
		t.Errorf("no gate: %+v, %v", pass, denial)
	}
}

func TestSignedAddressTellsItsEnd(t *testing.T) {
	g, clock := gate(t, GateOptions{Keys: keyring(t, oldKey)})
	v := visit(sign(t, oldKey, Grant{Stream: "studio", Expires: end, ID: "alice"}))
	pass, denial := enter(g, v)
	if denial != nil || !pass.Expires.Equal(end) || pass.User() != "" {
		t.Errorf("%+v, %v", pass, denial)
	}
	clock.at = end
	if _, denial := enter(g, v); denial == nil || denial.Reason != RefusedExpired {
		t.Errorf("at the end: %v", denial)
	}
}

// Guessing passwords, tokens and signatures is slowed down by address, each apart; and
// who has to wait is told so whatever he brings.
func TestGateSlowsGuessersDown(t *testing.T) {
	users, err := NewUsers([]User{{Name: "jo", Password: "open sesame"}}, CredentialsOptions{AllowBasic: true})
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, oldKey, Grant{Stream: "studio", Expires: end})
	right := map[string]Visitor{
		"passwords":  visit("", basic("jo", "open sesame")),
		"tokens":     visit("token=a+token+of+some+length"),
		"signatures": visit(good),
	}
	wrong := map[string]Visitor{
		"passwords":  visit("", basic("jo", "sesame")),
		"tokens":     visit("token=x"),
		"signatures": visit(good + "0"),
	}
	for kind := range wrong {
		g, clock := gate(t, GateOptions{Credentials: users, Tokens: []Token{{Name: "obs", Token: "a token of some length"}}, Keys: keyring(t, oldKey)})
		for i := range 4 {
			if _, d := enter(g, wrong[kind]); d == nil || d.Reason == RefusedGuessing {
				t.Fatalf("%s: attempt %d: %v", kind, i, d)
			}
		}
		for _, v := range []Visitor{wrong[kind], right[kind]} {
			_, d := enter(g, v)
			if d == nil || d.Reason != RefusedGuessing || d.Status() != http.StatusTooManyRequests || d.Wait != 500*time.Millisecond {
				t.Errorf("%s: %v", kind, d)
			}
		}
		if _, d := enter(g, right[kind].at("203.0.113.6")); d != nil {
			t.Errorf("%s: a neighbour: %v", kind, d)
		}
		for other := range right {
			if other == kind {
				continue
			}
			if _, d := enter(g, right[other]); d != nil {
				t.Errorf("who guessed %s has to wait with %s: %v", kind, other, d)
			}
		}
		clock.at = clock.at.Add(time.Second)
		if _, d := enter(g, right[kind]); d != nil {
			t.Errorf("%s: after the wait: %v", kind, d)
		}
	}
}

// Asking without credentials, a stale answer and a full house are no attempts.
func TestGateDoesNotCountWhatIsNoGuess(t *testing.T) {
	c := &clock{at: end.Add(-time.Hour)}
	hasher := NewHasher(HasherOptions{Concurrent: 1, Waiting: 1, Patience: time.Nanosecond})
	users, err := NewUsers([]User{{Name: "jo", Password: "open sesame"}, {Name: "bcrypt", PasswordHash: cheapBcrypt}},
		CredentialsOptions{AllowBasic: true, Now: c.now, Hasher: hasher})
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGate(GateOptions{Stream: "studio", Credentials: users, Keys: keyring(t, oldKey), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	stale := answer(t, users, "jo", "open sesame")
	c.at = c.at.Add(3 * time.Minute)
	hasher.slots <- struct{}{}
	expired := visit(sign(t, oldKey, Grant{Stream: "studio", Expires: c.at.Add(-time.Minute)}))
	for range 10 {
		for want, v := range map[Refusal]Visitor{
			RefusedCredentials: visit(""),
			RefusedBusy:        visit("", basic("bcrypt", "guess")),
			RefusedExpired:     expired,
		} {
			if _, d := enter(g, v); d == nil || d.Reason != want {
				t.Fatalf("%v, want %s", d, want)
			}
		}
		if _, d := enter(g, visit("", stale)); d == nil || !errors.Is(d, ErrCredentialsStale) || !strings.Contains(d.Challenges[0], "stale=true") {
			t.Fatalf("%v", d)
		}
	}
}

func TestGateSaysWhatIsWanted(t *testing.T) {
	users, err := NewUsers([]User{{Name: "bcrypt", PasswordHash: cheapBcrypt}}, CredentialsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]GateOptions{
		"set publish.users":  {Private: true, Hint: "set publish.users"},
		"a token is wanted":  {Tokens: []Token{{Name: "a", Token: "a token of some length"}}},
		"client certificate": {Certificates: []string{"x"}},
		"not signed":         {Keys: keyring(t, oldKey)},
		"over TLS only":      {Credentials: users},
	} {
		g, _ := gate(t, o)
		if _, d := enter(g, visit("")); d == nil || !strings.Contains(d.Error(), want) {
			t.Errorf("%v, want %q", d, want)
		}
	}
}

func TestGateRefusesToBeMade(t *testing.T) {
	for name, o := range map[string]GateOptions{
		"a short token":     {Tokens: []Token{{Name: "a", Token: "secret"}}},
		"a nameless token":  {Tokens: []Token{{Token: "secret secret secret"}}},
		"a token twice":     {Tokens: []Token{{Name: "a", Token: "secret secret secret"}, {Name: "b", Token: "secret secret secret"}}},
		"a torn print":      {Certificates: []string{"sha256:00ff"}},
		"an empty name":     {Certificates: []string{" "}},
		"a print of no hex": {Certificates: []string{"sha256:" + strings.Repeat("x", 64)}},
	} {
		if g, err := NewGate(o); err == nil || g != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadQuery(t *testing.T) {
	for raw, want := range map[string]Query{
		"":                                  {},
		"id=a&token=b":                      {ID: "a", Token: "b"},
		"id=first&id=second":                {ID: "first"},
		"id=a%20b+c&expires=1&ip=%3A%3A1":   {ID: "a b c", Expires: "1", Network: "::1"},
		"MSWMExt=.asf&sig=00":               {Signature: "00"},
		"id=%zz&token=b":                    {Token: "b"},
		"id=a;token=b&sig=c":                {Signature: "c"},
		"&&&=&id&MSWMExt=.asf&viewer=other": {},
	} {
		if got := ReadQuery(raw, IDKey); got != want {
			t.Errorf("%q: %+v, want %+v", raw, got, want)
		}
	}
	if got := ReadQuery("id=a&viewer=b", "viewer"); got.ID != "b" {
		t.Errorf("%+v", got)
	}
}

func TestCheckID(t *testing.T) {
	for id, ok := range map[string]bool{
		"": true, "alice": true, "Zoë & <co> \"x\"": true, strings.Repeat("a", 128): true,
		strings.Repeat("a", 129): false, "a\nb": false, "a\x00": false, "\x1b[31m": false, "\xff": false, "\u202eevil": false, "a\u2028b": false,
	} {
		if err := CheckID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}
