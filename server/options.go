package server

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// PushHandler takes over the connection of an encoder. req was read from br with
// [http.ReadRequest], so its Body can be read; its RemoteAddr is the client's, and its
// TLS is set where the connection is behind TLS: VerifiedChains[0][0] is then the
// client's certificate, if it showed one that was verified. ServeConn owns the connection
// until it returns, then the server closes it. ctx ends when the server is closed.
type PushHandler interface {
	ServeConn(ctx context.Context, conn net.Conn, br *bufio.Reader, req *http.Request)
}

// Options are what a server is made with and keeps for life. Streams is required.
type Options struct {
	Streams  *stream.Registry
	Limits   *access.Limits // admission of viewers and connections; nil for no limits
	Push     PushHandler    // nil refuses pushes with 404
	Gate     Gate           // nil lets everyone watch
	Audience Audience       // nil: nobody is told
	// Challenges answers requests below /.well-known/acme-challenge/; nil refuses them with
	// 404. It is called on goroutines of its own, and its answers are short.
	Challenges http.Handler
	Metrics    *telemetry.Metrics // nil for none
	Log        *slog.Logger       // nil discards
	Loops      int                // event loops; 0 for one a processor
	// PadPacket appends to dst a media packet padded to the nominal size, for viewers
	// of plain ASF; nil sends packets as they are.
	PadPacket func(dst, packet []byte, nominal int) ([]byte, error)
	Egress    string // how viewers are written to: EgressAuto ("" too), EgressURing, EgressWritev
	Settings  Settings
}

// Ways of writing to viewers. Both give the same guarantees.
const (
	EgressAuto   = "auto"     // io_uring where the kernel allows it, else writev
	EgressURing  = "io_uring" // one system call a batch of viewers; New fails where it is not to be had
	EgressWritev = "writev"   // one system call a viewer
)

// UplinkAuto has the server learn what the way to the viewers carries.
const UplinkAuto int64 = -1

// Settings are what may change while the server runs. A zero field takes its default.
type Settings struct {
	PulseMin       time.Duration // shortest time between two flushes of a loop; 10 ms
	PulseMax       time.Duration // longest, however many viewers; 200 ms
	BurstMax       time.Duration // how far back a joiner may start without a key frame; 2 s
	Uplink         int64         // bit/s that the way to the viewers carries, with all headers; 0: enough, UplinkAuto: to be learnt
	LagMax         time.Duration // behind the source, then the viewer is moved ahead; 10 s
	StallTimeout   time.Duration // without the viewer taking a byte, then it is dropped; 30 s
	HeadTimeout    time.Duration // for a request's head; 10 s
	HeadSize       int           // bytes of a request's head; 16 KiB
	SessionTimeout time.Duration // a client-id without a connection is forgotten; 60 s
	Redirect404    string        // Location for unknown paths; "" answers 404
	IDKey          string        // query parameter with a viewer's outside id; [access.IDKey]
	RetryAfter     time.Duration // told to viewers of a stream that is not live; 10 s

	// Proxies may say who is behind them, by the PROXY protocol or X-Forwarded-For; nil: nobody may.
	Proxies *access.Proxies
}

func (s Settings) withDefaults() Settings {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&s.PulseMin, 10*time.Millisecond)
	def(&s.PulseMax, 200*time.Millisecond)
	s.PulseMax = max(s.PulseMax, s.PulseMin)
	def(&s.BurstMax, 2*time.Second)
	def(&s.LagMax, 10*time.Second)
	def(&s.StallTimeout, 30*time.Second)
	def(&s.HeadTimeout, 10*time.Second)
	if s.HeadSize <= 0 {
		s.HeadSize = 16 << 10
	}
	def(&s.SessionTimeout, 60*time.Second)
	def(&s.RetryAfter, 10*time.Second)
	if s.IDKey == "" {
		s.IDKey = access.IDKey
	}
	return s
}

// Viewer is what is known of one viewer.
type Viewer struct {
	ID        string // unique while the program runs
	ClientID  string // of the viewer in another system, as it was given in the address: escape it
	User      string // who logged in, else empty
	By        string // what the viewer was let in with, empty without a gate
	SessionID uint32 // the protocol's session, 0 for plain ASF
	Visit     string // what the gate calls this viewing
	Stream    string
	Address   string         // host:port
	Remote    netip.AddrPort // the same
	UserAgent string         // as sent: escape it
	Kind      string         // KindMMSH or KindASF
	Relay     bool           // another pump
	TLS       bool
	Connected time.Time
	BytesOut  uint64
	Lag       time.Duration // behind the source
	Skipped   uint64        // packets jumped over
	Reason    Reason        // why it left, empty while it is there
	Left      time.Time     // zero while it is there
}
