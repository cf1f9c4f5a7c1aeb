package config

import (
	"net/netip"
	"time"
)

// Types of streams.
const (
	TypePull     = "mmsh_pull"
	TypePush     = "mmsh_push"
	TypeFileLoop = "file_loop"
	TypeTestCard = "test_card"
)

// Ways of writing to viewers.
const (
	EgressAuto   = "auto" // io_uring where the kernel has it, else writev
	EgressURing  = "io_uring"
	EgressWritev = "writev"
)

// What is asked of TLS clients, where there are authorities to verify it.
const (
	ClientRequest = "request" // a certificate may be shown, and is then verified
	ClientRequire = "require" // it must be
)

// Duration is a time.Duration that is spelled "200ms", "30s", "1m30s" or as a
// plain number of seconds.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Size is a number of bytes, spelled 65536, "512KiB", "64MiB" or "1G" (powers of
// 1000 without the i).
type Size int64

// Bandwidth is a number of bits per second, spelled 300000, "300k", "1M" or
// "1.5Gbit/s" (powers of 1000). 0 means no limit where it is a limit.
type Bandwidth int64

// Config is one whole configuration of stream-pump. Every field has its value:
// the file's, the environment's or the default. It is not changed after Parse.
//
// Every key carries a reload tag with the [Effect] of changing it while the pump runs:
// live, next, source or restart.
type Config struct {
	// The public port.
	Port    int      `yaml:"port" reload:"restart"`   // used when Listen is empty
	Listen  []string `yaml:"listen" reload:"restart"` // host:port, instead of Port
	SSL     bool     `yaml:"ssl" reload:"restart"`
	SSLPort int      `yaml:"ssl_port" reload:"restart"`
	SSLKey  string   `yaml:"ssl_key" reload:"live"`  // file, relative to the configuration
	SSLCert string   `yaml:"ssl_cert" reload:"live"` // file, relative to the configuration

	SSLWatch             Duration `yaml:"ssl_watch" reload:"live"`              // how often the files are looked at; 0: only at a reload
	SSLClientCA          string   `yaml:"ssl_client_ca" reload:"live"`          // file, relative to the configuration; empty: no client is asked
	SSLClientCertificate string   `yaml:"ssl_client_certificate" reload:"live"` // request or require

	ACME ACME `yaml:"acme"`

	Redirect404To  string         `yaml:"redirect_404_to" reload:"live"` // empty: answer 404
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" reload:"live"` // whose word is taken on who is behind them

	// The proxy for pulling.
	UseHTTPProxy              bool   `yaml:"use_http_proxy" reload:"next"`
	HTTPProxyHost             string `yaml:"http_proxy_host" reload:"next"`
	HTTPProxyPort             int    `yaml:"http_proxy_port" reload:"next"`
	UseProxyForLocalAddresses bool   `yaml:"use_proxy_for_local_addresses" reload:"next"`

	// Who watches.
	IDParameter string  `yaml:"id_parameter" reload:"live"` // query parameter with a viewer's id in another system
	Signing     Signing `yaml:"signing"`
	Hook        Hook    `yaml:"hook"`

	House   Membership `yaml:"house"`
	RunAs   RunAs      `yaml:"run_as"`
	Admin   Admin      `yaml:"admin"`
	SNMP    SNMP       `yaml:"snmp"`
	Log     Log        `yaml:"log"`
	Limits  Limits     `yaml:"limits"`
	Uplink  Uplink     `yaml:"uplink" reload:"live"`
	Pulse   Pulse      `yaml:"pulse"`
	Burst   Burst      `yaml:"burst"`
	Lag     Lag        `yaml:"lag"`
	Stall   Stall      `yaml:"stall"`
	Ring    Ring       `yaml:"ring"`
	Request Request    `yaml:"request"`
	Push    Push       `yaml:"push"`
	Pull    Pull       `yaml:"pull"`
	Drain   Drain      `yaml:"drain"`

	Hold       Duration `yaml:"hold" reload:"live"`           // viewers wait this long for a lost source
	Egress     string   `yaml:"egress" reload:"restart"`      // auto, io_uring or writev
	EventLoops int      `yaml:"event_loops" reload:"restart"` // 0: one per processor

	Streams []Stream `yaml:"streams"`

	// Dir is the folder of the file; relative paths were joined to it.
	Dir string `yaml:"-"`
}

// Admin is the port for operators. An empty Listen turns it off.
type Admin struct {
	Listen string         `yaml:"listen" reload:"restart"` // host:port
	Allow  []netip.Prefix `yaml:"allow" reload:"live"`     // empty: anyone who reaches Listen
}

