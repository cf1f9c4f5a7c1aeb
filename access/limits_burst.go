package access

import (
	"sync/atomic"
	"time"
)

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

// BurstWait is how long a joining viewer waits for its turn at most. Who would have to wait
// longer is not let in.
const BurstWait = 10 * time.Second

// burstMore is what a viewer reserves, in bytes, whose burst turns out to be longer than was
// expected.
const burstMore = 64 << 10

// checkBursts returns the limit of bursts that keeps a viewer out because too many wait for
// it already, at now of the clock that MayBurst has. The caller holds l.mu.
func (l *Limits) checkBursts(t *Ticket, now int64) *LimitError {
	if t.address.IsValid() {
		defer l.forget(t.address) // that burstsOf may have noted
	}
	for _, b := range l.burstsOf(t) {
		if b.Wait(now, t.burst) <= int64(BurstWait) {
			continue
		}
		err := &LimitError{Limit: LimitAddressBurst, Max: b.Rate()}
		switch b {
		case &l.bursts.all:
			err.Limit = LimitBurst
		case &l.bursts.uplink:
			err.Limit = LimitUplink
		case l.bursts.streams[t.stream]:
			err.Limit, err.Stream = LimitStreamBurst, t.stream
		}
		return err
	}
	return nil
}

// queue has the ticket wait for its turn. The caller holds l.mu.
func (t *Ticket) queue() {
	for _, b := range t.bursts {
		b.queued.Add(t.burst)
	}
	t.queued.Store(true)
}

// unqueue ends the wait, one way or the other.
func (t *Ticket) unqueue() {
	if t.queued.CompareAndSwap(true, false) {
		for _, b := range t.bursts {
			b.queued.Add(-t.burst)
		}
	}
}

// MayBurst tells whether a joining viewer may be written to now, in ns of a monotonic
// clock: then what its burst is expected to be is reserved. A pump always may. No lock is
// taken; to be called by who writes to the viewer.
func (t *Ticket) MayBurst(now int64) bool {
	if t == nil || t.pump || t.reserved > 0 {
		return true
	}
	want := int64(burstMore)
	if t.queued.Load() {
		want = max(t.burst, 1)
	}
	for i, b := range t.bursts {
		if !b.Take(now, want) {
			for _, taken := range t.bursts[:i] {
				taken.Return(want)
			}
			return false
		}
	}
	t.reserved = want
	t.unqueue()
	return true
}

// Burst takes the bytes that were written to a joining viewer, from what is reserved first.
// No lock is taken; to be called by who writes to the viewer.
func (t *Ticket) Burst(n int) {
	if t == nil {
		return
	}
	spent := int64(n)
	t.limits.bursts.spent.Add(spent)
	if t.pump {
		return
	}
	t.reserved -= spent
	if over := -t.reserved; over > 0 {
		t.reserved = 0
		for _, b := range t.bursts {
			b.Spend(int(over))
		}
	}
}

// Joined gives back what was reserved for the burst and is not needed. To be called by who
// writes to the viewer, when it has joined or is gone.
func (t *Ticket) Joined() {
	if t == nil {
		return
	}
	t.unqueue()
	if t.reserved > 0 {
		for _, b := range t.bursts {
			b.Return(t.reserved)
		}
		t.reserved = 0
	}
}
