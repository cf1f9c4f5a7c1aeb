package access

import "sync/atomic"

// bursts bound what joining viewers get at once. The buckets of all, of the uplink and of
// the streams are there for good; those of addresses come and go with their address.
type bursts struct {
	all, uplink Bucket
	streams     map[string]*Bucket // guarded by Limits.mu
	spent       atomic.Int64       // bytes, of all bursts since the start
}

// setBursts makes the buckets as the bounds say. The caller holds l.mu.
func (l *Limits) setBursts() {
	l.bursts.all.SetRate(l.bounds.BurstBandwidth)
	for path, b := range l.bursts.streams {
		if l.bounds.Streams[path].BurstBandwidth == 0 {
			b.SetRate(0) // for those who have it still
			delete(l.bursts.streams, path)
		}
	}
	for path, own := range l.bounds.Streams {
		if own.BurstBandwidth == 0 {
			continue
		}
		if l.bursts.streams[path] == nil {
			l.bursts.streams[path] = &Bucket{}
		}
		l.bursts.streams[path].SetRate(own.BurstBandwidth)
	}
	for _, a := range l.addresses {
		if a.burst != nil {
			a.burst.SetRate(l.bounds.BurstBandwidthAddress)
		}
	}
}

// burstsOf returns the buckets that a viewer's burst goes through. The caller holds l.mu.
func (l *Limits) burstsOf(t *Ticket) []*Bucket {
	list := []*Bucket{&l.bursts.all, &l.bursts.uplink}
	if b := l.bursts.streams[t.stream]; b != nil {
		list = append(list, b)
	}
	if l.bounds.BurstBandwidthAddress > 0 && t.address.IsValid() {
		a := l.address(t.address)
		if a.burst == nil {
			a.burst = &Bucket{}
			a.burst.SetRate(l.bounds.BurstBandwidthAddress)
		}
		list = append(list, a.burst)
	}
	return list
}

// SetUplinkBurst bounds all bursts together by what the uplink has left, in bit/s; 0 is no
// bound.
func (l *Limits) SetUplinkBurst(bitsPerSecond int64) { l.bursts.uplink.SetRate(bitsPerSecond) }

// UplinkBurst returns that bound.
func (l *Limits) UplinkBurst() int64 { return l.bursts.uplink.Rate() }

// BurstBytes returns how many bytes bursts have taken since the start.
func (l *Limits) BurstBytes() int64 { return l.bursts.spent.Load() }

// MayBurst tells whether a joining viewer may be written to now, in ns of a monotonic
// clock. A pump always may. No lock is taken.
func (t *Ticket) MayBurst(now int64) bool {
	if t == nil || t.pump {
		return true
	}
	for _, b := range t.bursts {
		if !b.Open(now) {
			return false
		}
	}
	return true
}

// Burst takes the bytes that were written to a joining viewer. No lock is taken.
func (t *Ticket) Burst(n int) {
	if t == nil {
		return
	}
	for _, b := range t.bursts {
		b.Spend(n)
	}
	t.limits.bursts.spent.Add(int64(n))
}
