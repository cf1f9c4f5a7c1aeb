package access

import "strings"

// Bounds of one WWW-Authenticate or Authorization value.
const (
	maxHeader  = 8 << 10 // bytes; longer values are not read
	maxParams  = 32      // parameters of one challenge; further ones are dropped
	maxSchemes = 16
)

// challenge is one scheme with its parameters, from a WWW-Authenticate or an
// Authorization value (RFC 9110 11.3 and 11.4).
type challenge struct {
	scheme  string // lower case
	token68 string // what follows the scheme when it is no parameter list
	params  map[string]param
}

// param is a parameter's value. Windows puts backslashes into quoted strings
// without escaping them, so both readings are kept.
type param struct {
	value string // quoted pairs resolved
	raw   string // as it stood between the quotes
}

func (c challenge) get(name string) string { return c.params[name].value }

// parseChallenges reads a comma-separated list of challenges. It is lenient: what
// it cannot read it skips, and it returns what it understood.
func parseChallenges(s string) []challenge {
	if len(s) > maxHeader {
		return nil
	}
	var list []challenge
	p := headerScanner{rest: s}
	for {
		p.skip(" \t,")
		word := p.token()
		if word == "" {
			if p.rest == "" || len(list) == 0 {
				return list
			}
			p.rest = p.rest[1:]
			continue
		}
		if p.isParam() && len(list) > 0 {
			p.param(&list[len(list)-1], word)
			continue
		}
		if len(list) == maxSchemes {
			return list
		}
		list = append(list, challenge{scheme: strings.ToLower(word), params: map[string]param{}})
		p.skip(" \t")
		list[len(list)-1].token68 = p.token68()
	}
}

// headerScanner walks over a header value; every method takes from the front of rest.
type headerScanner struct{ rest string }

func (p *headerScanner) skip(chars string) { p.rest = strings.TrimLeft(p.rest, chars) }

func (p *headerScanner) token() string {
	i := 0
	for i < len(p.rest) && isTokenChar(p.rest[i]) {
		i++
	}
	t := p.rest[:i]
	p.rest = p.rest[i:]
	return t
}

// isParam reports whether "=" follows, as after a parameter's name.
func (p *headerScanner) isParam() bool {
	return strings.HasPrefix(strings.TrimLeft(p.rest, " \t"), "=")
}

// token68 takes a word that ends the challenge, such as the value of Basic; it
// takes nothing when a parameter list follows.
func (p *headerScanner) token68() string {
	end := strings.IndexAny(p.rest, " \t,")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	after := strings.TrimLeft(p.rest[end:], " \t")
	if word == "" || (after != "" && after[0] != ',') || !isToken68(word) {
		return ""
	}
	p.rest = p.rest[end:]
	return word
}

// isToken68 tells "dXNlcg==" from "realm=x": in a token68 "=" stands only at the end.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := 0; i < len(body); i++ {
		c := body[i]
		if !isAlphanumeric(c) && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return body != ""
}

// param takes "= value" and gives it to c under name. The first of two wins.
func (p *headerScanner) param(c *challenge, name string) {
	p.skip(" \t")
	p.rest = p.rest[1:]
	p.skip(" \t")
	var v param
	if strings.HasPrefix(p.rest, `"`) {
		v = p.quoted()
	} else {
		end := strings.IndexAny(p.rest, " \t,")
		if end < 0 {
			end = len(p.rest)
		}
		v = param{value: p.rest[:end], raw: p.rest[:end]}
		p.rest = p.rest[end:]
	}
	name = strings.ToLower(name)
	if _, there := c.params[name]; !there && len(c.params) < maxParams {
		c.params[name] = v
	}
}

// quoted takes a quoted string; a missing closing quote is taken as the end.
func (p *headerScanner) quoted() param {
	var b strings.Builder
	s := p.rest[1:]
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			p.rest = s[i+1:]
			return param{value: b.String(), raw: s[:i]}
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	p.rest = ""
	return param{value: b.String(), raw: s}
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quote returns s as a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
