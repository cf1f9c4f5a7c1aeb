package access

import (
	"context"
	"crypto/md5" // #nosec G501 -- Digest is defined over it, and Windows encoders know nothing else
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What [Credentials.Identify] finds wrong. All but the last are answered with 401 and
// [Credentials.ChallengeFor].
var (
	ErrCredentialsMissing = errors.New("credentials missing")
	ErrCredentialsBad     = errors.New("credentials wrong")
	ErrCredentialsStale   = errors.New("credentials answer an old challenge")
	ErrCredentialsBusy    = errors.New("too many are logging in, try again") // 503
)

// CredentialsOptions tune [NewUsers]; zero fields take the defaults.
type CredentialsOptions struct {
	Realm         string           // default [Realm]
	AllowBasic    bool             // offer and accept Basic without TLS too; with TLS it always is
	NonceLifetime time.Duration    // default 2 minutes
	Hasher        *Hasher          // of hashed passwords; default: one of its own
	Now           func() time.Time // default time.Now
}

// Credentials are the users of one place and how they log in there. Methods may be
// called from any goroutine. A nil *Credentials asks for nothing.
type Credentials struct {
	users  *logins
	opts   CredentialsOptions
	nonces *nonces
}

// NewCredentials returns credentials for one user, or nil, which lets everyone in,
// when both user and password are empty. Without one of the two nobody gets in.
func NewCredentials(user, password string, opts CredentialsOptions) *Credentials {
	if user == "" && password == "" {
		return nil
	}
	c, err := NewUsers([]User{{Name: user, Password: password}}, opts)
	if err != nil {
		c, _ = NewUsers([]User{{Name: rand.Text(), Password: rand.Text()}}, opts)
	}
	return c
}

// NewUsers returns credentials for a list of users, or nil, which lets everyone in,
// for an empty list. The error names the user and what is wrong, without secrets.
func NewUsers(list []User, opts CredentialsOptions) (*Credentials, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if opts.Realm == "" {
		opts.Realm = Realm
	}
	if opts.NonceLifetime <= 0 {
		opts.NonceLifetime = 2 * time.Minute
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	users, err := newLogins(list, opts.Realm)
	if err != nil {
		return nil, err
	}
	if opts.Hasher == nil && len(users.hashed) > 0 {
		opts.Hasher = NewHasher(HasherOptions{Now: opts.Now})
	}
	return &Credentials{users: users, opts: opts, nonces: newNonces(opts.NonceLifetime, opts.Now)}, nil
}

// Challenge returns the values of WWW-Authenticate for a client without TLS.
func (c *Credentials) Challenge() []string { return c.ChallengeFor(nil, nil) }

// ChallengeFor returns the values of WWW-Authenticate in answer to what Identify
// returned for r, one scheme each, the better first: what at least one of the users can
// use. Send each as a line of its own: Windows encoders read no lists. After
// [ErrCredentialsStale] the client is told that its password was right. The list is
// empty when only TLS would do.
func (c *Credentials) ChallengeFor(r *http.Request, err error) []string {
	if c == nil {
		return nil
	}
	var list []string
	if c.users.digest {
		nonce := c.nonces.issue()
		digest := "Digest realm=" + quote(c.opts.Realm) + ", qop=\"auth\", algorithm=MD5, nonce=" + quote(nonce) +
			", opaque=" + quote(nonce[:8])
		if errors.Is(err, ErrCredentialsStale) {
			digest += ", stale=true"
		}
		list = append(list, digest)
	}
	if c.users.basic && c.takesBasic(r) {
		list = append(list, "Basic realm="+quote(c.opts.Realm))
	}
	return list
}

func (c *Credentials) takesBasic(r *http.Request) bool {
	return c.opts.AllowBasic || r != nil && r.TLS != nil
}

// Check is Identify for those who do not mind who it is.
func (c *Credentials) Check(r *http.Request) error {
	_, err := c.Identify(r)
	return err
}

// Identify returns the user whose credentials r carries, "" for nil credentials; else
// one of the errors above. It may take as long as a hashed password takes to check, and to
// wait for its turn, until r's context ends: not for an event loop.
func (c *Credentials) Identify(r *http.Request) (user string, err error) {
	if c == nil {
		return "", nil
	}
	given, ok := c.given(r)
	switch {
	case !ok:
		return "", ErrCredentialsMissing
	case given.scheme == "digest":
		return c.checkDigest(r, given)
	}
	return c.checkBasic(r.Context(), given)
}

// Given tells whether r carries credentials in a scheme that is looked at.
func (c *Credentials) Given(r *http.Request) bool {
	_, ok := c.given(r)
	return ok
}

// given returns the credentials that r carries in a scheme that is looked at.
func (c *Credentials) given(r *http.Request) (challenge, bool) {
	for _, line := range r.Header.Values("Authorization") {
		for _, given := range parseChallenges(line) {
			if given.scheme == "digest" || given.scheme == "basic" && c.takesBasic(r) {
				return given, true
			}
		}
	}
	return challenge{}, false
}

// checkBasic costs one hash whenever it fails, if any user has one: the time says
// nothing about who is known, nor who has a hash.
func (c *Credentials) checkBasic(ctx context.Context, given challenge) (string, error) {
	text, err := base64.StdEncoding.DecodeString(given.token68)
	if err != nil {
		return "", ErrCredentialsBad
	}
	name, password, found := strings.Cut(string(text), ":")
	if !found {
		return "", ErrCredentialsBad
	}
	u, known := c.users.find(name)
	switch {
	case known && u.hashed != "":
		right, err := c.opts.Hasher.check(ctx, u, password)
		switch {
		case err != nil:
			return "", err
		case !right:
			return "", ErrCredentialsBad
		}
		return u.name, nil
	case equal(password, u.password) == 1 && known && u.password != "":
		return u.name, nil
	}
	if decoy := c.users.decoy(name); decoy != nil {
		if _, err := c.opts.Hasher.compute(ctx, decoy, password); err != nil {
			return "", err
		}
	}
	return "", ErrCredentialsBad
}

// checkDigest checks an answer to a challenge of ours. The password is checked
// before the nonce: a stale nonce is told only to who knows the password, and only
// who knows it makes the pump remember anything.
func (c *Credentials) checkDigest(r *http.Request, given challenge) (string, error) {
	qop := strings.ToLower(given.get("qop"))
	if alg := given.get("algorithm"); (alg != "" && !strings.EqualFold(alg, "MD5")) || (qop != "" && qop != "auth") {
		return "", ErrCredentialsBad
	}
	nc, ncErr := strconv.ParseUint(given.get("nc"), 16, 32)
	if qop != "" && (ncErr != nil || given.get("cnonce") == "") {
		return "", ErrCredentialsBad
	}
	u, ha1 := c.digestUser(given.params["username"])
	want := digestAnswer(hashMD5, digestInput{
		ha1: ha1, method: r.Method, uri: given.params["uri"].raw,
		nonce: given.get("nonce"), qop: given.get("qop"), nc: given.get("nc"), cnonce: given.get("cnonce"),
	})
	if equal(strings.ToLower(given.get("response")), want) != 1 || u == nil || !sameTarget(r, given.params["uri"].raw) {
		return "", ErrCredentialsBad
	}
	if !c.nonces.alive(given.get("nonce")) || !c.nonces.use(given.get("nonce"), qop != "", uint32(nc)) {
		return u.name, ErrCredentialsStale
	}
	return u.name, nil
}

// digestUser returns the user that an answer names, in either reading of its name, and
// what to check the answer by; nil and some HA1 for who is not known or cannot use
// Digest.
func (c *Credentials) digestUser(name param) (*login, string) {
	for _, s := range []string{name.value, name.raw} {
		if u, known := c.users.find(s); known && u.ha1 != "" {
			return u, u.ha1
		}
	}
	return nil, c.users.noHA1
}

// sameTarget reports whether the uri a client signed is the one it asks for. Some
// sign the absolute form, some leave out the query.
func sameTarget(r *http.Request, signed string) bool {
	if signed == r.RequestURI {
		return true
	}
	u, err := url.ParseRequestURI(signed)
	return err == nil && r.URL != nil && u.EscapedPath() == r.URL.EscapedPath()
}

// equal compares in constant time, whatever the lengths; 1 is equal.
func equal(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// digestInput is what goes into an answer, as it stands on the wire.
type digestInput struct {
	user, realm, password, method, uri string
	nonce, qop, nc, cnonce             string
	ha1                                string // in place of user, realm and password
	sess                               bool   // algorithm ends in -sess
}

// digestAnswer is the response of RFC 2617 3.2.2.1 and RFC 7616 3.4.1; without qop
// that of RFC 2069.
func digestAnswer(hash func(string) string, in digestInput) string {
	a1 := in.ha1
	if a1 == "" {
		a1 = hash(in.user + ":" + in.realm + ":" + in.password)
	}
	if in.sess {
		a1 = hash(a1 + ":" + in.nonce + ":" + in.cnonce)
	}
	a2 := hash(in.method + ":" + in.uri)
	if in.qop == "" {
		return hash(a1 + ":" + in.nonce + ":" + a2)
	}
	return hash(a1 + ":" + in.nonce + ":" + in.nc + ":" + in.cnonce + ":" + in.qop + ":" + a2)
}

func hashMD5(s string) string {
	sum := md5.Sum([]byte(s)) // #nosec G401 -- see the import
	return hex.EncodeToString(sum[:])
}

func hashSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
