package stream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
)

// ErrClosed is returned for a stream that has been removed.
var ErrClosed = errors.New("stream is closed")

// ErrRevoked is returned to a publisher that has lost its role to another, or that has
// given it back.
var ErrRevoked = errors.New("another source has taken the stream over")

// BusyError says that a stream has a source already.
type BusyError struct {
	Path  string
	Owner string    // who is publishing
	Since time.Time // since when
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("stream %s is already being published by %s since %s", e.Path, e.Owner, e.Since.Format(time.RFC3339))
}

// Publisher is the producer's role of one stream. SetHeader, Publish and End are
// called by one goroutine; Revoked, Done, Lost and SetFallback may be called from any.
type Publisher struct {
	s        *Stream
	name     string
	since    time.Time
	fallback bool // guarded by s.mu
	revoked  atomic.Bool
	done     chan struct{} // closed when the role is wanted back
	returned bool          // guarded by s.mu
}

// Claim says who wants to publish and how.
type Claim struct {
	Name     string // for people: an address, a URL without secrets
	TakeOver bool   // replace another publisher instead of being refused
	Fallback bool   // a backup source: the state becomes Fallback instead of Live
}

// Open asks for the producer's role. It returns a *[BusyError] when another holds it and
// c.TakeOver is not set, ErrClosed when the stream is gone, or ctx's error when the
// former publisher does not give the role back in time. The state becomes Connecting
// unless the stream is delivering (then it stays, viewers are served without a break).
func (s *Stream) Open(ctx context.Context, c Claim) (*Publisher, error) {
	if err := s.revokeOther(c); err != nil {
		return nil, err
	}
	select {
	case <-s.token:
	case <-ctx.Done():
		s.abandon()
		return nil, fmt.Errorf("waiting for the former source of stream %s: %w", s.opts.Path, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takers--
	if s.closed {
		s.endLocked()
		s.token <- struct{}{}
		return nil, ErrClosed
	}
	p := &Publisher{s: s, name: c.Name, since: time.Now(), fallback: c.Fallback, done: make(chan struct{})}
	s.owner = p
	if !s.State().Delivering() {
		s.setState(Connecting)
	}
	return p, nil
}

func (s *Stream) revokeOther(c Claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if o := s.owner; o != nil {
		if !c.TakeOver {
			return &BusyError{Path: s.opts.Path, Owner: o.name, Since: o.since}
		}
		o.revoke()
	}
	s.takers++
	return nil
}

// abandon undoes the wait of an Open that does not get the role: if it was all that kept the stream on the air, the
// viewers are held from now on.
func (s *Stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takers--
	if s.takers == 0 && s.owner == nil && s.State().Delivering() {
		s.startHold()
	}
}

// Await says that a source will come by itself (a pull that keeps trying): the state of
// an offline stream becomes Connecting.
func (s *Stream) Await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.State() == Offline {
		s.setState(Connecting)
	}
}

// GiveUp undoes Await: a stream that waits in vain is offline again.
func (s *Stream) GiveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner == nil && s.State() == Connecting && s.header.Load() == nil {
		s.setState(Offline)
	}
}

// revoke asks for the role back. The caller holds s.mu.
func (p *Publisher) revoke() {
	if !p.revoked.Swap(true) {
		close(p.done)
	}
}

// Done is closed when another source takes over or the stream is removed: the holder
// must stop and call Lost.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// Stream returns the stream published to.
func (p *Publisher) Stream() *Stream { return p.s }

// SetHeader begins a header epoch with h and puts the stream on the air. For the first
// header after an end, viewers simply begin with it; a later one reaches the viewers as
// a Change. h.Epoch is filled in. It fails with ErrRevoked, or with ErrNoMemory.
func (p *Publisher) SetHeader(h Header) error {
	if p.revoked.Load() {
		return ErrRevoked
	}
	s := p.s
	if err := s.newEpoch(&h); err != nil {
		return err
	}
	if s.header.Load() != nil {
		if err := p.publishChange(&h); err != nil {
			return err
		}
	}
	s.header.Store(&h)
	p.Resume()
	s.wake()
	return nil
}

// newEpoch numbers a header, and sets memory aside for the End that viewers will need
// whatever the state of the pool is by then.
func (s *Stream) newEpoch(h *Header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.farewell == nil {
		if s.farewell = s.opts.Pool.Get(len(s.opts.EndFrame)); s.farewell == nil {
			return fmt.Errorf("end of the stream: %w", ErrNoMemory)
		}
	}
	s.epochs++
	h.Epoch = s.epochs
	return nil
}

func (p *Publisher) publishChange(h *Header) error {
	slab := p.s.opts.Pool.Get(len(h.Change))
	if slab == nil {
		return fmt.Errorf("stream change of %d bytes: %w", len(h.Change), ErrNoMemory)
	}
	copy(slab.Bytes(), h.Change)
	slab.Kind, slab.Epoch, slab.AltStart = ringbuf.Change, h.Epoch, uint16(h.AltStart)
	slab.Arrived = Monotonic()
	p.s.ring.Publish(slab)
	return nil
}

