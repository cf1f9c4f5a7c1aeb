package access

import (
	"strings"
	"testing"
)

// Whatever an Authorization or WWW-Authenticate value holds, reading it ends, stays
// within its bounds, lets nobody in, and what is answered to it is one clean line.
func FuzzDigest(f *testing.F) {
	for _, s := range []string{
		"Basic ZW5jb2RlcjpvcGVuIHNlc2FtZQ==",
		`Digest username="encoder", realm="stream-pump", nonce="AAAA", uri="/streams/studio_push", response="0", qop=auth, nc=00000001, cnonce="x", opaque="o"`,
		`Digest realm="a \"b\"", nonce="n\\", algorithm=MD5-sess, qop="auth,auth-int", Basic realm="x"`,
		"Negotiate, NTLM TlRMTVNTUAAB",
		`Digest username="STUDIO\encoder",response=`,
	} {
		f.Add(s)
	}
	c := NewCredentials("encoder", "open sesame", CredentialsOptions{})
	f.Fuzz(func(t *testing.T, s string) {
		list := parseChallenges(s)
		if len(list) > maxSchemes {
			t.Fatalf("%d schemes", len(list))
		}
		for _, x := range list {
			if x.scheme == "" || len(x.params) > maxParams {
				t.Fatalf("%+v", x)
			}
		}
		if c.Check(request("POST", target, s)) == nil {
			t.Fatalf("let in by %q", s)
		}
		a, err := Authorization([]string{s}, "GET", "/x", "u", "p")
		if err == nil && strings.ContainsAny(a, "\r\n") && !strings.ContainsAny(s, "\r\n") {
			t.Fatalf("answer %q", a)
		}
	})
}
