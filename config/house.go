package config

import (
	"net/netip"
	"reflect"
	"time"
)

// House is one whole configuration of pump-house. Every field has its value: the file's, the
// environment's (HouseEnvPrefix) or the default. It is not changed after [ParseHouse].
//
// Every key carries a reload tag: live, or restart.
type House struct {
	Name string `yaml:"name" reload:"restart"` // of this house among others; empty: the host's name

	// The doors.
	Port      int      `yaml:"port" reload:"restart"`       // viewers, without TLS; used when Listen is empty
	Listen    []string `yaml:"listen" reload:"restart"`     // host:port, instead of Port
	SSL       bool     `yaml:"ssl" reload:"restart"`        // pumps, page, API and viewers, with TLS
	SSLPort   int      `yaml:"ssl_port" reload:"restart"`   // used when SSLListen is empty
	SSLListen []string `yaml:"ssl_listen" reload:"restart"` // host:port, instead of SSLPort
	SSLKey    string   `yaml:"ssl_key" reload:"live"`       // file; empty: the house's own authority
	SSLCert   string   `yaml:"ssl_cert" reload:"live"`      // file
	SSLNames  Names    `yaml:"ssl_names" reload:"restart"`  // names and addresses in the own certificate; empty: the host's

	Data            string `yaml:"data" reload:"restart"`           // folder
	PumpsRosterJSON string `yaml:"pumps_roster_json" reload:"live"` // file

	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" reload:"live"`
	ProxyProtocol  bool           `yaml:"proxy_protocol" reload:"restart"`

	IDParameter string `yaml:"id_parameter" reload:"restart"` // of the query, with a viewer's outside id
	PublicURL   string `yaml:"public_url" reload:"live"`      // of page and API, for browsers that come without TLS; empty: by the names of the certificate
	FallbackURL string `yaml:"fallback_url" reload:"live"`    // when no pump can take a viewer; empty: 503

	Signing      Signing      `yaml:"signing"` // of addresses that pumps check
	Relay        Relay        `yaml:"relay"`
	Telemetry    Telemetry    `yaml:"telemetry"`
	Certificates Certificates `yaml:"certificates"`
	Metrics      Metrics      `yaml:"metrics"`
	NATS         NATS         `yaml:"nats"`
	Log          Log          `yaml:"log"`
	Drain        Drain        `yaml:"drain"`

	Users    []HouseUser `yaml:"users" reload:"live"`
	Webhooks []Webhook   `yaml:"webhooks" reload:"live"`
	Streams  []Stream    `yaml:"streams" reload:"live"`

	// Dir is the folder of the file; relative paths were joined to it.
	Dir string `yaml:"-"`
}

// Relay is what the house serves itself, by a pump within it, to players that follow no redirect.
type Relay struct {
	Viewers   int       `yaml:"viewers" reload:"live"`   // 0: none
	Bandwidth Bandwidth `yaml:"bandwidth" reload:"live"` // 0: no limit
	Linger    Duration  `yaml:"linger" reload:"live"`    // a stream is kept so long after its last viewer has left
	CA        string    `yaml:"ca" reload:"restart"`     // file, PEM: authorities of pumps and sources behind TLS, beside the system's and the house's own
}

// Telemetry is how often pumps tell what they do.
type Telemetry struct {
	Interval  Duration `yaml:"interval" reload:"restart"`
	DeadAfter Duration `yaml:"dead_after" reload:"restart"` // silent for so long, a pump counts as dead
}

// Certificates are those that the house gives to pumps, and its own.
type Certificates struct {
	Valid   Duration `yaml:"valid" reload:"restart"`
	Invites Duration `yaml:"invites" reload:"restart"` // how long an invite is good
}

// Metrics is who may read /metrics without logging in.
type Metrics struct {
	Allow []netip.Prefix `yaml:"allow" reload:"live"`
}

