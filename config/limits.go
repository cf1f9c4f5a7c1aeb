package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Limits admit viewers and connections; 0 is no limit. An address is an IPv4 address or
// an IPv6 /64.
type Limits struct {
	Viewers                        int       `yaml:"viewers" reload:"live"`
	ViewersPerAddress              int       `yaml:"viewers_per_address" reload:"live"`
	Bandwidth                      Bandwidth `yaml:"bandwidth" reload:"live"` // of the viewers' streams together
	BandwidthPerAddress            Bandwidth `yaml:"bandwidth_per_address" reload:"live"`
	Connections                    int       `yaml:"connections" reload:"live"` // open ones
	ConnectionsPerAddress          int       `yaml:"connections_per_address" reload:"live"`
	ConnectionsPerSecond           int       `yaml:"connections_per_second" reload:"live"` // new ones
	ConnectionsPerSecondPerAddress int       `yaml:"connections_per_second_per_address" reload:"live"`
	UnfinishedHeads                int       `yaml:"unfinished_heads" reload:"live"`             // connections whose request is not whole yet
	UnfinishedHeadsPerAddress      int       `yaml:"unfinished_heads_per_address" reload:"live"` // 0: half of the connections there may be
	Session                        Duration  `yaml:"session" reload:"live"`                      // how long a viewer may watch
	SessionPerAddress              Duration  `yaml:"session_per_address" reload:"live"`          // how long an address may have viewers without a pause
	Pumps                          Pumps     `yaml:"pumps"`
}

// Pumps are a class of their own beside the viewers: other pumps that take a stream from
// this one.
type Pumps struct {
	Count      int            `yaml:"count" reload:"live"`
	PerAddress int            `yaml:"per_address" reload:"live"`
	Bandwidth  Bandwidth      `yaml:"bandwidth" reload:"live"` // also kept for them of the uplink
	Networks   []netip.Prefix `yaml:"networks" reload:"live"`  // where they are; empty: anywhere
}

// StreamLimits admit viewers to one stream, beside the limits of all; 0 is no limit of its
// own.
type StreamLimits struct {
	Viewers          int       `yaml:"viewers" reload:"live"`
	ViewersPerSecond int       `yaml:"viewers_per_second" reload:"live"` // new ones
	Bandwidth        Bandwidth `yaml:"bandwidth" reload:"live"`
	Pumps            int       `yaml:"pumps" reload:"live"`
	Session          *Duration `yaml:"session" reload:"live"` // nil: as the pump's; 0: as long as they like
}

// Uplink is what the way to the viewers carries, in bit/s: 0 says nothing about it,
// UplinkAuto has it learnt.
type Uplink int64

// UplinkAuto has the pump learn what its uplink carries.
const UplinkAuto Uplink = -1

const autoWord = "auto"

// ParseUplink reads a bandwidth, or auto.
func ParseUplink(s string) (Uplink, error) {
	if strings.TrimSpace(s) == autoWord {
		return UplinkAuto, nil
	}
	b, err := ParseBandwidth(s)
	if b < 0 && err == nil {
		err = fmt.Errorf("%q is no bandwidth", s)
	}
	return Uplink(b), err
}

// String returns u as [ParseUplink] reads it.
func (u Uplink) String() string {
	if u == UplinkAuto {
		return autoWord
	}
	return Bandwidth(u).String()
}

// Bounds of the limits of rates: each of the last second's arrivals is remembered.
const (
	maxPerSecond        = 100_000
	maxPerSecondAddress = 1000
)

func init() {
	bandwidth := rule{bounded: true, max: 1e15, limits: "0 to 1000T, in bit/s"}
	for _, key := range []string{"viewers", "viewers_per_address", "connections", "connections_per_address", "unfinished_heads", "unfinished_heads_per_address", "pumps.count", "pumps.per_address"} {
		rules["limits."+key] = number(0, maxCount)
	}
	for _, key := range []string{"viewers", "pumps"} {
		rules[streamKey+".limits."+key] = number(0, maxCount)
	}
	for _, key := range []string{
		"limits.bandwidth", "limits.bandwidth_per_address", "limits.pumps.bandwidth", "burst.bandwidth", "burst.bandwidth_per_address",
		streamKey + ".limits.bandwidth", streamKey + ".burst.bandwidth",
	} {
		rules[key] = bandwidth
	}
	rules["limits.connections_per_second"] = number(0, maxPerSecond)
	rules["limits.connections_per_second_per_address"] = number(0, maxPerSecondAddress)
	rules[streamKey+".limits.viewers_per_second"] = number(0, maxPerSecond)
	rules["limits.session"] = span(0, 10*365*24*time.Hour)
	rules["limits.session_per_address"] = span(0, 10*365*24*time.Hour)
	rules[streamKey+".limits.session"] = span(0, 10*365*24*time.Hour)
	rules["uplink"] = rule{bounded: true, min: int64(UplinkAuto), max: 1e15, limits: "as in 100M or 1.5G, in bit/s; auto has it learnt, 0 leaves it open"}
	rules["request.head_size"] = rule{bounded: true, min: 1 << 10, max: 64 << 10, limits: "1KiB to 64KiB"}
}

// checkUplink finds an uplink that is kept for pumps whole.
func (d *decoder) checkUplink(c *Config) {
	if kept := c.Limits.Pumps.Bandwidth; c.Uplink > 0 && int64(kept) >= int64(c.Uplink) {
		d.problem(d.at("limits.pumps.bandwidth"), fmt.Sprintf("pumps.bandwidth %v is the whole uplink, and nothing is left for viewers", kept),
			fmt.Sprintf("less than the uplink's %v", c.Uplink))
	}
}
