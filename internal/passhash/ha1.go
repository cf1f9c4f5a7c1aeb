package passhash

import (
	"crypto/md5" // #nosec G501 -- Digest is defined over it, and Windows encoders know nothing else
	"encoding/hex"
	"fmt"
	"strings"
)

// HA1 is what Digest knows of a password: MD5 of user:realm:password, in hex (RFC 7616
// 3.4.2). Whoever has it can log in by Digest, but does not know the password.
func HA1(user, realm, password string) string {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password)) // #nosec G401 -- see the import
	return hex.EncodeToString(sum[:])
}

// ParseHA1 returns an HA1 in lower case, or an error when it is none.
func ParseHA1(text string) (string, error) {
	if b, err := hex.DecodeString(text); err != nil || len(b) != md5.Size {
		return "", fmt.Errorf("%w: want the 32 hex digits of MD5(user:realm:password)", ErrNoHA1)
	}
	return strings.ToLower(text), nil
}
