package pump

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"github.com/stream-pump/stream-pump/config"
)

// Inside is the place of a pump within a pump house: it has no ports, no file and no cache,
// and does what the house wants, as any pump of the fleet does.
type Inside struct {
	ID      string                                  // what the house calls it
	Dial    func(context.Context) (net.Conn, error) // a connection to the house, within the program
	Roots   *x509.CertPool                          // of sources behind TLS; nil: the system's
	Log     *slog.Logger                            // nil discards
	Version string                                  // of the program
}

// insideURL stands where a pump on its own has the house's address. It is never looked up.
const insideURL = "http://house.invalid"

// StartInside starts a pump within a house. It serves what it is given by [Pump.Adopt], of
// the streams that the house wants it to have.
func StartInside(in Inside) (*Pump, error) {
	if in.Dial == nil || in.ID == "" {
		return nil, errors.New("a pump within a house needs an id and a way to the house")
	}
	cfg := config.Default()
	cfg.Port, cfg.SSL, cfg.Admin.Listen = 0, false, ""
	cfg.EventLoops, cfg.Egress = 1, config.EgressWritev // a few viewers
	return start(cfg, Options{Log: in.Log, Version: in.Version, inside: &in}, &sockets{})
}

// membership is what the pump knows of its house; it stands in no configuration.
func (in *Inside) membership() config.Membership {
	return config.Membership{URL: config.Names{insideURL}, ID: in.ID}
}

// Adopt serves a viewer's connection that the house has accepted and read from; see
// [server.Server.Adopt].
func (p *Pump) Adopt(c net.Conn, remote netip.AddrPort, head []byte, secure bool) error {
	return p.server.Adopt(c, remote, head, secure)
}

// Delivers tells whether viewers of a stream get something now.
func (p *Pump) Delivers(path string) bool {
	s := p.registry.Lookup(path)
	return s != nil && s.State().Delivering() && s.Header() != nil && (*p.viewing.Load())[strings.ToLower(path)] != nil
}

// Viewers returns how many watch a stream, or are about to.
func (p *Pump) Viewers(path string) int {
	if s := p.registry.Lookup(path); s != nil {
		return s.Viewers()
	}
	return 0
}

// Taken returns what viewers take of the pump's limits, and how many were refused for them
// since the start.
func (p *Pump) Taken() (viewers int, bitsPerSecond, refused int64) {
	u := p.limits.Usage()
	return u.Viewers + u.Pumps, u.Bandwidth + u.PumpBandwidth, refusedByLimits(p.limits)
}

// Held returns how many packets are in memory.
func (p *Pump) Held() int { return p.pool.Live() }
