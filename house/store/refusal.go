package store

import (
	"crypto/tls"
	"errors"
	"net/url"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// refusal says what would be right, if an error of the servers is one that waiting does not mend;
// else nothing.
func refusal(err error) string {
	var cert *tls.CertificateVerificationError
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return "nats.user and password, or nats.credentials, must be those of an account of these servers"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "the account must be allowed to use JetStream"
	case errors.As(err, &cert):
		return "nats.ca must be the authority that has signed the servers' certificate, for the name in nats.urls; and the clock must be right"
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeNotForAccount:
			return "the account must be allowed to use JetStream"
		case codeAccountLimits, codeAccountStreams:
			return "the account's limits of JetStream must allow two streams, one of them in memory, with as much room as the roster takes"
		}
	}
	return ""
}

// Codes of NATS's errors (server/errors.json).
const (
	codeAccountLimits  jetstream.ErrorCode = 10002
	codeAccountStreams jetstream.ErrorCode = 10027
	codeNotForAccount  jetstream.ErrorCode = 10039
)

// hosts are addresses without what may be secret in them.
func hosts(urls []string) []string {
	list := make([]string, 0, len(urls))
	for _, s := range urls {
		if u, err := url.Parse(s); err == nil {
			list = append(list, u.Host)
		}
	}
	return list
}
