package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const target = "/streams/studio_push"

func request(method, uri string, authorization ...string) *http.Request {
	r := httptest.NewRequest(method, uri, nil)
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	return r
}

// clock is a time that stands until it is set on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func protected(allowBasic bool) (*Credentials, *clock) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	return NewCredentials("encoder", "open sesame", CredentialsOptions{AllowBasic: allowBasic, Now: c.now}), c
}

func answer(t *testing.T, c *Credentials, user, password string) string {
	t.Helper()
	a, err := Authorization(c.Challenge(), "POST", target, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNoCredentialsAsked(t *testing.T) {
	c := NewCredentials("", "", CredentialsOptions{})
	if c != nil || c.Check(request("POST", target)) != nil || c.Challenge() != nil {
		t.Error("something is asked where nothing is configured")
	}
}

func TestDigestRoundTrip(t *testing.T) {
	c, _ := protected(false)
	if err := c.Check(request("POST", target)); !errors.Is(err, ErrCredentialsMissing) {
		t.Errorf("without credentials: %v", err)
	}
	challenge := c.Challenge()
	if len(challenge) != 1 || !strings.HasPrefix(challenge[0], "Digest ") {
		t.Fatalf("challenge %q", challenge)
	}
	if err := c.Check(request("POST", target, answer(t, c, "encoder", "open sesame"))); err != nil {
		t.Errorf("right answer: %v", err)
	}
	for name, a := range map[string]string{
		"wrong password": answer(t, c, "encoder", "open"),
		"wrong user":     answer(t, c, "somebody", "open sesame"),
		"empty":          "Digest",
		"no response":    strings.ReplaceAll(answer(t, c, "encoder", "open sesame"), "response=", "x="),
		"other target":   strings.ReplaceAll(answer(t, c, "encoder", "open sesame"), target, "/streams/x_push"),
		"no count":       strings.ReplaceAll(answer(t, c, "encoder", "open sesame"), "nc=00000001", "nc=zz"),
		"algorithm":      strings.ReplaceAll(answer(t, c, "encoder", "open sesame"), "algorithm=MD5", "algorithm=SHA-256"),
		"qop":            strings.ReplaceAll(answer(t, c, "encoder", "open sesame"), "qop=auth", "qop=auth-int"),
		"basic":          "Basic ZW5jb2RlcjpvcGVuIHNlc2FtZQ==",
	} {
		want := ErrCredentialsBad
		if name == "basic" {
			want = ErrCredentialsMissing // not offered, so not looked at
		}
		if err := c.Check(request("POST", target, a)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	a := answer(t, c, "encoder", "open sesame")
	if err := c.Check(request("GET", target, a)); !errors.Is(err, ErrCredentialsBad) {
		t.Errorf("other method: %v", err)
	}
	if err := c.Check(request("POST", "/streams/other_push", a)); !errors.Is(err, ErrCredentialsBad) {
		t.Errorf("answer for another path: %v", err)
	}
	if err := c.Check(request("POST", target, "NTLM TlRMTVNTUAAB")); !errors.Is(err, ErrCredentialsMissing) {
		t.Errorf("NTLM: %v", err)
	}
}

func nonceOf(t *testing.T, c *Credentials) string {
	t.Helper()
	return parseChallenges(c.Challenge()[0])[0].get("nonce")
}

// windows answers as encoders do that know RFC 2069 only: no qop, no opaque.
func windows(user, password, method, uri, nonce string) string {
	response := digestAnswer(hashMD5, digestInput{user: user, realm: "stream-pump", password: password, method: method, uri: uri, nonce: nonce})
	return fmt.Sprintf(`Digest username="%s",realm="stream-pump",nonce="%s",uri="%s",response="%s"`, user, nonce, uri, response)
}

func TestDigestOfWindows(t *testing.T) {
	clock := &clock{at: time.Unix(1_700_000_000, 0)}
	c := NewCredentials(`STUDIO\encoder`, "p", CredentialsOptions{Now: clock.now})
	nonce := nonceOf(t, c)
	// Setup and Start are both POST to one address: the same answer comes twice.
	for range 2 {
		if err := c.Check(request("POST", target, windows(`STUDIO\encoder`, "p", "POST", target, nonce))); err != nil {
			t.Errorf("without qop and opaque, backslash not escaped: %v", err)
		}
	}
	absolute := "http://example.com" + target
	if err := c.Check(request("POST", target, windows(`STUDIO\encoder`, "p", "POST", absolute, nonceOf(t, c)))); err != nil {
		t.Errorf("absolute uri: %v", err)
	}
	if err := c.Check(request("POST", target+"?x=1", windows(`STUDIO\encoder`, "p", "POST", target, nonceOf(t, c)))); err != nil {
		t.Errorf("uri without the query: %v", err)
	}
	escaped := answer(t, c, `STUDIO\encoder`, "p")
	if err := c.Check(request("POST", target, escaped)); err != nil {
		t.Errorf("backslash escaped: %v", err)
	}
}

func TestDigestReplay(t *testing.T) {
	c, clock := protected(false)
	a := answer(t, c, "encoder", "open sesame")
	if err := c.Check(request("POST", target, a)); err != nil {
		t.Fatal(err)
	}
	err := c.Check(request("POST", target, a))
	if !errors.Is(err, ErrCredentialsStale) {
		t.Errorf("replay: %v", err)
	}
	if s := c.ChallengeFor(nil, err)[0]; !strings.Contains(s, "stale=true") {
		t.Errorf("challenge after a stale answer: %s", s)
	}
	nonce := nonceOf(t, c)
	for i := range maxUses + 1 {
		err := c.Check(request("POST", target, windows("encoder", "open sesame", "POST", target, nonce)))
		if want := i < maxUses; (err == nil) != want {
			t.Fatalf("use %d: %v", i, err)
		}
	}
	late := answer(t, c, "encoder", "open sesame")
	clock.at = clock.at.Add(2*time.Minute + time.Second)
	if err := c.Check(request("POST", target, late)); !errors.Is(err, ErrCredentialsStale) {
		t.Errorf("old nonce: %v", err)
	}
	clock.at = clock.at.Add(-time.Hour)
	if err := c.Check(request("POST", target, late)); !errors.Is(err, ErrCredentialsStale) {
		t.Errorf("nonce of the future: %v", err)
	}
}

func TestForeignNonce(t *testing.T) {
	ours, _ := protected(false)
	theirs, _ := protected(false)
	for name, nonce := range map[string]string{
		"another pump's": nonceOf(t, theirs), "made up": "AAAA", "long": strings.Repeat("A", 43), "empty": "",
	} {
		if err := ours.Check(request("POST", target, windows("encoder", "open sesame", "POST", target, nonce))); !errors.Is(err, ErrCredentialsStale) {
			t.Errorf("%s nonce: %v", name, err)
		}
		// Who does not know the password does not learn that the nonce was bad.
		if err := ours.Check(request("POST", target, windows("encoder", "guess", "POST", target, nonce))); !errors.Is(err, ErrCredentialsBad) {
			t.Errorf("%s nonce, wrong password: %v", name, err)
		}
	}
	if n := len(ours.nonces.used); n != 0 {
		t.Errorf("%d nonces remembered", n)
	}
}

func TestNoncesAreBounded(t *testing.T) {
	c, clock := protected(false)
	seen := map[string]bool{}
	for range maxUsed + 100 {
		nonce := nonceOf(t, c)
		if seen[nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[nonce] = true
		c.Check(request("POST", target, windows("encoder", "open sesame", "POST", target, nonce)))
	}
	if n := len(c.nonces.used); n > maxUsed {
		t.Errorf("%d nonces remembered", n)
	}
	clock.at = clock.at.Add(time.Hour)
	if err := c.Check(request("POST", target, windows("encoder", "open sesame", "POST", target, nonceOf(t, c)))); err != nil {
		t.Errorf("after the old ones expired: %v", err)
	}
}

func TestBasic(t *testing.T) {
	c, _ := protected(true)
	challenge := c.Challenge()
	if len(challenge) != 2 || challenge[1] != `Basic realm="stream-pump"` {
		t.Fatalf("challenge %q", challenge)
	}
	right, err := Authorization(challenge[1:], "POST", target, "encoder", "open sesame")
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]error{
		right: nil,
		strings.Replace(right, "Basic", "basic  ", 1): nil,
		"Basic ZW5jb2RlcjpvcGVu":                      ErrCredentialsBad,
		"Basic ZW5jb2Rlcg==":                          ErrCredentialsBad,
		"Basic !":                                     ErrCredentialsBad,
		"Basic":                                       ErrCredentialsBad,
		"Bearer " + right[len("Basic "):]:             ErrCredentialsMissing,
	} {
		if err := c.Check(request("POST", target, a)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", a, err, want)
		}
	}
	if err := c.Check(request("POST", target, "NTLM AAAA", right)); err != nil {
		t.Errorf("second line: %v", err)
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	c, _ := protected(true)
	for _, a := range []string{"Basic b3BlbiBzZXNhbWU=", `Digest username="open sesame"`} {
		if err := c.Check(request("POST", target, a)); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%v", err)
		}
	}
}
