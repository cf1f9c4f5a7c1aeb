package access

import (
	"errors"
	"net/http"
	"time"
)

// Refusal is why somebody may not come in. The set is closed: dashboards count by it.
type Refusal string

// The refusals.
const (
	RefusedNetwork     Refusal = "network"     // the address is not let in
	RefusedCredentials Refusal = "credentials" // missing or wrong
	RefusedToken       Refusal = "token"       // wrong
	RefusedSignature   Refusal = "signature"   // wrong
	RefusedExpired     Refusal = "expired"     // the time of a signed address is over
	RefusedElsewhere   Refusal = "elsewhere"   // a signed address is used from another network
	RefusedGuessing    Refusal = "guessing"    // the address has guessed too often and has to wait
	RefusedBusy        Refusal = "busy"        // too many are being looked at
	RefusedHook        Refusal = "hook"        // by the operator's own program
	RefusedHookFailed  Refusal = "hook_failed" // that program did not answer, and then nobody is let in
)

// Errors of a gate beside those of credentials and signed addresses.
var (
	ErrNetwork  = errors.New("this address is not let in")
	ErrTokenBad = errors.New("the token is wrong")
	ErrWantsTLS = errors.New("credentials are taken over TLS only here")
	ErrGuessing = errors.New("too many wrong attempts from this address, wait a moment")
)

// Denial is a refusal with all that the log and the peer are told. It never holds a
// secret.
type Denial struct {
	Reason     Refusal
	Err        error         // its text is for the peer
	Challenges []string      // one WWW-Authenticate line each
	Wait       time.Duration // until it is worth another attempt, 0 unknown
}

// Error returns the text for the log and for the peer.
func (d *Denial) Error() string { return d.Err.Error() }

// Unwrap returns what was found wrong.
func (d *Denial) Unwrap() error { return d.Err }

// Status is the HTTP status of the answer.
func (d *Denial) Status() int {
	switch d.Reason {
	case RefusedCredentials:
		if len(d.Challenges) > 0 {
			return http.StatusUnauthorized
		}
	case RefusedGuessing:
		return http.StatusTooManyRequests
	case RefusedBusy, RefusedHookFailed:
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}
