package mmsh

import (
	"net/http"
	"strings"
)

// maxTokens bounds what [ParseTokens] keeps; the rest is ignored.
const maxTokens = 256

// Token is one item of a Pragma header. Name is in lower case, Value without its quotes, empty for a bare name.
type Token struct{ Name, Value string }

// Tokens are the items of all Pragma lines of a request or reply, in order. [MS-WMSP] 2.2.1.4. The strings alias the
// header's.
type Tokens []Token

// ParseTokens splits the Pragma lines of h at commas outside quotes. Nothing is an error: players are sloppy, and a
// malformed token is one that nobody asks for. The value of log-line is the rest of its line, commas included.
func ParseTokens(h http.Header) Tokens {
	var list Tokens
	for _, line := range h["Pragma"] {
		for line != "" && len(list) < maxTokens {
			var item string
			item, line = nextToken(line)
			if t := makeToken(item); t.Name != "" {
				list = append(list, t)
			}
		}
	}
	return list
}

// nextToken cuts the first item off a line.
func nextToken(line string) (item, rest string) {
	line = strings.TrimLeft(line, " \t")
	if len(line) >= len(logLineMark) && strings.EqualFold(line[:len(logLineMark)], logLineMark) {
		return line, ""
	}
	quoted := false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return line[:i], line[i+1:]
			}
		}
	}
	return line, ""
}

const logLineMark = "log-line="

func makeToken(item string) Token {
	name, value, _ := strings.Cut(item, "=")
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return Token{Name: strings.ToLower(strings.TrimSpace(name)), Value: value}
}

// Get is the value of the last token of that name, which must be given in lower case.
func (t Tokens) Get(name string) (string, bool) {
	for i := len(t) - 1; i >= 0; i-- {
		if t[i].Name == name {
			return t[i].Value, true
		}
	}
	return "", false
}

// Has reports whether a token of that name, in lower case, is there.
func (t Tokens) Has(name string) bool {
	_, ok := t.Get(name)
	return ok
}

// Uint32 is the number at the beginning of a token's value; what follows the digits is ignored, because FFmpeg runs a
// header into its last token. ok is false when there is no digit or more than 32 bits.
func (t Tokens) Uint32(name string) (n uint32, ok bool) {
	value, _ := t.Get(name)
	return leadingUint32(value)
}

func leadingUint32(s string) (n uint32, ok bool) {
	var wide uint64
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		wide, ok = wide*10+uint64(s[i]-'0'), true
		if wide > 0xFFFFFFFF {
			return 0, false
		}
	}
	return uint32(wide), ok
}

// set reports whether a token is there with a number other than 0, as switches like xPlayStrm are.
func (t Tokens) set(name string) bool {
	n, ok := t.Uint32(name)
	return ok && n != 0
}

// one reports whether a token has the value 1.
func (t Tokens) one(name string) bool {
	n, ok := t.Uint32(name)
	return ok && n == 1
}
