package access

import (
	"net/netip"
	"time"
)

// isPump tells whether somebody at addr who says that it is a pump is taken for one.
func (l *Limits) isPump(addr netip.Addr) bool {
	where := l.bounds.Pumps.Networks
	return where.Len() == 0 || where.Contains(addr)
}

// check returns the first limit that a place would pass; now is of the clock that MayBurst
// has. The caller holds l.mu.
func (l *Limits) check(t *Ticket, u *streamUse, now int64) *LimitError {
	if t.address.IsValid() && l.addresses[t.address] == nil && len(l.addresses) >= maxAddresses {
		return &LimitError{Limit: LimitAddresses, Max: maxAddresses}
	}
	if t.pump {
		return l.checkPump(t, u)
	}
	b, own := &l.bounds, l.bounds.Streams[t.stream]
	switch at := l.addresses[t.address].orNobody(); {
	case reached(l.viewers.n, b.Viewers):
		return &LimitError{Limit: LimitViewers, Max: int64(b.Viewers)}
	case reached(u.viewers, own.Viewers):
		return &LimitError{Limit: LimitStreamViewers, Stream: t.stream, Max: int64(own.Viewers)}
	case t.address.IsValid() && reached(at.viewers, b.ViewersPerAddress):
		return &LimitError{Limit: LimitAddressViewers, Max: int64(b.ViewersPerAddress)}
	case passed(l.viewers.rate+u.rate, b.Bandwidth):
		return &LimitError{Limit: LimitBandwidth, Max: b.Bandwidth}
	case passed(int64(u.viewers+1)*u.rate, own.Bandwidth):
		return &LimitError{Limit: LimitStreamBandwidth, Stream: t.stream, Max: own.Bandwidth}
	case t.address.IsValid() && passed(at.rate()+u.rate, b.BandwidthPerAddress):
		return &LimitError{Limit: LimitAddressBandwidth, Max: b.BandwidthPerAddress}
	case at.viewers > 0 && passed(l.now()-at.since, int64(b.SessionAddress)):
		return &LimitError{Limit: LimitAddressSession, Max: int64(b.SessionAddress / time.Second)}
	case passed(l.viewers.wire+u.wire+max(l.pumps.wire, b.Pumps.Bandwidth), l.uplink):
		return &LimitError{Limit: LimitUplink, Max: l.uplink}
	case own.ViewersPerSecond > 0 && l.joined(t.stream).full(l.now(), own.ViewersPerSecond):
		return &LimitError{Limit: LimitStreamRate, Stream: t.stream, Max: int64(own.ViewersPerSecond)}
	}
	return l.checkBursts(t, now)
}

// checkPump is check for a downstream pump. What is kept for pumps of the uplink is
// theirs, however many viewers there are.
func (l *Limits) checkPump(t *Ticket, u *streamUse) *LimitError {
	b, own := &l.bounds.Pumps, l.bounds.Streams[t.stream]
	switch at := l.addresses[t.address].orNobody(); {
	case reached(l.pumps.n, b.Count):
		return &LimitError{Limit: LimitPumps, Max: int64(b.Count)}
	case reached(u.pumps, own.Pumps):
		return &LimitError{Limit: LimitStreamPumps, Stream: t.stream, Max: int64(own.Pumps)}
	case t.address.IsValid() && reached(at.pumps, b.PerAddress):
		return &LimitError{Limit: LimitAddressPumps, Max: int64(b.PerAddress)}
	case passed(l.pumps.rate+u.rate, b.Bandwidth):
		return &LimitError{Limit: LimitPumpBandwidth, Max: b.Bandwidth}
	case l.uplink > 0 && l.pumps.wire+u.wire > max(b.Bandwidth, l.uplink-l.viewers.wire):
		return &LimitError{Limit: LimitUplink, Max: l.uplink}
	}
	return nil
}

// reached tells whether one more is too many; 0 is no limit.
func reached(n, most int) bool { return most > 0 && n >= most }

// passed tells whether so much is too much; 0 is no limit.
func passed(n, most int64) bool { return most > 0 && n > most }
