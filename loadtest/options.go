package loadtest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Options say what to measure and how. The zero value of a field is its default.
type Options struct {
	Clients  int           // viewers; default 100
	URLs     []string      // streams, taken round robin; none: a pump and a source of our own
	Duration time.Duration // steady state, after the ramp; default 20 s
	Ramp     float64       // new viewers a second; 0: all at once; below 0: a tenth of them, 50 to 1000

	Rate        int           // synthetic source: bit/s; default 300,000
	Packet      int           // synthetic source: bytes of an ASF packet; default 1400
	KeyInterval time.Duration // synthetic source; default 2 s

	Slow    float64 // share of viewers that stop reading, or with SlowBPS read slowly
	SlowBPS int     // bit/s that slow viewers read; alone, all viewers are slow
	Churn   float64 // viewers a second that leave and come back

	ID        string // begins the viewers' names, which they send as ?id=, in User-Agent and as GUID
	Proxy     string // HTTP proxy
	ServerPID int    // process whose CPU and memory are the server's; 0: none, or our own pump
	Plain     bool   // ask for plain ASF
	WMP       bool   // Describe, KeepAlive, Play and Log as Windows Media Player does
	Reconnect bool   // come back when the stream ends
	Insecure  bool   // take any TLS certificate
	From      string // address that all connections come from; "": the system chooses
	Sources   int    // source addresses 127.0.0.x towards loopback; 0: as many as ports demand
	Loops     int    // event loops; 0: by viewers and processors
	Reader    string // how they read: ReaderAuto ("" too), ReaderURing, ReaderEpoll

	MinDelivery float64       // a viewer below it fails the run; 0: 0.999; below 0: none does
	MaxJoin     time.Duration // a join above it fails the run; 0: 2 s
	JoinTimeout time.Duration // a viewer without a key frame by then has failed; 0: 10 s

	Phases []Phase // one after another, in place of Clients, Duration, Ramp, Slow and Churn

	Pump      string       // stream-pump binary for a run without URLs; "": look for it
	Self      []string     // command that runs [Main]; none: the source is a goroutine of this process
	PumpYAML  string       // more settings for the generated configuration
	Log       *slog.Logger // what begins and ends, and what goes wrong beside the viewers; nil: nothing
	Progress  io.Writer    // lines while it runs; nil: none
	LiveLine  bool         // Progress is a terminal: one line that changes
	LineWidth int          // columns of that line; 0: 100
}

// Ways to read from thousands of sockets. What viewers get and how it is checked is the same.
const (
	ReaderAuto  = "auto"     // io_uring where the kernel has it, else epoll
	ReaderURing = "io_uring" // one receive a connection, which goes on until it ends; Run fails where it is not to be had
	ReaderEpoll = "epoll"    // one system call for what a viewer gets at a time
)

// Phase is a part of a run with its own number of viewers.
type Phase struct {
	Name     string
	Clients  int           // viewers to reach; more join, surplus ones leave
	Ramp     float64       // as in Options
	Duration time.Duration // steady state once they are there
	Churn    float64       // viewers a second
}

// Bounds of what can be asked for.
const (
	maxClients  = 1_000_000
	maxDuration = 7 * 24 * time.Hour
	minPacket   = 128
	maxPacket   = 60_000
	maxPhases   = 100
	maxURLs     = 1000
)

