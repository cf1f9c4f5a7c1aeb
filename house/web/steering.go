package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// What a [Steering] refuses. Errors of wrong content are problems with their places, as
// the commands print them.
var (
	ErrNotFound    = errors.New("there is none with this name")
	ErrChanged     = errors.New("somebody else has changed it meanwhile")
	ErrUnavailable = errors.New("the store cannot be written now")
	ErrUnreachable = errors.New("the pump is not connected")
	ErrNoKeys      = errors.New("there is no key to sign with (signing.keys)")
)

// Steering changes the fleet. A change that returned without an error is kept by the store
// and survives the house. Revisions are the store's; 0 stands for "whatever is there".
type Steering interface {
	// PutPump adds or changes a pump; the whole roster must be right with it.
	PutPump(ctx context.Context, p roster.Pump, revision uint64) (uint64, error)
	DeletePump(ctx context.Context, id string, revision uint64) error
	PumpRevision(id string) uint64

	// SetKey gives a pump a key; an empty one takes the key away.
	SetKey(ctx context.Context, id, key string) error

	// Streams are objects in the language of stream-pump's configuration, as entries of
	// streams there; secrets within are ***.
	Streams() []StreamEntry
	PutStream(ctx context.Context, stream json.RawMessage, revision uint64) (path string, now uint64, err error)
	DeleteStream(ctx context.Context, path string, revision uint64) error

	ImportRoster(ctx context.Context, name string, text []byte) error
	ExportRoster() []byte

	// Plan tells what a roster file would do to the viewers of now; nothing is put in force.
	Plan(name string, text []byte) (*roster.Plan, error)

	Invite(ctx context.Context, id string, valid time.Duration) (token string, err error)
	Certificates() []Certificate
	Revoke(ctx context.Context, serial string) error

	// Tokens are for the API; the text of one is shown once.
	Tokens() []Token
	CreateToken(ctx context.Context, name, role string, valid time.Duration) (Token, string, error)
	DeleteToken(ctx context.Context, id string) error
	CheckToken(text string) (Token, bool)

	// Sign returns the signed address of a stream, as a path with its query, which the pumps
	// check. id and network may be empty.
	Sign(stream, id string, valid time.Duration, network netip.Prefix) (address string, expires time.Time, err error)

	// Kick and Inspect wait for the pump's answer, within the context's time.
	Kick(ctx context.Context, pump string, viewers, clients []string, reason string) ([]fleet.Viewer, error)
	Inspect(ctx context.Context, pump string, viewers, clients []string) ([]fleet.Viewer, error)
}

// StreamEntry is one stream as it is configured.
type StreamEntry struct {
	Path     string
	Revision uint64
	Settings json.RawMessage
}

// Certificate is one that the house's authority gave out.
type Certificate struct {
	Serial   string // hexadecimal
	Pump     string
	Issued   time.Time
	NotAfter time.Time
	Revoked  time.Time // zero: it is good
	Issuer   string    // who asked for it: invite, renewal
}

// Token lets a program use the API.
type Token struct {
	ID      string
	Name    string
	Role    string // look or steer
	Created time.Time
	Expires time.Time // zero: never
}
