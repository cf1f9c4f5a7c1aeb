package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a cookie, only what this fleet has signed is a session.
func FuzzSession(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	sign := func(b []byte) []byte {
		m := hmac.New(sha256.New, []byte("the houses' key"))
		m.Write(b)
		return m.Sum(nil)
	}
	o := &Options{Now: func() time.Time { return now }, Sign: sign, Users: func() []User { return testUsers }}
	o.fill()
	d := newDoor(o)
	good, _ := d.begin(testUsers[0])
	body, mac, _ := strings.Cut(good, ".")
	for _, s := range []string{good, body, body + ".", "." + mac, mac + "." + body, good + "=", good + ".", "", ".", strings.Repeat("A", 5000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := d.read(s)
		if !ok {
			return
		}
		text, mac, _ := strings.Cut(s, ".")
		b, err := enc.DecodeString(text)
		if err != nil || mac != enc.EncodeToString(sign(append([]byte(purposeSession), b...))) || c.Expires <= now.Unix() {
			t.Errorf("%q is taken for a session: %+v", s, c)
		}
	})
}