// withDefaults fills in what is not said and says everything that is wrong at once.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Clients, 100)
	setDefault(&o.Duration, 20*time.Second)
	setDefault(&o.Rate, 300_000)
	setDefault(&o.Packet, 1400)
	setDefault(&o.KeyInterval, 2*time.Second)
	setDefault(&o.MinDelivery, 0.999)
	setDefault(&o.MaxJoin, 2*time.Second)
	setDefault(&o.JoinTimeout, 10*time.Second)
	setDefault(&o.LineWidth, 100)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SlowBPS > 0 && o.Slow == 0 {
		o.Slow = 1
	}
	if len(o.Phases) == 0 {
		o.Phases = []Phase{{Name: "steady", Clients: o.Clients, Ramp: o.Ramp, Duration: o.Duration, Churn: o.Churn}}
	}
	o.Clients = 0
	for i := range o.Phases {
		p := &o.Phases[i]
		if p.Ramp < 0 {
			p.Ramp = min(max(float64(p.Clients)/10, 50), 1000)
		}
		o.Clients = max(o.Clients, p.Clients)
	}
	if o.Loops == 0 {
		o.Loops = min(1+o.Clients/10_000, max(1, runtime.NumCPU()/2), 8)
	}
	return o, o.check()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) check() error {
	var wrong []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	bad(o.Clients >= 1 && o.Clients <= maxClients, "clients: %d is not in 1 … %d", o.Clients, maxClients)
	bad(o.Rate >= 1000 && o.Rate <= 1_000_000_000, "rate: %d bit/s is not in 1000 … 1000000000", o.Rate)
	bad(o.Packet >= minPacket && o.Packet <= maxPacket, "packet: %d bytes is not in %d … %d", o.Packet, minPacket, maxPacket)
	bad(o.KeyInterval >= 10*time.Millisecond && o.KeyInterval <= time.Hour, "key interval: %v is not in 10ms … 1h", o.KeyInterval)
	bad(o.Slow >= 0 && o.Slow <= 1, "slow: %v is no share (0 … 1)", o.Slow)
	bad(o.SlowBPS >= 0, "slow-bps: %d is below 0", o.SlowBPS)
	bad(o.MinDelivery <= 1, "min-delivery: %v is above 1", o.MinDelivery)
	bad(o.MaxJoin > 0, "max-join: %v is not above 0", o.MaxJoin)
	bad(o.JoinTimeout > 0 && o.JoinTimeout <= time.Hour, "join time-out: %v is not in 0 … 1h", o.JoinTimeout)
	bad(slices.Contains([]string{"", ReaderAuto, ReaderURing, ReaderEpoll}, o.Reader), "reader: %q is not %s, %s or %s", o.Reader,
		ReaderAuto, ReaderURing, ReaderEpoll)
	bad(o.Loops >= 1 && o.Loops <= 64, "loops: %d is not in 1 … 64", o.Loops)
	if o.From != "" {
		_, err := netip.ParseAddr(o.From)
		bad(err == nil, "from: %q is not an address of this machine, such as 127.0.1.1", o.From)
	}
	bad(o.Sources >= 0 && o.Sources <= 250, "sources: %d is not in 0 … 250", o.Sources)
	bad(len(o.URLs) <= maxURLs, "%d addresses are more than %d", len(o.URLs), maxURLs)
	bad(len(o.Phases) <= maxPhases, "%d phases are more than %d", len(o.Phases), maxPhases)
	bad(len(o.ID) <= 64 && !strings.ContainsFunc(o.ID, notToken), "id: %q is not up to 64 letters, digits, - _ .", o.ID)
	for i, p := range o.Phases {
		name := fmt.Sprintf("phase %d", i+1)
		bad(p.Clients >= 0, "%s: clients: %d is below 0", name, p.Clients)
		bad(p.Ramp <= maxClients, "%s: ramp: %v is above %d", name, p.Ramp, maxClients)
		bad(p.Duration > 0 && p.Duration <= maxDuration, "%s: duration: %v is not in 0 … %v", name, p.Duration, maxDuration)
		bad(p.Churn >= 0 && p.Churn <= maxClients, "%s: churn: %v is not in 0 … %d", name, p.Churn, maxClients)
	}
	for _, u := range o.URLs {
		if _, err := parseTarget(u); err != nil {
			wrong = append(wrong, err)
		}
	}
	if o.Proxy != "" {
		if u, err := url.Parse(o.Proxy); err != nil || u.Scheme != "http" || u.Host == "" {
			wrong = append(wrong, errors.New("proxy: not an address like http://proxy:8080"))
		}
	}
	return errors.Join(wrong...)
}

func notToken(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}
