package access

import (
	"errors"
	"net/url"
	"unicode"
	"unicode/utf8"
)

// IDKey is the usual name of the query parameter with a viewer's outside id.
const IDKey = "id"

// Names of the other query parameters that are looked at.
const (
	tokenKey     = "token"
	expiresKey   = "expires"
	networkKey   = "ip"
	signatureKey = "sig"
)

// MaxID is how long an outside id may be, in bytes.
const MaxID = 128

// ErrID says that an outside id cannot be used.
var ErrID = errors.New("the id is longer than 128 bytes, or holds characters that cannot be printed")

// Query is what of a request's query says who comes: as sent, decoded, nothing checked.
type Query struct {
	ID    string // of the viewer in another system
	Token string

	// Of a signed address.
	Expires, Network, Signature string
}

// ReadQuery reads a query as it stands behind the question mark. idKey is the name of the
// parameter with the outside id. What is malformed is left out; of two parameters with
// one name the first counts.
func ReadQuery(raw, idKey string) Query {
	if raw == "" {
		return Query{}
	}
	v, _ := url.ParseQuery(raw) // what could be read is there, whatever the error
	return Query{
		ID: v.Get(idKey), Token: v.Get(tokenKey),
		Expires: v.Get(expiresKey), Network: v.Get(networkKey), Signature: v.Get(signatureKey),
	}
}

// CheckID returns [ErrID] for an outside id that is no short line of printable text. It
// may hold markup: escape it.
func CheckID(id string) error {
	if len(id) > MaxID || !utf8.ValidString(id) {
		return ErrID
	}
	for _, r := range id {
		if !unicode.IsPrint(r) {
			return ErrID
		}
	}
	return nil
}
