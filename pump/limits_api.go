package pump

import (
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
)

// LimitInfo is one limit in the API.
type LimitInfo struct {
	Limit   string `json:"limit"`   // as errors and metrics name it
	Per     string `json:"per"`     // what it holds for: pump, address or stream
	Unit    string `json:"unit"`    // viewers, pumps, connections, connections/s, viewers/s, bit/s or s
	Used    int64  `json:"used"`    // now; of limits per address what the busiest address uses; of bursts what is taken of the last quarter of a second
	Max     int64  `json:"max"`     // 0: no limit
	Refused uint64 `json:"refused"` // times that it kept somebody out; of a stream's limits all streams together
}

// StreamLimitsInfo is what one stream is bounded by.
type StreamLimitsInfo struct {
	Path    string      `json:"path"`
	CostBPS int64       `json:"cost_bps"` // what a viewer of it counts with
	Limits  []LimitInfo `json:"limits"`
}

// LimitsInfo is what is used of the limits.
type LimitsInfo struct {
	Limits    []LimitInfo        `json:"limits"`
	Streams   []StreamLimitsInfo `json:"streams"`
	Uplink    UplinkInfo         `json:"uplink"`
	Addresses int                `json:"addresses"` // that use anything
}

// UplinkInfo is what is known of the way to the viewers. Rates are on the wire, with all
// headers, but for the one of bursts.
type UplinkInfo struct {
	Mode       string `json:"mode"`        // open: it is wide enough; set: by the configuration; auto: it is learnt
	CarriesBPS int64  `json:"carries_bps"` // 0: not known
	BudgetBPS  int64  `json:"budget_bps"`  // what viewers and pumps may be expected to use of it; 0: no bound
	UsedBPS    int64  `json:"used_bps"`    // what they may be expected to use now
	BurstBPS   int64  `json:"burst_bps"`   // what joining viewers may have of it now, without headers; 0: no bound
}

// Modes of the uplink.
const (
	uplinkOpen = "open"
	uplinkSet  = "set"
	uplinkAuto = "auto"
)

func (p *Pump) describeUplink() UplinkInfo {
	carries, learning := p.server.Uplink()
	info := UplinkInfo{Mode: uplinkSet, CarriesBPS: carries, BudgetBPS: p.limits.Uplink(), UsedBPS: p.limits.Usage().Wire, BurstBPS: p.limits.UplinkBurst()}
	switch {
	case learning:
		info.Mode = uplinkAuto
	case carries == 0:
		info.Mode = uplinkOpen
	}
	return info
}

// limitsOfAll are the limits of the whole pump.
func (p *Pump) limitsOfAll() []LimitInfo {
	b, u := p.limits.Bounds(), p.limits.Usage()
	return []LimitInfo{
		p.limit(access.LimitViewers, "viewers", int64(u.Viewers), int64(b.Viewers)),
		p.limit(access.LimitBandwidth, "bit/s", u.Bandwidth, b.Bandwidth),
		p.limit(access.LimitConnections, "connections", int64(u.Connections-u.PumpConnections), int64(b.Connections)),
		p.limit(access.LimitConnectionRate, "connections/s", int64(u.Arrivals), int64(b.ConnectionsPerSecond)),
		p.limit(access.LimitHeads, "connections", int64(u.Heads), int64(b.Heads)),
		p.limit(access.LimitPumps, "pumps", int64(u.Pumps), int64(b.Pumps.Count)),
		p.limit(access.LimitPumpBandwidth, "bit/s", u.PumpBandwidth, b.Pumps.Bandwidth),
		p.limit(access.LimitBurst, "bit/s", p.limits.BurstUsage(stream.Monotonic()), b.BurstBandwidth),
		p.limit(access.LimitUplink, "bit/s", u.Wire, p.limits.Uplink()),
	}
}

// limitsOfAddresses are the limits of each address, with what the busiest one uses.
func (p *Pump) limitsOfAddresses() []LimitInfo {
	b, busiest := p.limits.Bounds(), p.limits.BusiestAddresses(stream.Monotonic())
	return []LimitInfo{
		p.limit(access.LimitAddressViewers, "viewers", int64(busiest.Viewers), int64(b.ViewersPerAddress)),
		p.limit(access.LimitAddressBandwidth, "bit/s", busiest.Bandwidth, b.BandwidthPerAddress),
		p.limit(access.LimitAddressSession, "s", int64(busiest.Session/time.Second), int64(b.SessionAddress/time.Second)),
		p.limit(access.LimitAddressConnections, "connections", int64(busiest.Connections), int64(b.ConnectionsPerAddress)),
		p.limit(access.LimitAddressConnectionRate, "connections/s", int64(busiest.Arrivals), int64(b.ConnectionsPerSecondAddress)),
		p.limit(access.LimitAddressHeads, "connections", int64(busiest.Heads), int64(b.HeadsPerAddress)),
		p.limit(access.LimitAddressPumps, "pumps", int64(busiest.Pumps), int64(b.Pumps.PerAddress)),
		p.limit(access.LimitAddressBurst, "bit/s", busiest.Burst, b.BurstBandwidthAddress),
	}
}

// describeLimits compares what is used with what may be.
func (p *Pump) describeLimits() LimitsInfo {
	b := p.limits.Bounds()
	info := LimitsInfo{Limits: append(p.limitsOfAll(), p.limitsOfAddresses()...), Streams: []StreamLimitsInfo{}, Uplink: p.describeUplink(), Addresses: p.limits.Usage().Addresses}
	for _, s := range p.registry.All() {
		own, used := b.Streams[s.Path()], p.limits.StreamUsage(s.Path())
		info.Streams = append(info.Streams, StreamLimitsInfo{
			Path: s.Path(), CostBPS: s.Cost(),
			Limits: []LimitInfo{
				p.limit(access.LimitStreamViewers, "viewers", int64(used.Viewers), int64(own.Viewers)),
				p.limit(access.LimitStreamRate, "viewers/s", int64(used.Arrivals), int64(own.ViewersPerSecond)),
				p.limit(access.LimitStreamBandwidth, "bit/s", used.Bandwidth, own.Bandwidth),
				p.limit(access.LimitStreamPumps, "pumps", int64(used.Pumps), int64(own.Pumps)),
				p.limit(access.LimitStreamBurst, "bit/s", p.limits.StreamBurstUsage(s.Path(), stream.Monotonic()), own.BurstBandwidth),
			},
		})
	}
	return info
}

func (p *Pump) limit(l access.Limit, unit string, used, most int64) LimitInfo {
	per := "pump"
	switch {
	case strings.HasPrefix(string(l), "stream_"):
		per = "stream"
	case strings.HasSuffix(string(l), "_per_address"):
		per = "address"
	}
	return LimitInfo{Limit: string(l), Per: per, Unit: unit, Used: used, Max: most, Refused: p.limits.Refused(l)}
}

func (a *admin) listLimits(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.pump.describeLimits())
}
