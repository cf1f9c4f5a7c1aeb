package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

// What happens when the access hook gives no answer.
const (
	FailOpen   = "open"   // everyone is let in
	FailClosed = "closed" // nobody is
)

// Bounds of what lets in.
const (
	minSecret      = 16 // bytes of a token, of a signing key, and of the hook's secret
	maxSigningKeys = 16 // signing keys
)

// Publish is who may push. Without users, tokens, certificates and allow, everyone at
// loopback and in private networks may, and nobody else.
type Publish struct {
	User         string         `yaml:"user" reload:"live"` // one more user, with Password
	Password     string         `yaml:"password" reload:"live"`
	AllowBasic   bool           `yaml:"allow_basic" reload:"live"` // also without TLS
	Users        []User         `yaml:"users" reload:"live"`
	Tokens       []Token        `yaml:"tokens" reload:"live"`
	Certificates Names          `yaml:"certificates" reload:"live"` // of TLS clients: names, sha256:… or *
	Allow        []netip.Prefix `yaml:"allow" reload:"live"`        // networks; empty: any, if one of the others is set
}

// asks tells whether anything says who may push.
func (p *Publish) asks() bool {
	return p.User != "" || len(p.Users) > 0 || len(p.Tokens) > 0 || len(p.Certificates) > 0 || len(p.Allow) > 0
}

// Play is who may watch. Without users and signed, everyone may whose address may.
type Play struct {
	Users      []User         `yaml:"users" reload:"live"`
	AllowBasic bool           `yaml:"allow_basic" reload:"live"` // also without TLS
	Signed     bool           `yaml:"signed" reload:"live"`      // addresses signed with one of Signing.Keys
	Allow      []netip.Prefix `yaml:"allow" reload:"live"`       // networks; empty: any
	Deny       []netip.Prefix `yaml:"deny" reload:"live"`        // networks; they win
}

// User is one who may log in, with exactly one of the last three.
type User struct {
	Name         string `yaml:"name"`
	Password     string `yaml:"password"`
	PasswordHash string `yaml:"password_hash"` // bcrypt or argon2id: for Basic
	HA1          string `yaml:"ha1"`           // MD5 of name:stream-pump:password: for Digest
}

// Token lets in whoever has it in the address, as ?token=….
type Token struct {
	Name  string `yaml:"name"` // for the log
	Token string `yaml:"token"`
}

// Signing is about signed addresses.
type Signing struct {
	Keys []SigningKey `yaml:"keys" reload:"live"`
}

// SigningKey is one key that addresses may be signed with.
type SigningKey struct {
	Name   string `yaml:"name"` // for the log, and for the sign command
	Secret string `yaml:"secret"`
}

// Hook is the operator's own program, which is asked and told by HTTP.
type Hook struct {
	Secret      string       `yaml:"secret" reload:"live"` // signs what it gets; empty: nothing is signed
	OnPublish   HookQuestion `yaml:"on_publish"`
	OnUnpublish HookNotice   `yaml:"on_unpublish"`
	OnPlay      HookQuestion `yaml:"on_play"`
	OnStop      HookNotice   `yaml:"on_stop"`
}

// HookQuestion is asked; without URL it is not.
type HookQuestion struct {
	URL     string   `yaml:"url" reload:"live"`
	Timeout Duration `yaml:"timeout" reload:"live"`
	Cache   Duration `yaml:"cache" reload:"live"` // how long an answer is kept; 0: not
	Fail    string   `yaml:"fail" reload:"live"`  // open or closed
}

// HookNotice is told; without URL it is not.
type HookNotice struct {
	URL     string   `yaml:"url" reload:"live"`
	Timeout Duration `yaml:"timeout" reload:"live"`
}

func defaultHook() Hook {
	const wait = Duration(2 * time.Second)
	return Hook{
		OnPublish:   HookQuestion{Timeout: wait, Fail: FailClosed},
		OnUnpublish: HookNotice{Timeout: wait},
		OnPlay:      HookQuestion{Timeout: wait, Cache: Duration(10 * time.Second), Fail: FailClosed},
		OnStop:      HookNotice{Timeout: wait},
	}
}

