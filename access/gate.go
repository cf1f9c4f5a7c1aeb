package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// GateOptions say who is let in at a place. The zero value lets everyone in.
type GateOptions struct {
	Stream   string // path of the stream
	Networks Rules  // who is not permitted by them is refused whatever else he has

	// Any one of these lets in; where there are none, the networks decide alone.
	Credentials  *Credentials
	Tokens       []Token
	Certificates []string // "*", names, or fingerprints as sha256:…
	Keys         *Keyring // of signed addresses

	// Private lets in loopback, private and link-local addresses only, when nothing
	// above is set. Hint tells whoever is refused what to set.
	Private bool
	Hint    string

	Guards *Guards          // default: of its own
	Now    func() time.Time // default time.Now
}

// Guards are the guards of one place, by kind of secret. They outlive a gate, so that a
// change of configuration forgives nobody.
type Guards struct{ passwords, tokens, signatures *Guard }

// NewGuards returns guards that suspect nobody.
func NewGuards(o GuardOptions) *Guards { return &Guards{NewGuard(o), NewGuard(o), NewGuard(o)} }

// Gate lets people in at one place: the encoders of a stream, or its viewers. Methods
// may be called from any goroutine; a nil Gate lets everyone in.
type Gate struct {
	opts         GateOptions
	tokens       *tokens
	certificates *certificates
}

