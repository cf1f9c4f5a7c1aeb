package access

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxAddresses         = 1 << 20 // addresses counted apart at once
	ipv6CustomerPrefixes = 64      // bits of an IPv6 address that make one customer
)

// Limits admit viewers, downstream pumps and connections. A place is reserved before
// anything else is done and given back when it is not used, under one lock that is held for
// all bounds together: whatever comes at once, no bound is passed, not even by one and not
// for a moment. All methods may be called from any goroutine; each takes the mutex for a
// few map operations. Make it with [NewLimits].
type Limits struct {
	now func() int64 // ns, monotonic

	mu        sync.Mutex // guards what follows
	bounds    Bounds
	viewers   count // all viewers together
	pumps     count // all pumps together
	streams   map[string]*streamUse
	addresses map[netip.Prefix]*addressUse
	idle      []idleAddress // who may be forgotten, in order of time
	joins     map[string]*window
	open      int // connections, without those of pumps
	openPumps int // connections from Bounds.Pumps.Networks
	heads     int // connections whose request's head is unfinished, without those of pumps
	arrivals  window
	uplink    int64 // bit/s on the wire, 0 no bound
	bursts    bursts
	refused   map[Limit]uint64
}

// count is what one class of viewers takes.
type count struct {
	n    int
	rate int64 // bit/s
	wire int64 // bit/s, with all headers
}

// streamUse is what the viewers of one stream take.
type streamUse struct {
	viewers, pumps int
	rate, wire     int64 // bit/s, what each of them costs
}

// NewLimits returns Limits with the given bounds.
func NewLimits(b Bounds) *Limits {
	start := time.Now()
	l := &Limits{
		now: func() int64 { return int64(time.Since(start)) }, bounds: b, streams: map[string]*streamUse{},
		addresses: map[netip.Prefix]*addressUse{}, joins: map[string]*window{}, refused: map[Limit]uint64{},
		bursts: bursts{streams: map[string]*Bucket{}},
	}
	l.setBursts()
	return l
}

// SetBounds replaces the bounds. Whoever is in stays in; new ones are measured
// against the new bounds.
func (l *Limits) SetBounds(b Bounds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounds = b
	l.setBursts()
	for path := range l.joins {
		if b.Streams[path].ViewersPerSecond == 0 {
			delete(l.joins, path)
		}
	}
}

// Bounds returns the bounds in force.
func (l *Limits) Bounds() Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bounds
}

// Session returns how long a viewer of the stream may watch, 0 for as long as it likes.
func (l *Limits) Session(stream string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.bounds.Streams[stream].Session; own != 0 {
		return max(own, 0)
	}
	return l.bounds.Session
}

// SetUplink bounds what all viewers and pumps together may cost on the wire, in bit/s;
// 0 is no bound. Whoever is in stays in.
func (l *Limits) SetUplink(bitsPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uplink = max(bitsPerSecond, 0)
}

// Request asks for the place of one viewer.
type Request struct {
	Stream string
	Addr   netip.Addr // invalid: counts towards no address
	Pump   bool       // it says that it is a downstream pump
	Rate   int64      // bit/s, what each viewer of the stream costs
	Wire   int64      // bit/s, the same on the wire
	Burst  int64      // bytes that it is expected to get at once when it joins
	Now    int64      // ns, of the clock that MayBurst has
}

// Ticket is the place of one viewer. Release it when the viewer is gone.
type Ticket struct {
	limits   *Limits
	stream   string
	address  netip.Prefix
	pump     bool
	began    int64       // ns of Limits.now, when the first of the address's viewers came
	bursts   []*Bucket   // that what it gets at once goes through
	burst    int64       // bytes, what that is expected to be
	queued   atomic.Bool // it waits for its turn
	reserved int64       // bytes it may write yet; of who writes to the viewer
	released bool        // guarded by Limits.mu
}

// Pump tells whether the place is that of a downstream pump.
func (t *Ticket) Pump() bool { return t != nil && t.pump }

// Admit reserves a place, or returns a *[LimitError].
func (l *Limits) Admit(r Request) (*Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ask(r, true)
}

// Room returns the *[LimitError] that Admit would return now. It reserves nothing.
func (l *Limits) Room(r Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.ask(r, false)
	return err
}

// take adds n to everything that the ticket counts in.
func (l *Limits) take(t *Ticket, n int) {
	u := l.stream(t.stream)
	c := &l.viewers
	if t.pump {
		c = &l.pumps
		u.pumps += n
	} else {
		u.viewers += n
	}
	c.n += n
	c.rate += int64(n) * u.rate
	c.wire += int64(n) * u.wire
	if t.address.IsValid() {
		l.address(t.address).watch(u, t.pump, n)
		l.forget(t.address)
	}
	l.dropEmpty(t.stream, u)
}

// ask makes the ticket of a request if there is a place for it, and takes that place if
// it is to be reserved.
func (l *Limits) ask(r Request, reserve bool) (*Ticket, error) {
	t := &Ticket{limits: l, stream: r.Stream, address: customer(r.Addr), pump: r.Pump && l.isPump(r.Addr), burst: max(r.Burst, 0)}
	u := l.stream(r.Stream)
	l.setRate(u, r.Rate, r.Wire)
	defer l.dropEmpty(r.Stream, u)
	if err := l.check(t, u, r.Now); err != nil {
		l.refused[err.Limit]++
		return nil, err
	}
	if reserve {
		l.take(t, 1)
		l.begin(t)
		t.bursts = l.burstsOf(t)
		if !t.pump {
			t.queue()
		}
		if !t.pump && l.bounds.Streams[t.stream].ViewersPerSecond > 0 {
			l.joined(t.stream).add(l.now())
		}
	}
	return t, nil
}

func (l *Limits) stream(path string) *streamUse {
	u := l.streams[path]
	if u == nil {
		u = &streamUse{}
		l.streams[path] = u
	}
	return u
}

func (l *Limits) dropEmpty(path string, u *streamUse) {
	if u.viewers+u.pumps == 0 {
		delete(l.streams, path)
	}
}

func (l *Limits) joined(path string) *window {
	w := l.joins[path]
	if w == nil {
		w = &window{}
		l.joins[path] = w
	}
	return w
}

// Release gives the place back. Further calls, and a nil Ticket, do nothing.
func (t *Ticket) Release() {
	if t == nil {
		return
	}
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	t.unqueue()
	if !t.released {
		t.released = true
		t.limits.take(t, -1)
	}
}

// SetRate tells that every viewer of a stream costs so much from now on, in bit/s and in
// bit/s on the wire. Nobody is sent away for it.
func (l *Limits) SetRate(stream string, rate, wire int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.streams[stream]; u != nil {
		l.setRate(u, rate, wire)
	}
}

func (l *Limits) setRate(u *streamUse, rate, wire int64) {
	rate, wire = max(rate, 0), max(wire, 0)
	l.viewers.rate += int64(u.viewers) * (rate - u.rate)
	l.viewers.wire += int64(u.viewers) * (wire - u.wire)
	l.pumps.rate += int64(u.pumps) * (rate - u.rate)
	l.pumps.wire += int64(u.pumps) * (wire - u.wire)
	u.rate, u.wire = rate, wire
}