// NATS is where the fleet is kept: in a server of the house's own, which may form a cluster
// with those of other houses, or in one that is there.
type NATS struct {
	URLs        Names       `yaml:"urls" reload:"restart"` // of servers that are there; empty: the own one
	Credentials string      `yaml:"credentials" reload:"restart"`
	User        string      `yaml:"user" reload:"restart"`
	Password    string      `yaml:"password" reload:"restart"`
	CA          string      `yaml:"ca" reload:"restart"` // file, PEM; empty: the system's
	Replicas    int         `yaml:"replicas" reload:"restart"`
	Prefix      string      `yaml:"prefix" reload:"restart"` // of buckets and subjects
	Cluster     NATSCluster `yaml:"cluster"`
}

// NATSCluster joins the houses' own servers.
type NATSCluster struct {
	Listen string   `yaml:"listen" reload:"restart"` // host:port; empty: this house is alone
	Routes []string `yaml:"routes" reload:"restart"` // host:port of the other houses
	Secret string   `yaml:"secret" reload:"restart"` // the same in all houses
	Cert   string   `yaml:"cert" reload:"restart"`   // files, PEM: between houses
	Key    string   `yaml:"key" reload:"restart"`
	CA     string   `yaml:"ca" reload:"restart"`
}

// HouseUser may log in at the page and the API.
type HouseUser struct {
	Name         string `yaml:"name"`
	PasswordHash string `yaml:"password_hash"` // bcrypt or argon2id
	Role         string `yaml:"role"`          // RoleLook or RoleSteer
}

// Roles of users and tokens.
const (
	RoleLook  = "look"
	RoleSteer = "steer"
)

// Webhook is told what happens.
type Webhook struct {
	URL    string `yaml:"url"`
	Secret string `yaml:"secret"` // of the signature
	Events Names  `yaml:"events"` // empty: all
}

// HouseEvents are the words of webhooks[].events.
var HouseEvents = []string{
	"viewer_joined", "viewer_left", "viewer_poor", "pump_up", "pump_down", "pump_full", "stream_live", "stream_lost",
}

// HouseEnvPrefix is how the variables of pump-house's settings begin.
const HouseEnvPrefix = "PUMP_HOUSE_"

// DefaultHouse returns the configuration of an empty file: no pumps, no streams, and
// every setting at the value documented in examples/pump-house.yaml.
func DefaultHouse() *House {
	const s, h = Duration(time.Second), Duration(time.Hour)
	return &House{
		Port: 8090, SSL: true, SSLPort: 8091,
		Data: "pump-house.data", IDParameter: "id", Relay: Relay{Viewers: 20, Linger: 30 * s},
		Telemetry:    Telemetry{Interval: 1 * s, DeadAfter: 3 * s},
		Certificates: Certificates{Valid: 90 * 24 * h, Invites: 24 * h},
		NATS:         NATS{Replicas: 1, Prefix: "pumphouse"},
		Log:          Log{Format: "auto", Level: "info"},
		Drain:        Drain{Timeout: 10 * s},
	}
}

// ListenAddresses returns where viewers are served without TLS.
func (h *House) ListenAddresses() []string { return doorsAt(h.Listen, h.Port) }

// SSLAddresses returns where everybody is served with TLS; nothing when SSL is off.
func (h *House) SSLAddresses() []string {
	if !h.SSL {
		return nil
	}
	return doorsAt(h.SSLListen, h.SSLPort)
}

// YAML returns the configuration with every setting written out. [ParseHouse] reads it
// back to the same House, unless redact is set: then secrets are ***.
func (h *House) YAML(redact bool) []byte {
	e := emitter{redact: redact}
	e.fields(reflect.ValueOf(h).Elem(), 0, false)
	return e.b.Bytes()
}

// DiffHouse returns what differs between two configurations of a house, lists as a whole.
func DiffHouse(old, new *House) []Change {
	var list []Change
	settings(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), "", &list)
	if !same(reflect.ValueOf(old.Streams), reflect.ValueOf(new.Streams)) {
		list = append(list, Change{Key: "streams", What: Changed, Effect: EffectLive})
	}
	return list
}