// isSecret tells whether the value of a key must not be shown.
func isSecret(key string) bool {
	switch key {
	case "password", "password_hash", "ha1", "token", "secret":
		return true
	}
	return false
}

func init() {
	for _, users := range []string{streamKey + ".publish.users[]", streamKey + ".play.users[]"} {
		rules[users+".name"] = needed(checkUser)
		rules[users+".password"] = needed(nil)
		rules[users+".password_hash"] = needed(checkHash)
		rules[users+".ha1"] = needed(checkHA1)
	}
	for _, list := range []string{streamKey + ".publish.tokens[]", "signing.keys[]"} {
		rules[list+".name"] = needed(nil)
	}
	rules[streamKey+".publish.tokens[].token"] = needed(checkSecret)
	rules[streamKey+".publish.certificates"] = rule{check: checkCertificate}
	rules["signing.keys[].secret"] = needed(checkSecret)
	rules["id_parameter"] = rule{check: checkParameter}
	rules["hook.secret"] = rule{check: checkSecret}
	for _, action := range []string{"on_publish", "on_unpublish", "on_play", "on_stop"} {
		rules["hook."+action+".url"] = rule{check: checkHookURL}
		rules["hook."+action+".timeout"] = span(10*time.Millisecond, 30*time.Second)
	}
	for _, question := range []string{"on_publish", "on_play"} {
		rules["hook."+question+".cache"] = span(0, time.Hour)
		rules["hook."+question+".fail"] = oneOf(FailOpen, FailClosed)
	}
}

// needed is a rule for what may not be empty; check may be nil.
func needed(check func(text, key string) (string, string, string)) rule {
	return rule{check: func(s, key string) (string, string, string) {
		switch {
		case s == "":
			return "", key + " is empty", "something, or not the key at all"
		case strings.ContainsAny(s, "\r\n\x00"):
			return "", key + " holds a line break", "one line"
		case check == nil:
			return s, "", ""
		}
		return check(s, key)
	}}
}

func checkHash(s, key string) (string, string, string) {
	if _, err := passhash.Parse(s); err != nil {
		return "", fmt.Sprintf("%s cannot be used: %v", key, err), "what stream-pump hash prints"
	}
	return s, "", ""
}

func checkHA1(s, key string) (string, string, string) {
	h, err := passhash.ParseHA1(s)
	if err != nil {
		return "", fmt.Sprintf("%s cannot be used: %v", key, err), "what stream-pump hash -ha1 prints"
	}
	return h, "", ""
}

func checkSecret(s, key string) (string, string, string) {
	if s != "" && (len(s) < minSecret || strings.ContainsAny(s, "\r\n\x00")) {
		return "", fmt.Sprintf("%s is too short, or holds a line break", key), fmt.Sprintf("at least %d bytes, as from openssl rand -hex 32", minSecret)
	}
	return s, "", ""
}

var printForm = regexp.MustCompile(`^(?i:sha256):([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$`)

func checkCertificate(s, key string) (string, string, string) {
	if s == "" || strings.ContainsAny(s, "\r\n\x00") || len(s) > 7 && strings.EqualFold(s[:7], "sha256:") && !printForm.MatchString(s) {
		return "", fmt.Sprintf("%s %q names no certificate", key, s), "a name in it, sha256: and its fingerprint, or \"*\" for any that was verified"
	}
	return s, "", ""
}

// taken are query parameters that mean something else.
var taken = []string{"token", "expires", "ip", "sig", "MSWMExt"}

var parameterForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

func checkParameter(s, key string) (string, string, string) {
	if !parameterForm.MatchString(s) || slices.Contains(taken, s) {
		return "", fmt.Sprintf("%s %q is no name for it", key, s), "a short word other than " + strings.Join(taken, ", ")
	}
	return s, "", ""
}

func checkHookURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(s, " \r\n")) {
		return "", fmt.Sprintf("%s %q is no address to ask at", key, hideURL(s)), "as in http://127.0.0.1:9000/hook; http or https"
	}
	return s, "", ""
}

