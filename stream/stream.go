package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/telemetry"
)

// State is what a stream is doing. Its text is part of the API.
type State int32

// The states of a stream.
const (
	Offline    State = iota // no source, and none is being asked
	Connecting              // waiting for a source, or for a lost one to come back
	Live                    // a source delivers
	Fallback                // a source other than the first of the list delivers
)

func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Live:
		return "live"
	case Fallback:
		return "fallback"
	default:
		return "offline"
	}
}

// Delivering tells whether viewers may join.
func (s State) Delivering() bool { return s == Live || s == Fallback }

// Options describe a stream. Path and Pool are required.
type Options struct {
	Path     string        // as configured; viewers' paths match without case
	Name     string        // for people
	Type     string        // source type, for people
	Hold     time.Duration // viewers of a lost source are held; 0 for DefaultHold
	Ring     ringbuf.Limits
	Pool     *ringbuf.Pool
	EndFrame []byte // what a viewer gets when the stream ends
	Metrics  *telemetry.StreamMetrics
	OnState  func(from, to State) // called in order, must not block; may be nil
}

// DefaultHold is how long viewers of a lost source are held.
const DefaultHold = 30 * time.Second

// Header is one header epoch: what every viewer gets before its first packet. It is
// immutable.
type Header struct {
	Epoch      uint32
	Raw        []byte // the source's header, unframed
	Frame      []byte // framed, for a viewer that joins
	Change     []byte // framed, for a viewer that was in the epoch before
	AltStart   int    // bytes of Change that viewers of the second class do not get
	PacketSize int    // bytes, the largest bare media packet
	Bitrate    int64  // bit/s, announced by the header; 0 unknown
	KeyFrames  bool   // packets that start a key frame are marked
	Info       any    // the source format's own description, for status pages
}

// Waker is told that there is something new in the ring. Its methods are called by the
// publisher for every packet: they must not block and should not allocate.
type Waker interface {
	Wake()
	Due() int64 // [Monotonic] time before which nothing will be done about a Wake
}

// Stream is one live stream. All methods are safe from any goroutine.
type Stream struct {
	opts    Options
	ring    *ringbuf.Ring
	state   atomic.Int32
	header  atomic.Pointer[Header]
	wakers  atomic.Pointer[[]Waker]
	drawn   atomic.Bool            // all wakers draw
	intake  atomic.Pointer[Intake] // the source while it is lent
	rate    *telemetry.Rate
	liveAt  atomic.Int64  // ns, monotonic, since when the stream delivers, 0 when it does not
	token   chan struct{} // holds one element when nobody is the producer
	viewers atomic.Int64

	lagMax, burstMax atomic.Int64 // ns, see SetBounds
	holdFor          atomic.Int64 // ns
	cost             cost
	name             atomic.Pointer[string]

	mu       sync.Mutex // guards what follows, and orders state changes; never on the packet path
	owner    *Publisher
	hold     *time.Timer
	takers   int // calls of Open that wait for the role
	epochs   uint32
	farewell *ringbuf.Slab // set aside for the End while there is a header
	closed   bool
}

// New returns a stream without a source, in state Offline.
func New(o Options) *Stream {
	if o.Metrics == nil {
		o.Metrics = telemetry.NewMetrics().Stream(o.Path)
	}
	s := &Stream{opts: o, ring: ringbuf.NewRing(o.Ring), token: make(chan struct{}, 1)}
	s.rate = telemetry.NewRate(5*time.Second, nil)
	s.token <- struct{}{}
	s.wakers.Store(new([]Waker))
	s.SetName(o.Name)
	s.SetHold(DefaultHold)
	if o.Hold > 0 {
		s.SetHold(o.Hold)
	}
	return s
}

var started = time.Now()

// Monotonic returns the clock of Meta.Arrived: ns since the program started.
func Monotonic() int64 { return int64(time.Since(started)) }

// Path and Type return what the stream was made with.
func (s *Stream) Path() string { return s.opts.Path }

// Name returns the stream's name for people.
func (s *Stream) Name() string { return *s.name.Load() }

// SetName replaces the stream's name for people.
func (s *Stream) SetName(name string) { s.name.Store(&name) }

// Type returns the type of the stream's source.
func (s *Stream) Type() string { return s.opts.Type }

// Ring returns the stream's ring, for readers.
func (s *Stream) Ring() *ringbuf.Ring { return s.ring }

// Pool returns the pool that the stream's slabs come from.
func (s *Stream) Pool() *ringbuf.Pool { return s.opts.Pool }

