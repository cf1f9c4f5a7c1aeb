package snmp

import "time"

// Figures are what a pump counts, at one moment.
type Figures struct {
	Version     string
	Uptime      time.Duration
	Draining    bool
	Connections uint64 // now, on the public ports
	Panics      uint64
	Streams     []Stream // in any order; the totals are their sums
	Loops       []Loop
}

// Stream is one stream.
type Stream struct {
	Path, Name, Source        string
	State                     string // offline, connecting, live or fallback
	Delivering                bool
	Uptime                    time.Duration // delivering since
	Viewers                   uint64
	ViewersTotal              uint64
	RateIn                    uint64 // bit/s
	BytesIn, BytesOut         uint64
	PacketsIn, Skipped        uint64
	Reconnects                uint64
	PacketDrops, ViewersEnded map[string]uint64 // by reason
}

// Loop is one event loop.
type Loop struct {
	Busy time.Duration // in passes over viewers, since the start
}
