package telemetry

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

const hidden = "***"

// secretParts are the words that make a query key the name of a secret when they
// are one of its words.
var secretParts = map[string]bool{
	"token": true, "key": true, "apikey": true, "password": true, "passwd": true,
	"pass": true, "pwd": true, "secret": true, "sig": true, "signature": true,
	"auth": true, "authorization": true, "credential": true, "credentials": true,
	"hmac": true, "jwt": true, "session": true, "sid": true, "nonce": true,
	"cookie": true, "sign": true, "hash": true,
}

// secretAttrs are the words that do the same to the key of a log attribute. They are
// fewer: a log speaks of key files and sessions without giving anything away.
var secretAttrs = map[string]bool{
	"token": true, "password": true, "passwd": true, "pass": true, "pwd": true,
	"secret": true, "authorization": true, "credential": true, "credentials": true, "cookie": true,
}

// secretName reports whether name, split at everything that is no letter or digit
// and at a step from lower to upper case, holds one of the words.
func secretName(name string, words map[string]bool) bool {
	start := 0
	for i := 0; i <= len(name); i++ {
		cut := i == len(name) || !alphanumeric(name[i])
		hump := !cut && i > 0 && upper(name[i]) && !upper(name[i-1])
		if !cut && !hump {
			continue
		}
		if words[strings.ToLower(name[start:i])] {
			return true
		}
		start = i
		if cut {
			start = i + 1
		}
	}
	return words[strings.ToLower(name)]
}

func upper(c byte) bool { return 'A' <= c && c <= 'Z' }

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || upper(c)
}

// Redact returns address with its user information and the values of secret query
// keys (token, key, password, signature and their like) replaced by ***. It works
// on text alone, so an address that does not parse is redacted as well.
func Redact(address string) string {
	rest, fragment, hasFragment := strings.Cut(address, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	var b strings.Builder
	b.WriteString(redactUser(rest))
	if hasQuery {
		b.WriteByte('?')
		redactQuery(&b, query)
	}
	if hasFragment {
		b.WriteByte('#')
		redactQuery(&b, fragment)
	}
	return b.String()
}

// redactUser hides what stands between "//" and the last "@" of the authority. A
// password may hold an unescaped slash, so an "@" right of the first slash counts
// when what is left of it could be user:password and not a host with a port.
func redactUser(s string) string {
	i := strings.Index(s, "//")
	if i < 0 {
		return s
	}
	i += 2
	end := len(s)
	if slash := strings.IndexByte(s[i:], '/'); slash >= 0 {
		end = i + slash
	}
	at := strings.LastIndexByte(s[i:end], '@')
	if at < 0 && end < len(s) && !hostLike(s[i:end]) {
		at = strings.LastIndexByte(s[i:], '@')
	}
	if at < 0 {
		return s
	}
	return s[:i] + hidden + s[i+at:]
}

// hostLike reports whether s reads as host or host:port, the port in digits.
func hostLike(s string) bool {
	if strings.HasPrefix(s, "[") {
		return true
	}
	_, port, found := strings.Cut(s, ":")
	return !found || (port != "" && strings.Trim(port, "0123456789") == "")
}

func redactQuery(b *strings.Builder, query string) {
	for i := 0; ; {
		j := strings.IndexAny(query[i:], "&;")
		pair := query[i:]
		if j >= 0 {
			pair = query[i : i+j]
		}
		key, _, found := strings.Cut(pair, "=")
		name := key
		if u, err := url.QueryUnescape(key); err == nil {
			name = u
		}
		if found && secretName(name, secretParts) {
			b.WriteString(key + "=" + hidden)
		} else {
			b.WriteString(pair)
		}
		if j < 0 {
			return
		}
		b.WriteByte(query[i+j])
		i += j + 1
	}
}

var addressInText = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]{0,20}:(?://|\\/\\/)[^\s"'<>` + "`" + `]+`)

// RedactText applies [Redact] to every address (scheme://…) within text.
func RedactText(text string) string {
	if !strings.Contains(text, "//") {
		return text
	}
	return addressInText.ReplaceAllStringFunc(text, Redact)
}

// RedactError returns an error that prints as err does, with secrets taken out of
// every address in its text, and that still unwraps to err. It returns nil for
// nil and err itself when there is nothing to hide.
func RedactError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) && ue.URL != "" {
		text = strings.ReplaceAll(text, ue.URL, Redact(ue.URL))
	}
	text = RedactText(text)
	if text == err.Error() {
		return err
	}
	return &redactedError{text: text, err: err}
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }
