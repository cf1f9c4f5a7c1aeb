package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// MinToken is how long a token must be, in bytes: nobody types it.
const MinToken = 16

// Token lets in whoever has it in the query of the address, as ?token=….
type Token struct {
	Name  string // for logs
	Token string
}

// Check returns what is wrong with a token, without showing it.
func (t Token) Check() error {
	switch {
	case t.Name == "":
		return fmt.Errorf("a token has no name")
	case len(t.Token) < MinToken:
		return fmt.Errorf("token %q is shorter than %d bytes", t.Name, MinToken)
	}
	return nil
}

// tokens are looked up by a keyed hash: how long that takes says nothing about those
// there are.
type tokens struct {
	key  [32]byte
	name map[[sha256.Size]byte]string
}

func newTokens(list []Token) (*tokens, error) {
	if len(list) == 0 {
		return nil, nil
	}
	t := &tokens{name: map[[sha256.Size]byte]string{}}
	rand.Read(t.key[:])
	for _, x := range list {
		if err := x.Check(); err != nil {
			return nil, err
		}
		sum := t.mac(x.Token)
		if other, again := t.name[sum]; again {
			return nil, fmt.Errorf("tokens %q and %q are the same", other, x.Name)
		}
		t.name[sum] = x.Name
	}
	return t, nil
}

func (t *tokens) mac(token string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, t.key[:])
	h.Write([]byte(token))
	h.Sum(sum[:0])
	return sum
}

// find returns the name of a token.
func (t *tokens) find(token string) (name string, ok bool) {
	name, ok = t.name[t.mac(token)]
	return name, ok
}
