package pump

import (
	"net/http"
	"net/netip"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/server"
)

// settingsOf returns what a configuration says to the server.
func settingsOf(c *config.Config) server.Settings {
	return server.Settings{
		PulseMin:       c.Pulse.Min.D(),
		PulseMax:       c.Pulse.Max.D(),
		BurstMax:       c.Burst.Max.D(),
		Uplink:         uplinkOf(c),
		LagMax:         c.Lag.Max.D(),
		StallTimeout:   c.Stall.Timeout.D(),
		HeadTimeout:    c.Request.HeadTimeout.D(),
		HeadSize:       int(c.Request.HeadSize),
		SessionTimeout: c.Request.IdleTimeout.D(),
		Redirect404:    c.Redirect404To,
		IDKey:          c.IDParameter,
		Proxies:        access.NewProxies(c.TrustedProxies...),
	}
}

// uplinkOf returns what the way to the viewers carries, or that it is to be learnt.
func uplinkOf(c *config.Config) int64 {
	if c.Uplink == config.UplinkAuto {
		return server.UplinkAuto
	}
	return int64(c.Uplink)
}

// clientBehind returns who sent a request that came from peer, which may be a proxy. Any
// goroutine.
func (p *Pump) clientBehind(peer netip.AddrPort, head http.Header) netip.AddrPort {
	return p.proxies.Load().Client(peer, head)
}

// boundsOf returns the limits of a configuration and of its enabled streams.
func boundsOf(c *config.Config) access.Bounds {
	l := c.Limits
	b := access.Bounds{
		Viewers:             l.Viewers,
		ViewersPerAddress:   l.ViewersPerAddress,
		Bandwidth:           int64(l.Bandwidth),
		BandwidthPerAddress: int64(l.BandwidthPerAddress),

		Connections:                 l.Connections,
		ConnectionsPerAddress:       l.ConnectionsPerAddress,
		ConnectionsPerSecond:        l.ConnectionsPerSecond,
		ConnectionsPerSecondAddress: l.ConnectionsPerSecondPerAddress,

		Heads: l.UnfinishedHeads, HeadsPerAddress: l.UnfinishedHeadsPerAddress,

		BurstBandwidth: int64(c.Burst.Bandwidth), BurstBandwidthAddress: int64(c.Burst.BandwidthPerAddress),

		Session: l.Session.D(), SessionAddress: l.SessionPerAddress.D(),
		Pumps: access.PumpBounds{
			Count: l.Pumps.Count, PerAddress: l.Pumps.PerAddress, Bandwidth: int64(l.Pumps.Bandwidth), Networks: access.NewNetworks(l.Pumps.Networks...),
		},
		Streams: map[string]access.StreamBounds{},
	}
	for _, s := range c.Streams {
		if s.Enabled {
			b.Streams[s.Path] = streamBoundsOf(s)
		}
	}
	return b
}

func streamBoundsOf(s config.Stream) access.StreamBounds {
	b := access.StreamBounds{
		Viewers: s.Limits.Viewers, ViewersPerSecond: s.Limits.ViewersPerSecond, Bandwidth: int64(s.Limits.Bandwidth), Pumps: s.Limits.Pumps,
		BurstBandwidth: int64(s.Burst.Bandwidth),
	}
	if d := s.Limits.Session; d != nil {
		if b.Session = d.D(); b.Session == 0 {
			b.Session = access.NoSession
		}
	}
	return b
}

func ringOf(c *config.Config) ringbuf.Limits {
	return ringbuf.Limits{Slots: c.Ring.Packets, Bytes: int64(c.Ring.Bytes), Duration: c.Ring.Duration.D()}
}

// poolLimit bounds the memory of all rings together, in bytes: what they may hold, half
// as much again for the size classes, and never so little that an idle pump could not
// take more streams by a reload.
func poolLimit(c *config.Config) int64 {
	return max(1<<30, int64(len(c.Streams))*int64(c.Ring.Bytes)*3/2)
}
