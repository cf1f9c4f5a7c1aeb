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
		BurstBandwidth: int64(c.Burst.Bandwidth),
		LagMax:         c.Lag.Max.D(),
		StallTimeout:   c.Stall.Timeout.D(),
		HeadTimeout:    c.Request.HeadTimeout.D(),
		SessionTimeout: c.Request.IdleTimeout.D(),
		Redirect404:    c.Redirect404To,
		IDKey:          c.IDParameter,
		Proxies:        access.NewProxies(c.TrustedProxies...),
	}
}

// clientBehind returns who sent a request that came from peer, which may be a proxy. Any
// goroutine.
func (p *Pump) clientBehind(peer netip.AddrPort, head http.Header) netip.AddrPort {
	return p.proxies.Load().Client(peer, head)
}

// boundsOf returns the limits of a configuration and of its enabled streams.
func boundsOf(c *config.Config) access.Bounds {
	b := access.Bounds{
		Viewers:           c.Limits.Viewers,
		ViewersPerAddress: c.Limits.ViewersPerAddress,
		Bandwidth:         int64(c.Limits.Bandwidth),
		Connections:       c.Limits.Connections,
		ViewersPerStream:  map[string]int{},
	}
	for _, s := range c.Streams {
		if s.Enabled && s.Limits.Viewers > 0 {
			b.ViewersPerStream[s.Path] = s.Limits.Viewers
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
