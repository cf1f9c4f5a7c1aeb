package access

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a query, only what was signed with the key is granted, and as it was
// signed.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{
		"", "sig=", "id=alice&expires=1767225600&ip=192.0.2.7&sig=fa2d96b58a1775e2b7aff3fb78b55825ad212d44549bc83d81f7ede0411721ba",
		"expires=1767225600&sig=253316aeabc3bd6b75faf6075a870d174529174ccb8358fca36c4771c178e3aa",
		"id=Zo%C3%AB+%26+co&expires=1767225600&ip=2001%3Adb8%3A%3A%2F64&sig=b77d1d8ab1bdc88695a9d501390bdc8f9ad1b4049b52ea315605b642243d8d96",
		"id=%zz&expires=-1&ip=%00&sig=%", "id=a;b=c&sig=x&sig=y", "expires=99999999999999999999&sig=" + strings.Repeat("00", 32),
	} {
		f.Add("studio", s)
	}
	keys := keyring(f, oldKey)
	f.Fuzz(func(t *testing.T, stream, raw string) {
		q := ReadQuery(raw, IDKey)
		g, _, err := keys.Verify(stream, q, time.Unix(0, 0), netip.MustParseAddr("192.0.2.7"))
		if err != nil {
			return
		}
		again, err := oldKey.Sign(g, IDKey)
		if err != nil {
			t.Fatalf("granted what cannot be signed: %+v: %v", g, err)
		}
		v, err := url.ParseQuery(again)
		if err != nil || v.Get(expiresKey) != q.Expires || v.Get(IDKey) != q.ID {
			t.Errorf("%q grants %+v, which is signed as %q", raw, g, again)
		}
	})
}

// What is signed is granted.
func FuzzSign(f *testing.F) {
	f.Add("studio", "alice", int64(1767225600), "192.0.2.7/32")
	f.Add("Studio", "", int64(1), "2001:db8::/64")
	f.Add("s", "Zoë & <co>;=%", int64(99), "")
	f.Fuzz(func(t *testing.T, stream, id string, seconds int64, network string) {
		g := Grant{Stream: stream, ID: id, Expires: time.Unix(seconds, 0)}
		from := netip.MustParseAddr("192.0.2.7")
		if p, err := netip.ParsePrefix(network); err == nil {
			g.Network, from = p, p.Addr()
		}
		q, err := newKey.Sign(g, IDKey)
		if err != nil || seconds > 999_999_999_999 {
			return
		}
		got, name, err := keyring(t, oldKey, newKey).Verify(stream, ReadQuery(q, IDKey), time.Unix(0, 0), from)
		if err != nil || name != "new" || got.ID != id || !got.Expires.Equal(g.Expires) {
			t.Errorf("%q: %+v by %q, %v", q, got, name, err)
		}
	})
}

func FuzzCheckID(f *testing.F) {
	for _, s := range []string{"", "alice", "<b>\"'", "a\x00", "\u202e", "\xff", strings.Repeat("é", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if CheckID(id) == nil && (len(id) > MaxID || strings.ContainsAny(id, "\r\n\x00\x1b\x7f\u2028\u202e")) {
			t.Errorf("%q passes", id)
		}
	})
}
