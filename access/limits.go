package access

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limit names one bound of [Bounds].
type Limit string

// The limits, as errors and metrics name them.
const (
	LimitViewers        Limit = "viewers"
	LimitStreamViewers  Limit = "stream_viewers"
	LimitAddressViewers Limit = "viewers_per_address"
	LimitBandwidth      Limit = "bandwidth"
	LimitConnections    Limit = "connections"
)

const (
	maxAddresses         = 1 << 20 // addresses counted apart at once
	ipv6CustomerPrefixes = 64      // bits of an IPv6 address that make one customer
)

// LimitError says which limit a viewer met.
type LimitError struct {
	Limit  Limit
	Stream string // empty unless the limit is the stream's
	Max    int64  // viewers, or bit/s
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	if e.Stream != "" {
		return fmt.Sprintf("limit %s of stream %s reached: %d", e.Limit, e.Stream, e.Max)
	}
	return fmt.Sprintf("limit %s reached: %d", e.Limit, e.Max)
}

// Is makes errors.Is(err, &LimitError{Limit: x}) true for any maximum and stream,
// and errors.Is(err, &LimitError{}) for any limit.
func (e *LimitError) Is(target error) bool {
	t, ok := target.(*LimitError)
	return ok && (t.Limit == "" || t.Limit == e.Limit)
}

// Bounds are the maxima; 0 is no limit.
type Bounds struct {
	Viewers           int            // all streams together
	ViewersPerStream  map[string]int // by path; streams not named have no limit of their own
	ViewersPerAddress int            // per remote IPv4 address or IPv6 /64
	Bandwidth         int64          // bit/s, the sum of the admitted viewers' rates
	Connections       int            // open connections, viewers or not
}

// Limits admit viewers. All methods may be called from any goroutine; each takes a
// mutex for a few map operations. The zero value has no limits.
type Limits struct {
	mu          sync.Mutex
	bounds      Bounds
	viewers     int
	bandwidth   int64
	connections int
	streams     map[string]int
	addresses   map[netip.Prefix]int
}

// NewLimits returns Limits with the given bounds. b.ViewersPerStream is not copied
// and must not change afterwards.
func NewLimits(b Bounds) *Limits { return &Limits{bounds: b} }

// SetBounds replaces the bounds. Whoever is in stays in; new ones are measured
// against the new bounds.
func (l *Limits) SetBounds(b Bounds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounds = b
}

// Bounds returns the bounds in force.
func (l *Limits) Bounds() Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bounds
}

// Ticket is one viewer's place. Release it when the viewer is gone.
type Ticket struct {
	limits   *Limits
	stream   string
	address  netip.Prefix
	bitrate  int64
	released atomic.Bool
}

// Admit takes a place for a viewer of stream at addr that will cost bitrate bit/s,
// or returns a *[LimitError]. An invalid addr counts towards no address.
func (l *Limits) Admit(stream string, addr netip.Addr, bitrate int64) (*Ticket, error) {
	t := &Ticket{limits: l, stream: stream, address: customer(addr), bitrate: max(bitrate, 0)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(t); err != nil {
		return nil, err
	}
	l.add(t, 1)
	return t, nil
}

func (l *Limits) check(t *Ticket) error {
	b := &l.bounds
	if b.Viewers > 0 && l.viewers >= b.Viewers {
		return &LimitError{Limit: LimitViewers, Max: int64(b.Viewers)}
	}
	if most := b.ViewersPerStream[t.stream]; most > 0 && l.streams[t.stream] >= most {
		return &LimitError{Limit: LimitStreamViewers, Stream: t.stream, Max: int64(most)}
	}
	if b.ViewersPerAddress > 0 && t.address.IsValid() && l.addresses[t.address] >= b.ViewersPerAddress {
		return &LimitError{Limit: LimitAddressViewers, Max: int64(b.ViewersPerAddress)}
	}
	if b.Bandwidth > 0 && l.bandwidth+t.bitrate > b.Bandwidth {
		return &LimitError{Limit: LimitBandwidth, Max: b.Bandwidth}
	}
	if len(l.addresses) >= maxAddresses && l.addresses[t.address] == 0 {
		return &LimitError{Limit: LimitViewers, Max: maxAddresses}
	}
	return nil
}

func (l *Limits) add(t *Ticket, n int) {
	if l.streams == nil {
		l.streams, l.addresses = map[string]int{}, map[netip.Prefix]int{}
	}
	l.viewers += n
	l.bandwidth += int64(n) * t.bitrate
	addTo(l.streams, t.stream, n)
	if t.address.IsValid() {
		addTo(l.addresses, t.address, n)
	}
}

// addTo forgets a key that is down to zero, so that the map stays as small as what
// it counts.
func addTo[K comparable](m map[K]int, key K, n int) {
	if m[key] += n; m[key] <= 0 {
		delete(m, key)
	}
}

// Release gives the place back. Further calls, and a nil Ticket, do nothing.
func (t *Ticket) Release() {
	if t == nil || !t.released.CompareAndSwap(false, true) {
		return
	}
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	t.limits.add(t, -1)
}

// SetBitrate tells that the viewer costs another rate from now on, as when its
// stream changed. It never fails: nobody is sent away for it.
func (t *Ticket) SetBitrate(bitrate int64) {
	if t == nil {
		return
	}
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	if t.released.Load() {
		return
	}
	bitrate = max(bitrate, 0)
	t.limits.bandwidth += bitrate - t.bitrate
	t.bitrate = bitrate
}

// Connect takes a place for an open connection, or returns a *[LimitError]. Each
// nil result must be paid back with one Disconnect.
func (l *Limits) Connect() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most := l.bounds.Connections; most > 0 && l.connections >= most {
		return &LimitError{Limit: LimitConnections, Max: int64(most)}
	}
	l.connections++
	return nil
}

// Disconnect gives back the place taken by Connect.
func (l *Limits) Disconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connections = max(l.connections-1, 0)
}

// Usage is what is taken of the limits now.
type Usage struct {
	Viewers     int
	Addresses   int
	Bandwidth   int64 // bit/s
	Connections int
}

// Usage returns what is taken now.
func (l *Limits) Usage() Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Usage{Viewers: l.viewers, Addresses: len(l.addresses), Bandwidth: l.bandwidth, Connections: l.connections}
}

// customer is what counts as one remote address: an IPv4 address or an IPv6 /64,
// since whoever has one IPv6 address has that many.
func customer(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	bits := addr.BitLen()
	if addr.Is6() && !addr.IsLoopback() {
		bits = ipv6CustomerPrefixes
	}
	p, _ := addr.Prefix(bits)
	return p
}
