package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A signed address is that of a stream with what it permits in its query:
//
//	/streams/studio?id=alice&expires=1767225600&ip=192.0.2.7&sig=6b1f…
//
// sig is the HMAC-SHA-256, in lower-case hex, under a secret that the pump knows too, of
// five lines without a line feed behind the last one:
//
//	stream-pump-1      the format
//	studio             path of the stream, in lower case
//	1767225600         expires as it stands in the address: seconds since 1970
//	alice              id, decoded; an empty line when there is none
//	192.0.2.7          ip, decoded: an address, or a network as 192.0.2.0/24; empty when there is none
//
// Other parameters are not covered and not looked at.
const signedFormat = "stream-pump-1"

// Bounds of signing keys.
const (
	MinSecret = 16 // bytes
	MaxKeys   = 16
)

// What [Keyring.Verify] finds wrong.
var (
	ErrSignatureMissing = errors.New("the address is not signed")
	ErrSignatureBad     = errors.New("the signature of the address is wrong")
	ErrExpired          = errors.New("the address has expired")
	ErrElsewhere        = errors.New("the address is good for another network")
)

// Grant is what a signed address permits.
type Grant struct {
	Stream  string       // path; case does not count
	Expires time.Time    // end of the viewing, in whole seconds
	ID      string       // of the viewer in another system, may be empty
	Network netip.Prefix // where the viewer must come from; the zero value: anywhere
}

// Key is one key to sign with.
type Key struct {
	Name   string // for logs
	Secret string // of at least [MinSecret] bytes, used as it is
}

// Check returns what is wrong with a key, without its secret.
func (k Key) Check() error {
	switch {
	case k.Name == "":
		return errors.New("a signing key has no name")
	case len(k.Secret) < MinSecret:
		return fmt.Errorf("the secret of signing key %q is shorter than %d bytes", k.Name, MinSecret)
	}
	return nil
}

// Sign returns the query of a signed address. idKey is the name of the parameter with
// the outside id, as the pump is configured.
func (k Key) Sign(g Grant, idKey string) (query string, err error) {
	if err := errors.Join(k.Check(), CheckID(g.ID)); err != nil {
		return "", err
	}
	if g.Stream == "" || g.Expires.Unix() <= 0 {
		return "", errors.New("a signed address wants a stream and the time of its end")
	}
	q := Query{ID: g.ID, Expires: strconv.FormatInt(g.Expires.Unix(), 10), Network: networkText(g.Network)}
	q.Signature = hex.EncodeToString(k.mac(g.Stream, q))
	var b strings.Builder
	for _, p := range [...][2]string{{idKey, q.ID}, {expiresKey, q.Expires}, {networkKey, q.Network}, {signatureKey, q.Signature}} {
		if p[1] == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p[0]) + "=" + url.QueryEscape(p[1]))
	}
	return b.String(), nil
}

// networkText is a network as it stands in an address.
func networkText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.Masked().String()
}

func (k Key) mac(stream string, q Query) []byte {
	h := hmac.New(sha256.New, []byte(k.Secret))
	h.Write([]byte(strings.Join([]string{signedFormat, strings.ToLower(stream), q.Expires, q.ID, q.Network}, "\n")))
	return h.Sum(nil)
}

// Keyring holds the keys that addresses may be signed with: several while one takes the
// place of another. It is immutable; nil has no keys.
type Keyring struct{ keys []Key }

// NewKeyring returns a keyring, nil for no keys.
func NewKeyring(keys []Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("%d signing keys, at most %d", len(keys), MaxKeys)
	}
	for i, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys[:i], func(o Key) bool { return o.Name == k.Name }) {
			return nil, fmt.Errorf("signing key %q is given twice", k.Name)
		}
	}
	return &Keyring{slices.Clone(keys)}, nil
}

// Verify returns what the query of an address of stream grants, and the name of the key
// that it is signed with. now is the time, from the viewer's address. The signature is
// looked at first, in constant time over all keys: only to whom it was given is told
// that an address has expired or is good elsewhere.
func (k *Keyring) Verify(stream string, q Query, now time.Time, from netip.Addr) (g Grant, key string, err error) {
	if q.Signature == "" {
		return Grant{}, "", ErrSignatureMissing
	}
	g, readable := readGrant(stream, q)
	given, err := hex.DecodeString(q.Signature)
	if !readable || err != nil || k == nil {
		return Grant{}, "", ErrSignatureBad
	}
	signed := false
	for _, c := range k.keys { // all of them, whichever fits
		if hmac.Equal(given, c.mac(stream, q)) {
			key, signed = c.Name, true
		}
	}
	switch {
	case !signed:
		return Grant{}, "", ErrSignatureBad
	case !now.Before(g.Expires):
		return Grant{}, "", ErrExpired
	case g.Network.IsValid() && !NewNetworks(g.Network).Contains(from):
		return Grant{}, "", ErrElsewhere
	}
	return g, key, nil
}

var expiresForm = regexp.MustCompile(`^[1-9][0-9]{0,11}$`)

// readGrant reads what an address says that it permits.
func readGrant(stream string, q Query) (g Grant, ok bool) {
	g = Grant{Stream: stream, ID: q.ID}
	if CheckID(q.ID) != nil || !expiresForm.MatchString(q.Expires) {
		return Grant{}, false
	}
	seconds, err := strconv.ParseInt(q.Expires, 10, 64)
	if err != nil {
		return Grant{}, false
	}
	g.Expires = time.Unix(seconds, 0)
	if q.Network == "" {
		return g, true
	}
	g.Network, err = ParsePrefix(q.Network)
	return g, err == nil && strings.TrimSpace(q.Network) == q.Network
}
