package tool

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/passhash"
)

// ErrPassword says that a password cannot be hashed as wanted.
var ErrPassword = errors.New("cannot hash the password")

// Hash returns what stands for a password in a configuration: an argon2id hash, with bcrypt
// one of bcrypt, or with the name of a user the HA1 of the two.
func Hash(password string, bcrypt bool, user string) (string, error) {
	switch {
	case password == "":
		return "", fmt.Errorf("%w: %s", ErrPassword, "it is empty")
	case strings.ContainsAny(password, "\r\n\x00"):
		return "", fmt.Errorf("%w: %s", ErrPassword, "it holds a line break")
	case strings.ContainsAny(user, ":\"\r\n\x00"):
		return "", fmt.Errorf("%w: %s", ErrPassword, "a user name has no colon, quote or line break")
	case user != "":
		return passhash.HA1(user, access.Realm, password), nil
	case bcrypt:
		return passhash.NewBcrypt(password)
	}
	return passhash.NewArgon2id(password), nil
}
