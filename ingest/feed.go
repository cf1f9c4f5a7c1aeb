package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// ErrBadPackets says that a source sent too many unusable packets in a row.
var ErrBadPackets = errors.New("too many bad packets in a row")

// errNoHeader is a packet before any header: a mistake of the source's reader.
var errNoHeader = errors.New("packet before the header")

// FeedOptions describe a feed. Stream is required; without the stream's Timeline numbers and times begin anew.
type FeedOptions struct {
	Stream   *stream.Stream
	Timeline *Timeline
	Claim    stream.Claim

	// Trial defers taking the publisher's role until the first packet that viewers can go on with is there, and
	// then takes it from a backup source that has it: so that one plays until this one is ready.
	Trial bool

	// Repeats says that the source, asked again, may begin with what it had sent before, under the same LocationIds.
	Repeats bool

	Wait     time.Duration // for the former holder to give the role back; default 5 s
	MaxGap   time.Duration // a clock that went on by less was not interrupted; default 45 s
	MaxBad   int           // bad packets in a row before the source is given up; default 50
	OnLive   func()        // called once, with the first packet published; may be nil
	OnRevoke func()        // called when another wants the role, from another goroutine; may be nil
	Log      *slog.Logger  // default: nothing is logged
}

func (o FeedOptions) withDefaults() FeedOptions {
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	if o.MaxGap <= 0 {
		o.MaxGap = 45 * time.Second
	}
	if o.MaxBad <= 0 {
		o.MaxBad = 50
	}
	if o.Timeline == nil {
		o.Timeline = NewTimeline()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Feed is the way of one source connection into a stream. The source calls Header, then for each packet Slab and
// Packet, from one goroutine; whoever made the feed calls Lost or End when it is over, from any, and once more does no
// harm.
type Feed struct {
	opts FeedOptions
	ctx  context.Context
	t    *Timeline
	pub  *stream.Publisher
	over atomic.Bool // the role was given back

	role struct {
		sync.Mutex
		backup bool              // as Claim.Fallback, until SetBackup
		pub    *stream.Publisher // as pub, for SetBackup
	}

	header  *asf.Header // of the source, as viewers get it; nil before the first
	pending bool        // header is not in force yet: the role is still to be taken
	keys    asf.StreamSet
	all     asf.StreamSet
	pad     bool // packets are delivered at full size

	mode     mode
	rejoined bool // the packet at hand is the first after an interruption
	gate     gate
	caught   time.Time // since when the source repeats itself; zero when it does not
	caughtAt uint32    // ms, send time of the first packet it repeated
	cursor   uint64    // ring sequence where the search for duplicates goes on
	bad      int       // bad packets in a row
	packets  uint64    // published
	newest   Location  // in the source's count, of the newest packet published
	drops    map[string]*telemetry.Counter
}

// mode is how the next packet finds its place.
type mode uint8

const (
	fresh    mode = iota // nothing was published under this header
	resuming             // the source came back, or another took over, under the header in force
	catching             // the source repeats what viewers have already
	flowing              // one packet after the other
)

// NewFeed returns a feed. ctx bounds the wait for the publisher's role, nothing else.
func NewFeed(ctx context.Context, o FeedOptions) *Feed {
	o = o.withDefaults()
	f := &Feed{opts: o, ctx: ctx, t: o.Timeline, drops: map[string]*telemetry.Counter{}}
	f.role.backup = o.Claim.Fallback
	return f
}

// Stream returns the stream fed.
func (f *Feed) Stream() *stream.Stream { return f.opts.Stream }

// Live tells whether the feed holds the publisher's role and has put a header in force.
func (f *Feed) Live() bool { return f.pub != nil && f.header != nil && !f.pending }

// Packets returns how many packets were published.
func (f *Feed) Packets() uint64 { return f.packets }

// next returns the LocationId, in the source's count, of the packet that is to come, if the source counts.
func (f *Feed) next() (uint32, bool) { return f.newest.ID + 1, f.newest.Has }

// PacketSize returns the size in bytes that the header in force gives, 0 before the first.
func (f *Feed) PacketSize() int {
	if f.header == nil {
		return 0
	}
	return f.header.PacketSize
}

// Open takes the publisher's role now; Header does it otherwise. Errors are those of [stream.Stream.Open].
func (f *Feed) Open() error {
	if f.pub != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.opts.Wait)
	defer cancel()
	pub, err := f.opts.Stream.Open(ctx, f.opts.Claim)
	if err != nil {
		return err
	}
	f.pub = pub
	f.role.Lock()
	f.role.pub = pub
	if f.role.backup != f.opts.Claim.Fallback { // since it waits
		pub.SetFallback(f.role.backup)
	}
	f.role.Unlock()
	if f.opts.OnRevoke != nil {
		go func() { // ends with the role: giving it back closes Done as well
			<-pub.Done()
			if !f.over.Load() {
				f.opts.OnRevoke()
			}
		}()
	}
	return nil
}

// SetBackup says whether the source is a backup from now on, instead of what Claim.Fallback said. Any goroutine.
func (f *Feed) SetBackup(backup bool) {
	f.role.Lock()
	defer f.role.Unlock()
	f.role.backup = backup
	if f.role.pub != nil {
		f.role.pub.SetFallback(backup)
	}
}

// revoked tells, before the role is given back, whether another source wants it.
func (f *Feed) revoked() bool {
	if f.pub == nil {
		return false
	}
	select {
	case <-f.pub.Done():
		return true
	default:
		return false
	}
}

// Lost says that the source is gone without having ended: viewers are held.
func (f *Feed) Lost() {
	f.over.Store(true)
	if f.pub != nil {
		f.pub.Lost()
	}
}

// End says that the source has ended the stream: viewers are let go.
func (f *Feed) End() {
	f.over.Store(true)
	if f.pub != nil {
		f.pub.End()
	}
}

// Slab returns a slab for a packet of n bytes, to be read into Bytes()[mmsh.DataHeadSize:], and then to be given to
// Packet, or released. It is nil when there is no memory: the source passes over the packet, which is counted.
func (f *Feed) Slab(n int) *ringbuf.Slab {
	slab := f.opts.Stream.Pool().Get(mmsh.DataHeadSize + n)
	if slab == nil {
		f.count(dropNoMemory)
	}
	return slab
}

// Location is the number that the source gave a packet, if it numbers them.
type Location struct {
	ID  uint32
	Has bool
}

// Packet takes a slab over and publishes it, or drops and counts it. An error means that the source is to be given
// up: ErrBadPackets, [stream.ErrRevoked], or what kept the role from being taken.
func (f *Feed) Packet(slab *ringbuf.Slab, at Location) error {
	if f.header == nil {
		slab.Release()
		return errNoHeader
	}
	info, err := asf.ParsePacket(slab.Bytes()[mmsh.DataHeadSize:], f.header.PacketSize, f.keys)
	if err != nil {
		return f.refuse(slab, err)
	}
	if !overlap(info.Streams, f.all) {
		f.drop(slab, dropUndeclared)
		return nil
	}
	if f.pending {
		if !f.gate.open(&info) {
			slab.Release() // another source plays on meanwhile: nothing is missing
			return nil
		}
		if err := f.takeOver(); err != nil {
			slab.Release()
			return err
		}
	}
	return f.place(slab, &info, at)
}

// takeOver takes the role for a header that was pending, from a backup source without being told to.
func (f *Feed) takeOver() error {
	f.opts.Claim.TakeOver = f.opts.Claim.TakeOver || f.opts.Stream.State() != stream.Live
	if err := f.Open(); err != nil {
		return err
	}
	f.pending = false
	if err := f.enforce(); err != nil {
		return err
	}
	f.gate.arm(false) // the packet at hand is the one to begin with
	return nil
}

// refuse drops a packet that does not parse.
func (f *Feed) refuse(slab *ringbuf.Slab, err error) error {
	if errors.Is(err, asf.ErrPacketSize) {
		f.drop(slab, dropOversized)
	} else {
		f.drop(slab, dropMalformed)
	}
	if f.bad++; f.bad >= f.opts.MaxBad {
		return fmt.Errorf("%w: %d, the last one: %w", ErrBadPackets, f.bad, err)
	}
	return nil
}

// Reasons of packets that are not passed on.
const (
	dropMalformed  = "malformed"
	dropOversized  = "oversized"
	dropUndeclared = "undeclared"
	dropNoMemory   = "no_memory"
	dropBeforeKey  = "before_key_frame"
	dropDuplicate  = "duplicate"
)

// DropReasons returns all reasons for which a packet of a source is not passed on: the labels
// of stream_pump_packets_dropped_total.
func DropReasons() []string {
	return []string{dropMalformed, dropOversized, dropUndeclared, dropNoMemory, dropBeforeKey, dropDuplicate}
}

func (f *Feed) drop(slab *ringbuf.Slab, reason string) {
	slab.Release()
	f.count(reason)
}

func (f *Feed) count(reason string) {
	c := f.drops[reason]
	if c == nil {
		c = f.opts.Stream.Metrics().PacketsDropped(reason)
		f.drops[reason] = c
	}
	c.Inc()
}

func overlap(a, b asf.StreamSet) bool { return a[0]&b[0]|a[1]&b[1] != 0 }