// Log is what goes to standard error.
type Log struct {
	Format string `yaml:"format" reload:"restart"` // auto, text or json
	Level  string `yaml:"level" reload:"live"`     // debug, info, warn or error
}

// Pulse is the time between two flushes: short when idle, stretched under load.
type Pulse struct {
	Min Duration `yaml:"min" reload:"live"`
	Max Duration `yaml:"max" reload:"live"`
}

// Burst is what a joining viewer gets at once.
type Burst struct {
	Max       Duration  `yaml:"max" reload:"live"`       // media time
	Bandwidth Bandwidth `yaml:"bandwidth" reload:"live"` // for all joins together; 0: no limit

	BandwidthPerAddress Bandwidth `yaml:"bandwidth_per_address" reload:"live"`
}

// Lag is how far a viewer may fall behind before it jumps to a key frame.
type Lag struct {
	Max Duration `yaml:"max" reload:"live"`
}

// Stall is when a viewer that takes no byte is let go.
type Stall struct {
	Timeout Duration `yaml:"timeout" reload:"live"`
}

// Ring bounds what is kept of each stream; the first bound reached counts.
type Ring struct {
	Packets  int      `yaml:"packets" reload:"next"`
	Bytes    Size     `yaml:"bytes" reload:"next"`
	Duration Duration `yaml:"duration" reload:"next"`
}

// Request bounds how a client asks.
type Request struct {
	HeadTimeout Duration `yaml:"head_timeout" reload:"live"`
	HeadSize    Size     `yaml:"head_size" reload:"live"` // bytes
	IdleTimeout Duration `yaml:"idle_timeout" reload:"live"`
}

// Push bounds how long an encoder may be silent.
type Push struct {
	IdleTimeout    Duration `yaml:"idle_timeout" reload:"live"`
	SessionTimeout Duration `yaml:"session_timeout" reload:"live"`
}

// Pull bounds how long a source may be silent and how it is asked again.
type Pull struct {
	Timeout Duration `yaml:"timeout" reload:"next"`
	Backoff Backoff  `yaml:"backoff"`
}

// Backoff is the wait between two attempts, growing from Min to Max.
type Backoff struct {
	Min Duration `yaml:"min" reload:"next"`
	Max Duration `yaml:"max" reload:"next"`
}

// Drain bounds how long the end may take.
type Drain struct {
	Timeout Duration `yaml:"timeout" reload:"live"`
}

// Stream is one stream.
type Stream struct {
	Name    string `yaml:"name" reload:"live"`
	Enabled bool   `yaml:"enabled" reload:"live"`
	Type    string `yaml:"type" reload:"source"`  // one of the Type constants
	Path    string `yaml:"path" reload:"restart"` // [A-Za-z0-9_-]+, as written; matched in any case

	// SourceOptions is the one source of the 2011 spelling; Sources are tried in
	// order. AllSources joins them.
	SourceOptions *Source  `yaml:"source_options" reload:"source"`
	Sources       []Source `yaml:"sources" reload:"source"`

	File string `yaml:"file" reload:"source"` // of a file_loop

	ReturnAfter Duration     `yaml:"return_after" reload:"next"` // better source good this long: go back; 0: never
	Hold        *Duration    `yaml:"hold" reload:"live"`         // nil: as the pump's
	Takeover    bool         `yaml:"takeover" reload:"live"`     // a new push replaces the running one
	Proxy       *bool        `yaml:"proxy" reload:"source"`      // nil: use_http_proxy decides
	Publish     Publish      `yaml:"publish"`
	Play        Play         `yaml:"play"`
	Limits      StreamLimits `yaml:"limits"`
	Lag         StreamLag    `yaml:"lag"`
	Burst       StreamBurst  `yaml:"burst"`
}

// Source is where a stream comes from: a URL, or a host with port and path.
type Source struct {
	Type     string `yaml:"type"` // empty: as the stream's
	URL      string `yaml:"url"`
	Host     string `yaml:"host"`
	Port     int    `yaml:"port"` // default 80
	Path     string `yaml:"path"` // default /
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	File     string `yaml:"file"`
}

// StreamLag overrides Lag; nil fields do not.
type StreamLag struct {
	Max *Duration `yaml:"max" reload:"live"`
}

// StreamBurst overrides Burst; nil fields do not. Bandwidth is for the joins of the stream,
// beside the one for all joins together.
type StreamBurst struct {
	Max       *Duration `yaml:"max" reload:"live"`
	Bandwidth Bandwidth `yaml:"bandwidth" reload:"live"`
}