// Metrics returns the stream's figures.
func (s *Stream) Metrics() *telemetry.StreamMetrics { return s.opts.Metrics }

// State returns the current state.
func (s *Stream) State() State { return State(s.state.Load()) }

// Header returns the current header epoch, or nil while there is none. A stream whose
// source was lost keeps its header until the hold runs out.
func (s *Stream) Header() *Header { return s.header.Load() }

// SetHold says how long viewers of a lost source are held, from the next loss on; 0 lets
// them go at once.
func (s *Stream) SetHold(d time.Duration) { s.holdFor.Store(int64(d)) }

// SetBounds says how far viewers of this stream may fall behind, and how far back they
// may start; 0 leaves either to the server's setting.
func (s *Stream) SetBounds(lag, burst time.Duration) {
	s.lagMax.Store(int64(lag))
	s.burstMax.Store(int64(burst))
}

// LagMax returns how far viewers may fall behind, given the server's setting.
func (s *Stream) LagMax(server time.Duration) time.Duration {
	if own := s.lagMax.Load(); own > 0 {
		return time.Duration(own)
	}
	return server
}

// BurstMax returns how far back viewers may start, given the server's setting.
func (s *Stream) BurstMax(server time.Duration) time.Duration {
	if own := s.burstMax.Load(); own > 0 {
		return time.Duration(own)
	}
	return server
}

// EndFrame returns the bytes that tell a viewer that the stream has ended.
func (s *Stream) EndFrame() []byte { return s.opts.EndFrame }

// Bitrate returns the measured rate of the source in bit/s.
func (s *Stream) Bitrate() float64 { return s.rate.BitsPerSecond() }

// Uptime returns for how long the stream has been delivering.
func (s *Stream) Uptime() time.Duration {
	at := s.liveAt.Load()
	if at == 0 {
		return 0
	}
	return time.Duration(Monotonic() - at)
}

// Source returns the name of whoever holds the producer's role, "" when nobody does.
func (s *Stream) Source() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner == nil {
		return ""
	}
	return s.owner.name
}

// ViewerJoined and ViewerLeft keep the count of viewers.
func (s *Stream) ViewerJoined() {
	s.viewers.Add(1)
	s.opts.Metrics.Viewers.Add(1)
	s.opts.Metrics.ViewersTotal.Inc()
}

// ViewerLeft undoes one ViewerJoined.
func (s *Stream) ViewerLeft() {
	s.viewers.Add(-1)
	s.opts.Metrics.Viewers.Add(-1)
}

// Viewers returns how many viewers are connected.
func (s *Stream) Viewers() int { return int(s.viewers.Load()) }

// Subscribe adds a waker until the returned function is called.
func (s *Stream) Subscribe(w Waker) (cancel func()) {
	s.editWakers(func(list []Waker) []Waker { return append(list, w) })
	return func() {
		s.editWakers(func(list []Waker) []Waker {
			for i, x := range list {
				if x == w {
					return append(list[:i], list[i+1:]...)
				}
			}
			return list
		})
	}
}

func (s *Stream) editWakers(edit func([]Waker) []Waker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := append([]Waker(nil), *s.wakers.Load()...)
	list = edit(list)
	s.wakers.Store(&list)
	s.drawn.Store(allDraw(list))
	in := s.intake.Load()
	switch {
	case in == nil:
	case allDraw(list):
		s.wake() // a newcomer's passes have to begin
	default:
		(*in).Reclaim()
	}
}

// Unseen returns for how long from now nobody will look at what is published: 0 when
// somebody would at once, and when nobody is there.
func (s *Stream) Unseen() time.Duration {
	wakers := *s.wakers.Load()
	if len(wakers) == 0 {
		return 0
	}
	first := wakers[0].Due()
	for _, w := range wakers[1:] {
		first = min(first, w.Due())
	}
	return max(0, time.Duration(first-Monotonic()))
}

func (s *Stream) wake() {
	for _, w := range *s.wakers.Load() {
		w.Wake()
	}
}

// setState changes the state. The caller holds s.mu.
func (s *Stream) setState(to State) {
	from := State(s.state.Swap(int32(to)))
	if from == to {
		return
	}
	switch {
	case to.Delivering() && !from.Delivering():
		s.liveAt.Store(max(1, Monotonic()))
		s.opts.Metrics.SourceUp.Set(1)
	case !to.Delivering():
		s.liveAt.Store(0)
		s.opts.Metrics.SourceUp.Set(0)
	}
	if s.opts.OnState != nil {
		s.opts.OnState(from, to)
	}
}
