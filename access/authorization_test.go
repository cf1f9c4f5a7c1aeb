package access

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// RFC 2617 3.5 and RFC 7616 3.9.1: the worked examples.
func TestDigestExamples(t *testing.T) {
	in := digestInput{
		user: "Mufasa", realm: "testrealm@host.com", password: "Circle Of Life", method: "GET", uri: "/dir/index.html",
		nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop: "auth", nc: "00000001", cnonce: "0a4f113b",
	}
	if got := digestAnswer(hashMD5, in); got != "6629fae49393a05397450978507c4ef1" {
		t.Errorf("MD5 of RFC 2617: %s", got)
	}
	in = digestInput{
		user: "Mufasa", realm: "http-auth@example.org", password: "Circle of Life", method: "GET", uri: "/dir/index.html",
		nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", qop: "auth", nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
	}
	if got := digestAnswer(hashMD5, in); got != "8ca523f5e9506fed4657c9700eebdbec" {
		t.Errorf("MD5 of RFC 7616: %s", got)
	}
	if got := digestAnswer(hashSHA256, in); got != "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" {
		t.Errorf("SHA-256 of RFC 7616: %s", got)
	}
}

func TestAuthorizationChoosesTheBest(t *testing.T) {
	const (
		basic  = `Basic realm="r"`
		md5    = `Digest realm="r", nonce="n"`
		sha256 = `Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth-int, auth", opaque="o"`
	)
	for _, c := range []struct {
		name       string
		challenges []string
		want       string // how the answer begins, or holds
		err        error
	}{
		{"basic", []string{basic}, "Basic dTpw", nil},
		{"digest before basic", []string{basic, md5}, "Digest ", nil},
		{"one line", []string{basic + ", " + md5}, "Digest ", nil},
		{"the stronger", []string{md5, sha256}, "algorithm=SHA-256", nil},
		{"opaque", []string{sha256}, `opaque="o"`, nil},
		{"unknown algorithm", []string{`Digest nonce="n", algorithm=SHA-512`, basic}, "Basic ", nil},
		{"auth-int alone", []string{`Digest nonce="n", qop="auth-int"`}, "", ErrNoScheme},
		{"without nonce", []string{`Digest realm="r"`}, "", ErrNoScheme},
		{"as Windows lists them", []string{"Negotiate", "NTLM", md5}, "Digest ", nil},
		{"none known", []string{"Negotiate", "NTLM"}, "", ErrNoScheme},
		{"none", nil, "", ErrNoScheme},
		{"session", []string{`Digest realm="r", nonce="n", algorithm=MD5-sess`}, "cnonce=", nil},
	} {
		got, err := Authorization(c.challenges, "GET", "/x", "u", "p")
		if !errors.Is(err, c.err) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestAuthorizationEscapes(t *testing.T) {
	got, err := Authorization([]string{`Digest realm="a \"b\" \\c", nonce="n"`}, "GET", "/x", `d\u"e`, "p")
	if err != nil {
		t.Fatal(err)
	}
	c := parseChallenges(got)[0]
	if c.get("realm") != `a "b" \c` || c.get("username") != `d\u"e` || c.get("uri") != "/x" {
		t.Errorf("%s", got)
	}
}

func TestParseChallenges(t *testing.T) {
	type list []challenge
	p := func(pairs ...string) map[string]param {
		m := map[string]param{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = param{value: pairs[i+1], raw: pairs[i+1]}
		}
		return m
	}
	for in, want := range map[string]list{
		"":                       nil,
		",, ,":                   nil,
		"Negotiate":              {{scheme: "negotiate", params: p()}},
		"NTLM TlRM==":            {{scheme: "ntlm", token68: "TlRM==", params: p()}},
		"Negotiate, NTLM":        {{scheme: "negotiate", params: p()}, {scheme: "ntlm", params: p()}},
		`Basic realm="a, b"`:     {{scheme: "basic", params: p("realm", "a, b")}},
		`Digest a=1,b = "2" ,c=`: {{scheme: "digest", params: p("a", "1", "b", "2", "c", "")}},
		`Digest A=1, a=2`:        {{scheme: "digest", params: p("a", "1")}},
		`Digest a="unclosed`:     {{scheme: "digest", params: p("a", "unclosed")}},
		`Digest realm="x", Basic realm="y"`: {
			{scheme: "digest", params: p("realm", "x")}, {scheme: "basic", params: p("realm", "y")}},
		"Basic abc, Digest n=1": {{scheme: "basic", token68: "abc", params: p()}, {scheme: "digest", params: p("n", "1")}},
	} {
		if got := list(parseChallenges(in)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", in, got, want)
		}
	}
	if parseChallenges("Basic "+strings.Repeat("a", maxHeader)) != nil {
		t.Error("a value beyond the bound is read")
	}
	many := parseChallenges("Digest " + strings.Repeat("a=1,", 10) + strings.Repeat("X y=1,", 500))
	if len(many) != maxSchemes {
		t.Errorf("%d schemes", len(many))
	}
	var b strings.Builder
	b.WriteString("Digest x=1")
	for i := range 100 {
		b.WriteString(", p" + strings.Repeat("a", i%60) + string(rune('a'+i/60)) + "=1")
	}
	if n := len(parseChallenges(b.String())[0].params); n != maxParams {
		t.Errorf("%d parameters", n)
	}
}