// checkAccess notes what is wrong between the settings of who is let in.
func (d *decoder) checkAccess(c *Config) {
	d.checkSigning(c)
	for i := range c.Streams {
		s, path := &c.Streams[i], fmt.Sprintf("streams[%d]", i)
		if d.broken[path] {
			continue
		}
		d.checkUsers(c, s.Publish.Users, s.Publish.AllowBasic, path+".publish")
		d.checkUsers(c, s.Play.Users, s.Play.AllowBasic, path+".play")
		d.checkTokens(s.Publish.Tokens, path+".publish.tokens")
		if len(s.Publish.Certificates) > 0 && (!c.SSL || c.SSLClientCA == "") {
			d.problem(d.at(path+".publish.certificates"), "publish.certificates needs ssl and ssl_client_ca", "the file of the authorities that issue the certificates")
		}
		if s.Play.Signed && len(c.Signing.Keys) == 0 && !d.given("signing.keys") {
			d.problem(d.at(path+".play.signed"), "play.signed needs signing.keys", "signing: {keys: [{name: NAME, secret: SECRET}]}")
		}
		for j, u := range s.Publish.Users {
			if u.Name == s.Publish.User && u.Name != "" {
				d.problem(d.at(fmt.Sprintf("%s.publish.users[%d].name", path, j)), fmt.Sprintf("user %q is publish.user already", u.Name), "each name once")
			}
		}
	}
}

func (d *decoder) checkSigning(c *Config) {
	seen := map[string]bool{}
	for i, k := range c.Signing.Keys {
		at := fmt.Sprintf("signing.keys[%d]", i)
		d.wanted(at, "name", k.Name, "a name for the log")
		d.wanted(at, "secret", k.Secret, "at least 16 bytes, as from openssl rand -hex 32")
		d.once(seen, at, "signing key", k.Name)
	}
	if len(c.Signing.Keys) > maxSigningKeys {
		d.problem(d.at("signing.keys"), fmt.Sprintf("%d signing keys", len(c.Signing.Keys)), fmt.Sprintf("at most %d", maxSigningKeys))
	}
}

func (d *decoder) checkTokens(list []Token, path string) {
	names, values := map[string]bool{}, map[string]bool{}
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.wanted(at, "name", t.Name, "a name for the log")
		d.wanted(at, "token", t.Token, "at least 16 bytes, as from openssl rand -hex 16")
		d.once(names, at, "token", t.Name)
		if t.Token != "" && values[t.Token] {
			d.problem(d.at(at+".token"), fmt.Sprintf("token %q is one of the others once more", t.Name), "one of its own")
		}
		values[t.Token] = true
	}
}

// checkUsers sees that every user has a name and one thing to log in with, and that it can
// be used at all.
func (d *decoder) checkUsers(c *Config, list []User, allowBasic bool, path string) {
	seen := map[string]bool{}
	for i, u := range list {
		at := fmt.Sprintf("%s.users[%d]", path, i)
		d.wanted(at, "name", u.Name, "a user name")
		d.once(seen, at, "user", u.Name)
		given := 0
		for _, key := range []string{"password", "password_hash", "ha1"} {
			if d.given(at + "." + key) {
				given++
			}
		}
		if given != 1 {
			d.problem(d.at(at), fmt.Sprintf("user %q has %d of password, password_hash and ha1", u.Name, given), "one of them")
		}
		if u.PasswordHash != "" && !allowBasic && !c.SSL {
			d.problem(d.at(at+".password_hash"), fmt.Sprintf("user %q can never log in: password_hash is for Basic, which is not taken without TLS", u.Name),
				"ha1, or allow_basic: true, or ssl")
		}
	}
}

// wanted notes a key without a value.
func (d *decoder) wanted(at, key, value, right string) {
	if value == "" && !d.given(at+"."+key) {
		d.problem(d.at(at), fmt.Sprintf("%s is missing", lastKey(at+"."+key)), right)
	}
}

// once notes a name that was there already.
func (d *decoder) once(seen map[string]bool, at, what, name string) {
	if name != "" && seen[name] {
		d.problem(d.at(at+".name"), fmt.Sprintf("%s %q is given twice", what, name), "each name once")
	}
	seen[name] = true
}
