package access

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

var (
	oldKey = Key{Name: "old", Secret: "correct horse battery staple"}
	newKey = Key{Name: "new", Secret: "0123456789abcdef"}
)

// end is the end of what the tests' addresses permit.
var end = time.Unix(1_767_225_600, 0)

func keyring(t testing.TB, keys ...Key) *Keyring {
	t.Helper()
	k, err := NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k Key, g Grant) string {
	t.Helper()
	q, err := k.Sign(g, IDKey)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// The format is fixed: other programs sign too. These were computed with
//
//	printf 'stream-pump-1\nstudio\n1767225600\nalice\n192.0.2.7' | openssl dgst -sha256 -hmac 'correct horse battery staple'
func TestSignedFormat(t *testing.T) {
	for _, x := range []struct {
		grant Grant
		want  string
	}{
		{
			Grant{Stream: "Studio", Expires: end, ID: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")},
			"id=alice&expires=1767225600&ip=192.0.2.7&sig=fa2d96b58a1775e2b7aff3fb78b55825ad212d44549bc83d81f7ede0411721ba",
		},
		{
			Grant{Stream: "studio", Expires: end},
			"expires=1767225600&sig=253316aeabc3bd6b75faf6075a870d174529174ccb8358fca36c4771c178e3aa",
		},
		{
			Grant{Stream: "studio", Expires: end, ID: "Zoë & co", Network: netip.MustParsePrefix("2001:db8::7/64")},
			"id=Zo%C3%AB+%26+co&expires=1767225600&ip=2001%3Adb8%3A%3A%2F64&sig=b77d1d8ab1bdc88695a9d501390bdc8f9ad1b4049b52ea315605b642243d8d96",
		},
	} {
		if got := sign(t, oldKey, x.grant); got != x.want {
			t.Errorf("%+v\n got %s\nwant %s", x.grant, got, x.want)
		}
	}
}

func TestSignedAddresses(t *testing.T) {
	keys := keyring(t, oldKey, newKey)
	at := end.Add(-time.Hour)
	here := netip.MustParseAddr("192.0.2.7")
	grant := Grant{Stream: "studio", Expires: end, ID: "alice", Network: netip.MustParsePrefix("192.0.2.0/24")}
	good := sign(t, newKey, grant)
	without := func(key string) string {
		v, _ := url.ParseQuery(good)
		v.Del(key)
		return v.Encode()
	}
	for _, x := range []struct {
		name   string
		stream string
		query  string
		now    time.Time
		from   netip.Addr
		want   error
	}{
		{"as it was signed", "studio", good, at, here, nil},
		{"in another case", "STUDIO", good, at, here, nil},
		{"with more behind it", "studio", good + "&MSWMExt=.asf", at, here, nil},
		{"by another key", "studio", sign(t, oldKey, grant), at, here, nil},
		{"from IPv4 in IPv6 form", "studio", good, at, netip.MustParseAddr("::ffff:192.0.2.7"), nil},
		{"a second before its end", "studio", good, end.Add(-time.Second), here, nil},
		{"at its end", "studio", good, end, here, ErrExpired},
		{"from elsewhere", "studio", good, at, netip.MustParseAddr("198.51.100.1"), ErrElsewhere},
		{"from nowhere", "studio", good, at, netip.Addr{}, ErrElsewhere},
		{"for another stream", "studio2", good, at, here, ErrSignatureBad},
		{"with another id", "studio", strings.Replace(good, "alice", "bob", 1), at, here, ErrSignatureBad},
		{"without its id", "studio", without("id"), at, here, ErrSignatureBad},
		{"for longer", "studio", strings.Replace(good, "1767225600", "1767225601", 1), at, here, ErrSignatureBad},
		{"without its end", "studio", without("expires"), at, here, ErrSignatureBad},
		{"with its end in another form", "studio", strings.Replace(good, "1767225600", "01767225600", 1), at, here, ErrSignatureBad},
		{"for another network", "studio", strings.Replace(good, "192.0.2.0", "192.0.3.0", 1), at, here, ErrSignatureBad},
		{"without its network", "studio", without("ip"), at, here, ErrSignatureBad},
		{"by nobody's key", "studio", sign(t, Key{Name: "new", Secret: "another secret of the name"}, grant), at, here, ErrSignatureBad},
		{"torn", "studio", good[:len(good)-2], at, here, ErrSignatureBad},
		{"no hex", "studio", good[:len(good)-1] + "x", at, here, ErrSignatureBad},
		{"not signed", "studio", without("sig"), at, here, ErrSignatureMissing},
		{"expired and wrong", "studio2", good, end, here, ErrSignatureBad}, // nothing is told of what was not signed
	} {
		g, key, err := keys.Verify(x.stream, ReadQuery(x.query, IDKey), x.now, x.from)
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
			continue
		}
		if err == nil && (g.ID != "alice" || !g.Expires.Equal(end) || key == "") || err != nil && (g != Grant{} || key != "") {
			t.Errorf("%s: %+v by %q", x.name, g, key)
		}
	}
	if _, _, err := (*Keyring)(nil).Verify("studio", ReadQuery(good, IDKey), at, here); !errors.Is(err, ErrSignatureBad) {
		t.Errorf("without a key: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	for name, x := range map[string]struct {
		key   Key
		grant Grant
	}{
		"a short secret":       {Key{Name: "a", Secret: "tiny"}, Grant{Stream: "s", Expires: end}},
		"no stream":            {oldKey, Grant{Expires: end}},
		"no end":               {oldKey, Grant{Stream: "s"}},
		"a line break in id":   {oldKey, Grant{Stream: "s", Expires: end, ID: "a\nb"}},
		"too long an id":       {oldKey, Grant{Stream: "s", Expires: end, ID: strings.Repeat("a", MaxID+1)}},
		"an id that is no UTF": {oldKey, Grant{Stream: "s", Expires: end, ID: "\xff"}},
	} {
		if q, err := x.key.Sign(x.grant, IDKey); err == nil || strings.Contains(err.Error(), x.key.Secret) {
			t.Errorf("%s: %q, %v", name, q, err)
		}
	}
}

func TestKeyringRefuses(t *testing.T) {
	for name, keys := range map[string][]Key{
		"a nameless key": {{Secret: oldKey.Secret}},
		"a short secret": {{Name: "a", Secret: "tiny"}},
		"a name twice":   {oldKey, {Name: "old", Secret: newKey.Secret}},
		"too many":       make([]Key, MaxKeys+1),
	} {
		if k, err := NewKeyring(keys); err == nil || k != nil || strings.Contains(err.Error(), "tiny") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
