package fleet

import (
	"fmt"
	"net/http"
)

// Codes of errors that the house answers with. The set grows, but no code changes.
const (
	CodeBadMessage     = "bad_message"       // 400: it will never be right; do not send it again
	CodeTooLarge       = "too_large"         // 413: likewise
	CodeUnauthorized   = "unauthorized"      // 401: key, certificate, invite or session is not good; say hello anew
	CodeRevoked        = "revoked"           // 403: the certificate was taken back
	CodeDisabled       = "disabled"          // 403: the roster says enabled: false, or has no such pump any more
	CodeTooMany        = "too_many_attempts" // 429: wait as Retry-After says
	CodeInsecure       = "insecure"          // 403: this needs TLS
	CodeUnavailable    = "unavailable"       // 503: the house cannot now; Retry-After
	CodeSuperseded     = "superseded"        // 409: a newer run of this pump has said hello
	CodeNotFound       = "not_found"         // 404
	CodeNotAllowed     = "method_not_allowed"
	CodeInternal       = "internal"
	CodeConflict       = "conflict"
	CodeInviteRequired = "invite_required" // 403: this pump has no key and no certificate
)

// Error is every answer of the house that is not what was asked for.
type Error struct {
	Status int    `json:"-"`
	Code   string `json:"code"` // for programs
	Text   string `json:"text"` // for people; never holds a secret
	WaitS  int    `json:"wait_s,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Text, e.Code) }

// Errorf makes an [Error].
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Text: fmt.Sprintf(format, args...)}
}

// Permanent tells whether sending the same again is pointless.
func (e *Error) Permanent() bool {
	return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge
}
