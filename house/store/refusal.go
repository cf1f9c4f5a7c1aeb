package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What NATS servers say is told with what would be right. Some of it waiting does not mend: with that a
// house does not start. All of it may come up later, too, and end again: a limit is raised, the servers
// are given the right password. Then it is only said, and tried again.

// refusal says what would be right, if an error of the servers is one that waiting does not mend;
// else nothing.
func refusal(o Options, err error) string {
	var cert *tls.CertificateVerificationError
	var limit *limitError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return credentials(o) + " must be those of an account of these servers, and not have ended"
	case strings.Contains(err.Error(), "key pair from file"), strings.Contains(err.Error(), "nkeys:"):
		return "nats.credentials " + o.Credentials + " must be a file as `nsc generate creds` writes it, with a JWT and an nkey seed"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "these servers have no TLS: nats.urls begin with nats:// then, or the servers need a tls block"
	case errors.As(err, &cert):
		return "nats.ca must be the authority that has signed the servers' certificate, for the name in nats.urls; and the clock must be right"
	case errors.As(err, &limit):
		return "" // says so itself
	}
	switch code(err) {
	case codeNotForAccount:
		return "the account must be allowed to use JetStream"
	case codeAlone:
		return "nats.replicas must be 1 with a server that is in no cluster"
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return "the account must be allowed to use JetStream"
	}
	return ""
}

// credentials are what the servers were shown.
func credentials(o Options) string {
	switch {
	case o.Credentials != "":
		return "the credentials in nats.credentials " + o.Credentials
	case o.User != "":
		return fmt.Sprintf("nats.user %q and nats.password", o.User)
	}
	return "nats.user and password, or nats.credentials, or the user or token in nats.urls"
}

// hint says what would be right, if an error is one that waiting may mend; else nothing.
func hint(err error) string {
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return "no server has JetStream ready: each needs `jetstream {store_dir: …}` in its configuration"
	case strings.Contains(err.Error(), "maximum connections exceeded"), errors.Is(err, nats.ErrMaxAccountConnectionsExceeded):
		return "max_connections of the servers and of the account must allow one for each house"
	case errors.Is(err, nats.ErrNoServers):
		return "nats.urls must be addresses of servers that run"
	case code(err) == codeNoPeers:
		return "nats.replicas must not be more than the servers of the cluster that are there and have JetStream"
	}
	return ""
}

// explained is an error with what would be right.
func explained(o Options, err error) error {
	why := refusal(o, err)
	if why == "" {
		why = hint(err)
	}
	if why == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, why)
}

// lasting tells whether a house does not start with an error.
func lasting(o Options, err error) bool {
	var limit *limitError
	return errors.As(err, &limit) || refusal(o, err) != ""
}

// limitError is a limit of the servers or of the account. It is an [ErrFull], though no disk is full.
type limitError struct {
	said  string // by the servers
	right string
}

func (e *limitError) Error() string {
	return "a limit of the NATS servers is reached: " + e.said + " (" + e.right + ")"
}

func (e *limitError) Is(target error) bool { return target == ErrFull }

// limit returns the limit that an error is about, nil if it is about none.
func limit(err error) error {
	room := "the roster needs room in max_file, leases some kilobytes in max_mem, of the account and of the servers' jetstream block"
	right := map[jetstream.ErrorCode]string{
		codeAccountLimits:  room,
		codeNoMemory:       room,
		codeNoStorage:      room,
		codeAccountStreams: "max_streams of the account must allow two streams for a fleet, one of them in memory",
		codeConsumers:      "max_consumers of the account must allow four for each house",
	}[code(err)]
	switch {
	case right != "":
		return &limitError{strings.TrimPrefix(err.Error(), "nats: "), right}
	case errors.Is(err, nats.ErrMaxPayload):
		return &limitError{err.Error(), payload}
	}
	return nil
}

// leastPayload is what servers must take as one message.
const leastPayload = MaxValue + 64<<10

var payload = fmt.Sprintf("max_payload of the servers must be %d or more; it is 1 MB where nothing is set", leastPayload)

// code is that of an error of NATS, 0 if there is none.
func code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	var older *nats.APIError // of watches
	switch {
	case errors.As(err, &api):
		return api.ErrorCode
	case errors.As(err, &older):
		return jetstream.ErrorCode(older.ErrorCode)
	}
	return 0
}

// Codes of NATS's errors (server/errors.json).
const (
	codeAccountLimits  jetstream.ErrorCode = 10002
	codeNoPeers        jetstream.ErrorCode = 10005
	codeConsumers      jetstream.ErrorCode = 10026
	codeAccountStreams jetstream.ErrorCode = 10027
	codeNotForAccount  jetstream.ErrorCode = 10039
	codeAlone          jetstream.ErrorCode = 10074
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
