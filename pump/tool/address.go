package tool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// ErrAddress says that an address is not one of a stream.
var ErrAddress = errors.New("bad address")

// address is where a stream is, taken apart.
type address struct {
	url            *url.URL
	tls            bool
	dial           string // host:port
	host           string // as it stands in the Host header
	target         string // path and query
	user, password string
}

// parseAddress reads http, https, mmsh or mms addresses. Errors do not contain secrets.
func parseAddress(s string) (address, error) {
	u, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return address{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	a := address{url: u, host: u.Host, target: u.RequestURI()}
	port := "80"
	switch strings.ToLower(u.Scheme) {
	case "http", "mmsh", "mms":
	case "https":
		a.tls, port = true, "443"
	default:
		return address{}, fmt.Errorf("%w %s: want mmsh://HOST:PORT/PATH, http:// or https://", ErrAddress, telemetry.Redact(s))
	}
	if u.Hostname() == "" {
		return address{}, fmt.Errorf("%w %s: it names no host", ErrAddress, telemetry.Redact(s))
	}
	if p := u.Port(); p != "" {
		port = p
	}
	a.dial = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
	return a, nil
}

// String is the address without secrets.
func (a address) String() string { return telemetry.Redact(a.url.String()) }

// connect opens a connection within the time.
func (a address) connect(ctx context.Context, limit time.Duration, insecure bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.dial)
	if err != nil {
		return nil, explainDial(a, limit, err)
	}
	if !a.tls {
		return conn, nil
	}
	tc := tls.Client(conn, &tls.Config{ServerName: a.url.Hostname(), InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12}) // #nosec G402 -- the operator asked for it
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connecting to %s with TLS: %w", a.dial, err)
	}
	return tc, nil
}

func explainDial(a address, limit time.Duration, err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connecting to %s: refused, nothing listens there: %w", a.dial, err)
	case errors.As(err, &dns):
		return fmt.Errorf("looking up %s: %w", a.url.Hostname(), err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("connecting to %s: no answer within %v: %w", a.dial, limit, err)
	}
	return fmt.Errorf("connecting to %s: %w", a.dial, err)
}
