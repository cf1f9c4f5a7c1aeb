package access

import (
	"crypto/md5"
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

// What [Credentials.Check] finds wrong. Each is answered with 401 and
// [Credentials.ChallengeAfter].
var (
	ErrCredentialsMissing = errors.New("credentials missing")
	ErrCredentialsBad     = errors.New("credentials wrong")
	ErrCredentialsStale   = errors.New("credentials answer an old challenge")
)

// CredentialsOptions tune [NewCredentials]; zero fields take the defaults.
type CredentialsOptions struct {
	Realm         string           // default "stream-pump"
	AllowBasic    bool             // also offer and accept Basic
	NonceLifetime time.Duration    // default 2 minutes
	Now           func() time.Time // default time.Now
}

// Credentials are the user and password asked of whoever pushes a stream. Methods
// may be called from any goroutine. A nil *Credentials asks for nothing.
type Credentials struct {
	user, password string
	opts           CredentialsOptions
	nonces         *nonces
}

// NewCredentials returns credentials for one user, or nil, which lets everyone in,
// when both user and password are empty.
func NewCredentials(user, password string, opts CredentialsOptions) *Credentials {
	if user == "" && password == "" {
		return nil
	}
	if opts.Realm == "" {
		opts.Realm = "stream-pump"
	}
	if opts.NonceLifetime <= 0 {
		opts.NonceLifetime = 2 * time.Minute
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Credentials{user: user, password: password, opts: opts, nonces: newNonces(opts.NonceLifetime, opts.Now)}
}

// Challenge returns the values of WWW-Authenticate, one scheme each, the better
// first. Send each as a line of its own: Windows encoders read no lists.
func (c *Credentials) Challenge() []string { return c.ChallengeAfter(nil) }

// ChallengeAfter is [Credentials.Challenge] in answer to what Check returned: after
// [ErrCredentialsStale] the client is told that its password was right.
func (c *Credentials) ChallengeAfter(err error) []string {
	if c == nil {
		return nil
	}
	nonce := c.nonces.issue()
	digest := "Digest realm=" + quote(c.opts.Realm) + ", qop=\"auth\", algorithm=MD5, nonce=" + quote(nonce) +
		", opaque=" + quote(nonce[:8])
	if errors.Is(err, ErrCredentialsStale) {
		digest += ", stale=true"
	}
	if !c.opts.AllowBasic {
		return []string{digest}
	}
	return []string{digest, "Basic realm=" + quote(c.opts.Realm)}
}

// Check returns nil when r carries the right credentials, else one of
// [ErrCredentialsMissing], [ErrCredentialsBad] and [ErrCredentialsStale].
func (c *Credentials) Check(r *http.Request) error {
	if c == nil {
		return nil
	}
	for _, line := range r.Header.Values("Authorization") {
		for _, given := range parseChallenges(line) {
			switch {
			case given.scheme == "digest":
				return c.checkDigest(r, given)
			case given.scheme == "basic" && c.opts.AllowBasic:
				return c.checkBasic(given)
			}
		}
	}
	return ErrCredentialsMissing
}

func (c *Credentials) checkBasic(given challenge) error {
	text, err := base64.StdEncoding.DecodeString(given.token68)
	if err != nil {
		return ErrCredentialsBad
	}
	user, password, found := strings.Cut(string(text), ":")
	if !found || equal(user, c.user)&equal(password, c.password) != 1 {
		return ErrCredentialsBad
	}
	return nil
}

// checkDigest checks an answer to a challenge of ours. The password is checked
// before the nonce: a stale nonce is told only to who knows the password, and only
// who knows it makes the pump remember anything.
func (c *Credentials) checkDigest(r *http.Request, given challenge) error {
	qop := strings.ToLower(given.get("qop"))
	if alg := given.get("algorithm"); (alg != "" && !strings.EqualFold(alg, "MD5")) || (qop != "" && qop != "auth") {
		return ErrCredentialsBad
	}
	nc, ncErr := strconv.ParseUint(given.get("nc"), 16, 32)
	if qop != "" && (ncErr != nil || given.get("cnonce") == "") {
		return ErrCredentialsBad
	}
	want := digestAnswer(hashMD5, digestInput{
		user: c.user, realm: c.opts.Realm, password: c.password, method: r.Method, uri: given.params["uri"].raw,
		nonce: given.get("nonce"), qop: given.get("qop"), nc: given.get("nc"), cnonce: given.get("cnonce"),
	})
	name := given.params["username"]
	user := equal(name.value, c.user) | equal(name.raw, c.user)
	if user&equal(strings.ToLower(given.get("response")), want) != 1 || !sameTarget(r, given.params["uri"].raw) {
		return ErrCredentialsBad
	}
	if !c.nonces.alive(given.get("nonce")) || !c.nonces.use(given.get("nonce"), qop != "", uint32(nc)) {
		return ErrCredentialsStale
	}
	return nil
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
	sess                               bool // algorithm ends in -sess
}

// digestAnswer is the response of RFC 2617 3.2.2.1 and RFC 7616 3.4.1; without qop
// that of RFC 2069.
func digestAnswer(hash func(string) string, in digestInput) string {
	a1 := hash(in.user + ":" + in.realm + ":" + in.password)
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
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func hashSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
