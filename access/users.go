package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

// Realm is the realm of all challenges unless [CredentialsOptions] say otherwise. An
// HA1 is good for one realm only.
const Realm = "stream-pump"

// User is one who may log in. Exactly one of the last three is set, and decides how
// the user can log in.
type User struct {
	Name         string // without colon
	Password     string // as it is: Basic and Digest
	PasswordHash string // bcrypt, or argon2id in PHC form, within the bounds of a hash: Basic only
	HA1          string // hex MD5 of name:realm:password: Digest only
}

// login is a user as checked.
type login struct {
	name     string
	password string        // "" when only a hash is known
	hash     passhash.Hash // of hashed
	hashed   string        // PasswordHash
	ha1      string        // "" when Digest cannot be checked
}

// logins are users by a keyed hash of their name, so that neither finding nor missing
// one says anything about the others' names.
type logins struct {
	key     [32]byte
	byName  map[[sha256.Size]byte]*login
	hashed  []*login // those with a PasswordHash: the decoys
	digest  bool     // somebody can use Digest
	basic   bool     // somebody can use Basic
	noHA1   string   // stands for the HA1 of who has none
	noLogin login    // stands for who is not known
}

func newLogins(list []User, realm string) (*logins, error) {
	l := &logins{byName: make(map[[sha256.Size]byte]*login, len(list))}
	rand.Read(l.key[:])
	var none [16]byte
	rand.Read(none[:])
	l.noHA1 = hex.EncodeToString(none[:])
	l.noLogin.password = rand.Text()
	for _, u := range list {
		n, err := newLogin(u, realm)
		if err != nil {
			return nil, err
		}
		key := l.mac(u.Name)
		if l.byName[key] != nil {
			return nil, fmt.Errorf("user %q is given twice", u.Name)
		}
		l.byName[key] = n
		if n.hashed != "" {
			l.hashed = append(l.hashed, n)
		}
		l.digest = l.digest || n.ha1 != ""
		l.basic = l.basic || n.hashed != "" || n.password != ""
	}
	return l, nil
}

func newLogin(u User, realm string) (*login, error) {
	given := 0
	for _, s := range []string{u.Password, u.PasswordHash, u.HA1} {
		if s != "" {
			given++
		}
	}
	n := &login{name: u.Name, password: u.Password, hashed: u.PasswordHash}
	var err error
	switch {
	case u.Name == "" || strings.ContainsAny(u.Name, ":\"\r\n\x00"):
		return nil, errors.New("a user's name is empty, or holds a colon, a quote or a line break")
	case given != 1:
		return nil, fmt.Errorf("user %q wants one of password, password_hash and ha1", u.Name)
	case u.Password != "":
		n.ha1 = passhash.HA1(u.Name, realm, u.Password)
	case u.PasswordHash != "":
		n.hash, err = passhash.Parse(u.PasswordHash)
	default:
		n.ha1, err = passhash.ParseHA1(u.HA1)
	}
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", u.Name, err)
	}
	return n, nil
}

func (l *logins) mac(name string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, l.key[:])
	h.Write([]byte(name))
	h.Sum(sum[:0])
	return sum
}

// find returns the user of that name; for others one who has no right password.
func (l *logins) find(name string) (n *login, known bool) {
	if n = l.byName[l.mac(name)]; n != nil {
		return n, true
	}
	return &l.noLogin, false
}

// decoy returns the user whose hash is computed, for nothing, where there is none to
// compute: always the same one for a name, so that names that are not known take as
// long as some that are. It returns nil when no user has a hash.
func (l *logins) decoy(name string) *login {
	if len(l.hashed) == 0 {
		return nil
	}
	sum := l.mac(name)
	return l.hashed[(int(sum[0])<<8|int(sum[1]))%len(l.hashed)]
}
