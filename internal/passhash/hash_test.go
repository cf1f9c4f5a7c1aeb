package passhash

import (
	"errors"
	"strings"
	"testing"
)

// Made with htpasswd -nbB -C 4, and with the argon2 program: argon2 -id -t 2 -k 64 -p 1.
const (
	ofBcrypt = "$2y$04$abcdefghijklmnopqrstuu5Lf4pVoyDf3bI6mDsAKQgqMP0v6IYjm"
	salt     = "c29tZXNhbHQ"
	sum      = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
)

func argon(params string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + sum }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"bcrypt 2a", "$2a$" + ofBcrypt[4:], nil},
		{"bcrypt 2b", "$2b$" + ofBcrypt[4:], nil},
		{"bcrypt 2y", ofBcrypt, nil},
		{"bcrypt at the bound", "$2b$14$" + ofBcrypt[7:], nil},
		{"bcrypt beyond it", "$2b$15$" + ofBcrypt[7:], ErrCostly},
		{"bcrypt of a week", "$2b$31$" + ofBcrypt[7:], ErrCostly},
		{"bcrypt too cheap", "$2b$03$" + ofBcrypt[7:], ErrForm},
		{"bcrypt cut short", ofBcrypt[:59], ErrForm},
		{"bcrypt with a tail", ofBcrypt + "x", ErrForm},
		{"bcrypt of another kind", "$2x$" + ofBcrypt[4:], ErrForm},
		{"argon2id", argon("m=65536,t=2,p=1"), nil},
		{"argon2id, memory at the bound", argon("m=65536,t=4,p=16"), nil},
		{"argon2id, too much memory", argon("m=65537,t=1,p=1"), ErrCostly},
		{"argon2id, memory of a house", argon("m=4294967295,t=1,p=1"), ErrCostly},
		{"argon2id, memory that overflows", argon("m=9999999999,t=9999999999,p=1"), ErrCostly},
		{"argon2id, too many passes", argon("m=64,t=17,p=1"), ErrCostly},
		{"argon2id, too much in all", argon("m=65536,t=5,p=1"), ErrCostly},
		{"argon2id, too many threads", argon("m=4096,t=1,p=17"), ErrCostly},
		{"argon2id, no pass", argon("m=64,t=0,p=1"), ErrForm},
		{"argon2id, no thread", argon("m=64,t=1,p=0"), ErrForm},
		{"argon2id, memory below its threads", argon("m=15,t=1,p=2"), ErrForm},
		{"argon2id, old version", strings.Replace(argon("m=64,t=1,p=1"), "v=19", "v=16", 1), ErrForm},
		{"argon2id without version", strings.Replace(argon("m=64,t=1,p=1"), "v=19$", "", 1), ErrForm},
		{"argon2id, salt with padding", strings.Replace(argon("m=64,t=1,p=1"), salt, salt+"=", 1), ErrForm},
		{"argon2id, salt that is no base64", strings.Replace(argon("m=64,t=1,p=1"), salt, "c29tZXNhbHR", 1), ErrForm},
		{"argon2id without hash", strings.TrimSuffix(argon("m=64,t=1,p=1"), sum), ErrForm},
		{"argon2i", strings.Replace(argon("m=64,t=1,p=1"), "argon2id", "argon2i", 1), ErrForm},
		{"MD5 of htpasswd", "$apr1$abcdefgh$0123456789012345678901", ErrForm},
		{"a password", "open sesame", ErrForm},
		{"nothing", "", ErrForm},
		{"long", "$argon2id$" + strings.Repeat("a", 1000), ErrForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.text)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), sum) || strings.Contains(err.Error(), ofBcrypt[10:30])) {
				t.Errorf("the error shows the hash: %v", err)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	const cheap = "$2a$04$hRbKIZyNo.boIpw2fy4TSukLaHE8aXoLb7W9Xw/zMLPoA43KCv9HW"
	for name, text := range map[string]string{
		"argon2id":  "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$zl7V9C596JtSXWShZ2Tfc7QVGFpgGIXeJjaZ2scNEC0",
		"bcrypt":    cheap,
		"bcrypt 2y": "$2y$" + cheap[4:],
		// From the reference implementation's own tests: argon2id, "password", "somesalt".
		"argon2id of others": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	} {
		right := "open sesame"
		if name == "argon2id of others" {
			right = "password"
		}
		h, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !h.Matches(right) {
			t.Errorf("%s does not match its password", name)
		}
		for _, wrong := range []string{"", right + " ", right[1:], strings.ToUpper(right), text} {
			if h.Matches(wrong) {
				t.Errorf("%s matches %q", name, wrong)
			}
		}
	}
	if (Hash{}).Matches("") {
		t.Error("no hash matches no password")
	}
}

func TestNewHashes(t *testing.T) {
	made, err := NewBcrypt("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	if h, err := Parse(made); err != nil || !h.Matches("open sesame") {
		t.Errorf("%s: %v", made, err)
	}

	if _, err := NewBcrypt(strings.Repeat("x", 73)); err == nil || !strings.Contains(err.Error(), "argon2id") {
		t.Errorf("%v", err)
	}
	one, other := NewArgon2id("open sesame"), NewArgon2id("open sesame")
	if h, err := Parse(one); err != nil || !h.Matches("open sesame") || one == other {
		t.Errorf("%s, %s: %v", one, other, err)
	}
}

func TestHA1(t *testing.T) { // RFC 2617 3.5
	want := "939e7578ed9e3c518a452acee763bce9"
	if got := HA1("Mufasa", "testrealm@host.com", "Circle Of Life"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, err := ParseHA1(strings.ToUpper(want)); got != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", want[1:], want + "00", "z" + want[1:]} {
		if _, err := ParseHA1(bad); !errors.Is(err, ErrNoHA1) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
