package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxSaid is how much is kept of what an error says, in bytes.
const maxSaid = 200

var errUnreadable = errors.New("the answer is no HTTP that can be read, or its head is too long")

// ReplyError is an error of an [http.Client] for the log, without the address: what the network, TLS or our own patience
// say. Other errors quote the answer, which may be long, and may repeat what it was sent.
func ReplyError(err error) error {
	var (
		u     *url.Error
		way   *net.OpError
		name  *net.DNSError
		cert  *tls.CertificateVerificationError
		alert tls.AlertError
	)
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.As(err, &way), errors.As(err, &name), errors.As(err, &cert), errors.As(err, &alert),
		errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	default:
		return errUnreadable
	}
	if text := err.Error(); len(text) > maxSaid {
		return errors.New(strings.ToValidUTF8(text[:maxSaid], "") + "…")
	}
	return err
}