// NewGate returns a gate. The error says what is wrong with tokens or certificates,
// without secrets.
func NewGate(o GateOptions) (*Gate, error) {
	if o.Guards == nil {
		o.Guards = NewGuards(GuardOptions{Now: o.Now})
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t, tokensErr := newTokens(o.Tokens)
	c, certificatesErr := newCertificates(o.Certificates)
	if err := errors.Join(tokensErr, certificatesErr); err != nil {
		return nil, err
	}
	return &Gate{opts: o, tokens: t, certificates: c}, nil
}

// Visitor is who asks to be let in.
type Visitor struct {
	Request *http.Request // its head; TLS is set when it came by TLS
	Addr    netip.Addr
	Query   Query
}

// Ways of being let in.
const (
	ByNetwork     = "network"
	ByPassword    = "password"
	ByToken       = "token"
	ByCertificate = "certificate"
	BySignature   = "signature"
)

// Pass is what somebody is let in with.
type Pass struct {
	By      string    // one of the ways
	Name    string    // of the user, token, certificate or signing key
	Expires time.Time // end of what a signed address permits, else zero
}

// User is the name that was proved to be the visitor's own: not that of a key that
// others sign with.
func (p Pass) User() string {
	if p.By == BySignature {
		return ""
	}
	return p.Name
}

// Asks tells whether the gate wants more than the right address.
func (g *Gate) Asks() bool {
	return g != nil && (g.opts.Credentials != nil || g.tokens != nil || g.certificates != nil || g.opts.Keys != nil)
}

// Enter lets a visitor in, or says why not. A gate that Asks may take time, for hashes and
// for attempts to take their turn, until ctx is done: not for an event loop.
func (g *Gate) Enter(ctx context.Context, v Visitor) (Pass, *Denial) {
	switch {
	case g == nil:
		return Pass{By: ByNetwork}, nil
	case !g.opts.Networks.Permits(v.Addr):
		return Pass{}, &Denial{Reason: RefusedNetwork, Err: ErrNetwork}
	case !g.Asks():
		return g.byNetwork(v)
	}
	if name, ok := g.certificates.allows(v.Request.TLS); ok {
		return Pass{By: ByCertificate, Name: name}, nil
	}
	switch {
	case g.tokens != nil && v.Query.Token != "":
		return g.byToken(ctx, v)
	case g.opts.Keys != nil && v.Query.Signature != "":
		return g.bySignature(ctx, v)
	case g.opts.Credentials != nil:
		return g.byPassword(ctx, v)
	}
	return Pass{}, &Denial{Reason: RefusedCredentials, Err: g.missing()}
}

// byNetwork decides where nothing but the address counts.
func (g *Gate) byNetwork(v Visitor) (Pass, *Denial) {
	if g.opts.Private && g.opts.Networks.Allow.Len() == 0 && !IsPrivate(v.Addr) {
		err := ErrNetwork
		if g.opts.Hint != "" {
			err = fmt.Errorf("%w: %s", ErrNetwork, g.opts.Hint)
		}
		return Pass{}, &Denial{Reason: RefusedNetwork, Err: err}
	}
	return Pass{By: ByNetwork}, nil
}

// IsPrivate tells whether an address is of this machine or of a network of its owner:
// loopback, private (RFC 1918, RFC 4193) or link-local.
func IsPrivate(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// missing says what would let in.
func (g *Gate) missing() error {
	switch {
	case g.opts.Keys != nil:
		return ErrSignatureMissing
	case g.tokens != nil:
		return errors.New("a token is wanted: ?token=… behind the address")
	case g.certificates != nil:
		return errors.New("a client certificate is wanted, by TLS")
	}
	return ErrCredentialsMissing
}

// slowDown is the denial of an address that has to wait.
func slowDown(wait time.Duration) *Denial {
	return &Denial{Reason: RefusedGuessing, Err: ErrGuessing, Wait: wait}
}

func (g *Gate) byToken(ctx context.Context, v Visitor) (Pass, *Denial) {
	guard := g.opts.Guards.tokens
	if wait := guard.Begin(ctx, v.Addr); wait > 0 {
		return Pass{}, slowDown(wait)
	}
	name, ok := g.tokens.find(v.Query.Token)
	if !ok {
		guard.Wrong(v.Addr)
		return Pass{}, &Denial{Reason: RefusedToken, Err: ErrTokenBad}
	}
	guard.Right(v.Addr)
	return Pass{By: ByToken, Name: name}, nil
}

func (g *Gate) bySignature(ctx context.Context, v Visitor) (Pass, *Denial) {
	guard := g.opts.Guards.signatures
	if wait := guard.Begin(ctx, v.Addr); wait > 0 {
		return Pass{}, slowDown(wait)
	}
	grant, key, err := g.opts.Keys.Verify(g.opts.Stream, v.Query, g.opts.Now(), v.Addr)
	if errors.Is(err, ErrSignatureBad) {
		guard.Wrong(v.Addr)
		return Pass{}, &Denial{Reason: RefusedSignature, Err: err}
	}
	guard.Right(v.Addr)
	switch {
	case errors.Is(err, ErrElsewhere):
		return Pass{}, &Denial{Reason: RefusedElsewhere, Err: err}
	case err != nil:
		return Pass{}, &Denial{Reason: RefusedExpired, Err: err}
	}
	return Pass{By: BySignature, Name: key, Expires: grant.Expires}, nil
}

func (g *Gate) byPassword(ctx context.Context, v Visitor) (Pass, *Denial) {
	c, guard := g.opts.Credentials, g.opts.Guards.passwords
	r := v.Request.WithContext(ctx)
	deny := func(err error) *Denial {
		d := &Denial{Reason: RefusedCredentials, Err: err, Challenges: c.ChallengeFor(r, err)}
		if len(d.Challenges) == 0 {
			d.Err = ErrWantsTLS
		}
		return d
	}
	if !c.Given(r) {
		return Pass{}, deny(ErrCredentialsMissing)
	}
	if wait := guard.Begin(ctx, v.Addr); wait > 0 {
		return Pass{}, slowDown(wait)
	}
	name, err := c.Identify(r)
	switch {
	case err == nil:
		guard.Right(v.Addr)
		return Pass{By: ByPassword, Name: name}, nil
	case errors.Is(err, ErrCredentialsBusy):
		guard.Withdraw(v.Addr)
		return Pass{}, &Denial{Reason: RefusedBusy, Err: err, Wait: busyWait}
	case errors.Is(err, ErrCredentialsStale): // the password was right
		guard.Right(v.Addr)
	default:
		guard.Wrong(v.Addr)
	}
	return Pass{}, deny(err)
}

// busyWait is what who is sent away for want of a turn is told to wait.
const busyWait = 5 * time.Second