// ErrNoMemory says that the slab pool is at its bound or the packet is too large.
var ErrNoMemory = errors.New("no slab to be had")

// Resume puts the stream back on the air without a new header: the source came back and
// its header is equal to the one the viewers have.
func (p *Publisher) Resume() {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.revoked.Load() || s.closed {
		return
	}
	s.stopHold()
	if p.fallback {
		s.setState(Fallback)
	} else {
		s.setState(Live)
	}
}

// SetFallback says whether the publisher is a backup source from now on, since the order
// of sources has changed: a stream that delivers changes its state with it.
func (p *Publisher) SetFallback(backup bool) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p.fallback = backup
	if s.owner != p || p.revoked.Load() || !s.State().Delivering() {
		return
	}
	if backup {
		s.setState(Fallback)
	} else {
		s.setState(Live)
	}
}

// Publish appends one framed packet to the ring, whose reference the stream takes over
// in any case. The slab's Meta except Epoch and Arrived must be filled in. It neither
// blocks nor allocates. ErrRevoked means that the caller must stop.
func (p *Publisher) Publish(slab *ringbuf.Slab) error {
	s := p.s
	if p.revoked.Load() {
		slab.Release()
		return ErrRevoked
	}
	if h := s.header.Load(); h != nil {
		slab.Epoch = h.Epoch
	}
	slab.Arrived = Monotonic()
	n := slab.Len()
	s.ring.Publish(slab)
	s.rate.Add(n)
	s.opts.Metrics.PacketsIn.Inc()
	s.opts.Metrics.BytesIn.Add(uint64(n))
	s.wake()
	return nil
}

// Lost gives the role back because the source went away without saying that it has
// ended. The viewers are held; if no source resumes within the hold the stream ends.
// Later calls do nothing.
func (p *Publisher) Lost() { p.giveBack(false) }

// End gives the role back because the source has ended: the viewers are let go once
// they have the last packet. Later calls do nothing.
func (p *Publisher) End() { p.giveBack(true) }

func (p *Publisher) giveBack(ended bool) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.returned {
		return
	}
	p.returned = true
	ended = ended && !p.revoked.Load() // who was told to go does not decide for its successor
	p.revoke()
	if s.owner == p {
		s.owner = nil
	}
	switch {
	case s.closed:
		s.endLocked()
	case ended:
		s.endLocked()
	case s.header.Load() == nil:
		s.setState(Offline)
	case s.takers > 0: // the successor goes on in a moment: viewers join as before
	default:
		s.startHold()
	}
	s.token <- struct{}{}
}

// startHold lets the viewers wait for a source. The caller holds s.mu.
func (s *Stream) startHold() {
	s.setState(Connecting)
	s.stopHold()
	s.hold = time.AfterFunc(time.Duration(s.holdFor.Load()), s.holdRanOut)
}

// stopHold is called with s.mu held.
func (s *Stream) stopHold() {
	if s.hold != nil {
		s.hold.Stop()
		s.hold = nil
	}
}

// holdRanOut ends the stream unless a source holds the role: it may yet send a header.
func (s *Stream) holdRanOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.State().Delivering() || s.hold == nil {
		return
	}
	select {
	case <-s.token:
		s.endLocked()
		s.token <- struct{}{}
	default: // a source is connecting: give it another turn
		s.hold = time.AfterFunc(time.Duration(s.holdFor.Load()), s.holdRanOut)
	}
}

// endLocked publishes the End. The caller holds s.mu and the token.
func (s *Stream) endLocked() {
	s.stopHold()
	if s.header.Swap(nil) != nil { // before the End is there: nobody may join behind it with this header
		slab := s.farewell
		s.farewell = nil
		copy(slab.Bytes(), s.opts.EndFrame)
		slab.Kind, slab.Arrived = ringbuf.End, Monotonic()
		s.ring.Publish(slab)
	}
	s.setState(Offline)
	for _, w := range *s.wakers.Load() {
		w.Wake()
	}
}

// Close removes the stream: its publisher is asked to stop, its viewers are let go, no
// other may open it. The ring keeps its packets until Discard.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.owner != nil {
		s.owner.revoke() // it gives the token back and ends the stream
		return
	}
	select {
	case <-s.token:
		s.endLocked()
		s.token <- struct{}{}
	default: // between token and ownership in Open, which looks at closed next
	}
}

// Discard drops what the ring of a closed stream still holds, waiting for its publisher
// until ctx is done.
func (s *Stream) Discard(ctx context.Context) error {
	select {
	case <-s.token:
	case <-ctx.Done():
		return fmt.Errorf("source of stream %s does not stop: %w", s.opts.Path, ctx.Err())
	}
	s.ring.Clear()
	s.token <- struct{}{}
	return nil
}

// Kick drops the current source, if any, as if it had been lost.
func (s *Stream) Kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner != nil {
		s.owner.revoke()
	}
}
