package access

import "time"

// Usage is what is taken of the limits now.
type Usage struct {
	Viewers         int
	Bandwidth       int64 // bit/s, of viewers
	Pumps           int
	PumpBandwidth   int64 // bit/s
	Wire            int64 // bit/s, of both, with all headers
	Connections     int   // those of pumps included
	PumpConnections int   // from networks that pumps are in
	Heads           int   // connections whose request's head is unfinished
	Arrivals        int   // connections of the last second, while their rate is bounded
	Addresses       int   // that take anything
}

// Usage returns what is taken now.
func (l *Limits) Usage() Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.sweep(now)
	return Usage{
		Viewers: l.viewers.n, Bandwidth: l.viewers.rate, Pumps: l.pumps.n, PumpBandwidth: l.pumps.rate,
		Wire: l.viewers.wire + l.pumps.wire, Connections: l.open + l.openPumps, PumpConnections: l.openPumps, Heads: l.heads,
		Arrivals: l.arrivals.used(now), Addresses: len(l.addresses),
	}
}

// StreamUsage is what the viewers of one stream take.
type StreamUsage struct {
	Viewers, Pumps int
	Bandwidth      int64 // bit/s, of viewers
	Arrivals       int   // viewers of the last second, while their rate is bounded
}

// StreamUsage returns what is taken of a stream's limits now.
func (l *Limits) StreamUsage(path string) StreamUsage {
	l.mu.Lock()
	defer l.mu.Unlock()
	var s StreamUsage
	if u := l.streams[path]; u != nil {
		s = StreamUsage{Viewers: u.viewers, Pumps: u.pumps, Bandwidth: int64(u.viewers) * u.rate}
	}
	if w := l.joins[path]; w != nil {
		s.Arrivals = w.used(l.now())
	}
	return s
}

// AddressUsage is the most that one address takes of each limit; it need not be the same
// address.
type AddressUsage struct {
	Viewers, Pumps, Connections, Heads, Arrivals int
	Bandwidth                                    int64         // bit/s
	Burst                                        int64         // bit/s
	Session                                      time.Duration // for how long it has had viewers
}

// BusiestAddresses returns the most that any one address takes of each limit. It looks at
// every address: for operators, not for every request. clock is the time, in ns, of the clock
// that MayBurst has.
func (l *Limits) BusiestAddresses(clock int64) AddressUsage {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var m AddressUsage
	for _, a := range l.addresses {
		m.Viewers, m.Pumps, m.Connections = max(m.Viewers, a.viewers), max(m.Pumps, a.pumps), max(m.Connections, a.connections)
		m.Heads = max(m.Heads, a.heads)
		m.Bandwidth, m.Arrivals = max(m.Bandwidth, a.rate()), max(m.Arrivals, a.arrivals.used(now))
		if a.burst != nil {
			m.Burst = max(m.Burst, a.burst.Used(clock))
		}
		if a.viewers > 0 {
			m.Session = max(m.Session, time.Duration(now-a.since))
		}
	}
	return m
}

// BurstUsage returns what joining viewers take of the bound of all bursts together, in bit/s,
// at now of the clock that MayBurst has; 0 without a bound.
func (l *Limits) BurstUsage(now int64) int64 { return l.bursts.all.Used(now) }

// StreamBurstUsage is BurstUsage of one stream's bound.
func (l *Limits) StreamBurstUsage(path string, now int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.bursts.streams[path]; b != nil {
		return b.Used(now)
	}
	return 0
}

// Uplink returns the bound of what everybody costs on the wire, in bit/s; 0 is none.
func (l *Limits) Uplink() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.uplink
}

// Refused returns how often a limit kept somebody out. A viewer that asks before it plays
// counts once for each.
func (l *Limits) Refused(limit Limit) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused[limit]
}

// Refuse counts somebody who was kept out by a limit that is not watched here.
func (l *Limits) Refuse(limit Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[limit]++
}
