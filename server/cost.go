package server

import (
	"net/netip"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
)

// placeFor is what a viewer of the stream asks of the limits.
func (s *Server) placeFor(st *stream.Stream, addr netip.Addr, relay bool) access.Request {
	rate := st.Cost()
	return access.Request{
		Stream: st.Path(), Addr: addr, Pump: relay, Rate: rate, Wire: onTheWire(st, rate),
		Burst: expectedBurst(st, st.BurstMax(s.settings.Load().BurstMax)), Now: stream.Monotonic(),
	}
}

// Headers that a viewer's bytes travel with: Ethernet, IPv4 and TCP with time stamps, in
// front of every segment, which is full but for the last one of a packet at worst.
const (
	segmentHead = 14 + 20 + 32
	segmentBody = 1448
)

// onTheWire returns what a viewer costs a link, given its rate.
func onTheWire(st *stream.Stream, rate int64) int64 {
	m := st.Metrics()
	packets := m.PacketsIn.Load()
	if packets == 0 {
		return rate + rate*segmentHead/segmentBody
	}
	size := max(int64(m.BytesIn.Load()/packets), 1)
	segments := (size + segmentBody - 1) / segmentBody
	return rate + rate*segments*segmentHead/size
}

// followCosts tells the limits what viewers have turned out to cost.
func (s *Server) followCosts() {
	for _, st := range s.opts.Streams.All() {
		rate := st.Cost()
		s.opts.Limits.SetRate(st.Path(), rate, onTheWire(st, rate))
	}
}
