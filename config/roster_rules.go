package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

var pumpIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$`)

func checkPumpID(s, key string) (string, string, string) {
	if !pumpIDForm.MatchString(s) || strings.Contains(s, "..") {
		return "", fmt.Sprintf("%s %q is no id of a pump", key, s), "letters, digits, _, - and ., at most 64"
	}
	return s, "", ""
}

// checkParentID lets empty text be no parent.
func checkParentID(s, key string) (string, string, string) {
	if s == "" {
		return "", "", ""
	}
	return checkPumpID(s, key)
}

func checkTitle(s, key string) (string, string, string) {
	if len(s) > 200 || strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return "", key + " is too long or holds a control character", "one line of at most 200 bytes"
	}
	return s, "", ""
}

// checkKey does not show the key. One that begins like a hash is one.
func checkKey(s, key string) (string, string, string) {
	if len(s) > 512 || strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return "", key + " is too long or holds a control character", "one line of at most 512 bytes"
	}
	if strings.HasPrefix(s, "$") {
		if _, err := passhash.Parse(s); err != nil {
			return "", fmt.Sprintf("%s is no good as a hash: %v", key, err), "a hash as exported, or a key that does not begin with $"
		}
	}
	return s, "", ""
}

func checkPumpURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	good := err == nil && len(s) <= 300 && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
	if s != "" && !good {
		return "", fmt.Sprintf("%s %q is no address of a pump", key, hideURL(s)), "as in http://192.0.2.1:8086, without a path"
	}
	return strings.TrimSuffix(s, "/"), "", ""
}
