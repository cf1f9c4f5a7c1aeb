package access

import "time"

// Bounds are the maxima; 0 is no limit. "Per address" means per remote IPv4 address or
// IPv6 /64. A downstream pump counts as a pump alone: no bound of viewers is its.
type Bounds struct {
	Viewers             int   // all streams together
	ViewersPerAddress   int   //
	Bandwidth           int64 // bit/s, the sum of what the viewers' streams cost
	BandwidthPerAddress int64 // bit/s

	Connections                 int // open ones, viewers or not
	ConnectionsPerAddress       int
	ConnectionsPerSecond        int // new ones within any second
	ConnectionsPerSecondAddress int // and of one address

	Heads           int // connections whose request's head is unfinished: it is awaited, or on its way
	HeadsPerAddress int

	BurstBandwidth        int64 // bit/s, of all who join together, until they have their first packets
	BurstBandwidthAddress int64 // bit/s

	Session        time.Duration // how long a viewer may watch
	SessionAddress time.Duration // how long there may be viewers of one address without a pause

	Pumps   PumpBounds
	Streams map[string]StreamBounds // by path; not copied, must not change afterwards
}

// StreamBounds are the maxima of one stream, beside those of all; 0 is no limit of its own.
type StreamBounds struct {
	Viewers          int
	Pumps            int
	Bandwidth        int64         // bit/s, of its viewers together
	ViewersPerSecond int           // who join within any second
	BurstBandwidth   int64         // bit/s
	Session          time.Duration // NoSession: no bound, though there is one for all
}

// NoSession lets the viewers of a stream watch for as long as they like.
const NoSession time.Duration = -1

// PumpBounds are the maxima of downstream pumps.
type PumpBounds struct {
	Count      int      // all streams together
	PerAddress int      //
	Bandwidth  int64    // bit/s; as much of the uplink is kept from viewers
	Networks   Networks // who may call itself a pump; empty: anyone. Elsewhere it is a viewer
}

// Most connections that are kept for pumps beside Connections, when Networks says where
// pumps are: each asks twice, and may have lost a connection that has not been noticed.
func (p *PumpBounds) connections() int { return 4*p.Count + 8 }
