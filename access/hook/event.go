package hook

import (
	"net/netip"

	"github.com/stream-pump/stream-pump/access"
)

// The actions, as they stand in events and in the configuration.
const (
	OnPublish   = "on_publish"
	OnUnpublish = "on_unpublish"
	OnPlay      = "on_play"
	OnStop      = "on_stop"
)

// Event is what the operator's program gets.
type Event struct {
	Action    string     `json:"action"`
	Session   string     `json:"session"` // of one push or one viewing: the same when it begins and ends
	Stream    string     `json:"stream"`  // path
	ID        string     `json:"id"`      // of the viewer in another system, as he gave it
	Address   netip.Addr `json:"address"`
	User      string     `json:"user"` // who logged in, the token's or the certificate's name
	By        string     `json:"by"`   // what the pump has let him in with: network, password, token, certificate or signature
	UserAgent string     `json:"user_agent"`
	Query     string     `json:"query"` // of the address, as it came
	TLS       bool       `json:"tls"`
	Kind      string     `json:"kind"` // push, mmsh or asf

	// When it is over.
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Bytes   uint64  `json:"bytes,omitempty"`
	Packets uint64  `json:"packets,omitempty"` // of a push; for a viewer those that were skipped
}

// Of fills in what a pass tells.
func (e Event) Of(p access.Pass) Event {
	e.User, e.By = p.User(), p.By
	return e
}
