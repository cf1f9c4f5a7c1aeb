package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Pump is the house's own pump. Its methods may be called from any goroutine; paths are compared without regard to case.
type Pump interface {
	// Adopt serves a connection that was accepted and read from by somebody else: head is what was read. On an error
	// the connection is the caller's still.
	Adopt(c net.Conn, remote netip.AddrPort, head []byte, secure bool) error

	Delivers(stream string) bool // viewers get something now
	Viewers(stream string) int

	// Taken returns what viewers take of the limits, and how many were refused for them since the start.
	Taken() (viewers int, bitsPerSecond, refused int64)

	Held() int // packets in memory

	// Stop ends every viewing in order, at the latest when ctx is done.
	Stop(ctx context.Context) error
}

// Source is a pump of the fleet that a stream can be taken from.
type Source struct{ Pump, URL string }

// Options are what a [Relay] needs. All functions are required, and may be called from any goroutine.
type Options struct {
	// Choose returns the pumps that a stream should be taken from now, the first one preferred, when those in have are
	// what it is taken from; none: no pump can give it.
	Choose func(stream string, have []Source) []Source

	// Alone tells whether a stream can be had without any pump of the fleet, since none is up.
	Alone func(stream string) bool

	Changed func() // what the own pump should have is different
	Log     *slog.Logger
	Settings
}

// Settings can be changed while viewers watch.
type Settings struct {
	Viewers   int           // at once; 0: none
	Bandwidth int64         // bit/s that they may take together; 0: no limit
	Linger    time.Duration // how long a stream is kept when its last viewer has left
}

// Why a viewer is not served.
var (
	ErrFull     = errors.New("too many players that follow no redirect; another player, or the address with .asx, may do")
	ErrNoSource = errors.New("no pump can give the stream to the house")
	ErrLate     = errors.New("the stream did not reach the house in time")
	errStopping = errors.New("the house is stopping")
)

// Times of a stream.
const (
	lookEvery  = 500 * time.Millisecond // at those that are there
	openWithin = 15 * time.Second       // one has to begin
	openLook   = 20 * time.Millisecond
)

// Relay looks after the streams of the house's own pump. Methods may be called from any goroutine.
type Relay struct {
	opts     Options
	log      *slog.Logger
	repeats  *telemetry.Repeats
	settings atomic.Pointer[Settings]
	pump     atomic.Pointer[Pump]
	full     atomic.Int64 // refused here

	mu      sync.Mutex
	streams map[string]*channel // by path in lower case
	coming  int                 // viewers on their way to the pump
	bits    int64               // of those
	stopped bool

	stop context.CancelFunc
	done sync.WaitGroup
}

// channel is a stream that the own pump has, or is about to have. Guarded by Relay.mu.
type channel struct {
	sources []Source
	coming  int
	needed  time.Time // when somebody last watched or came
}

// New returns a relay that serves nobody before [Relay.Start].
func New(o Options) *Relay {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{
		opts: o, log: o.Log, repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: 10 * time.Second}),
		streams: map[string]*channel{}, stop: func() {},
	}
	r.Set(o.Settings)
	return r
}

// Start begins to serve viewers by a pump, which the relay stops at its own end. It is called once.
func (r *Relay) Start(p Pump) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.pump.Store(&p)
	r.done.Go(func() { r.tend(ctx) })
}

// Set puts settings in force. Whoever watches stays.
func (r *Relay) Set(s Settings) { r.settings.Store(&s) }

// On tells whether viewers are served at all.
func (r *Relay) On() bool { return r.pump.Load() != nil && r.settings.Load().Viewers > 0 }

// Limits returns how many viewers there may be, and what they may take in bit/s; 0: no limit.
func (r *Relay) Limits() (viewers int, bitsPerSecond int64) {
	s := r.settings.Load()
	return s.Viewers, s.Bandwidth
}

// Streams returns what the own pump should have, by path in lower case, and from whom.
func (r *Relay) Streams() map[string][]Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[string][]Source, len(r.streams))
	for key, c := range r.streams {
		m[key] = c.sources
	}
	return m
}

// Taken returns who is served now, what they take, and how many were refused because of the limits since the start.
func (r *Relay) Taken() (viewers int, bitsPerSecond, refused int64) {
	p := r.pump.Load()
	if p == nil {
		return 0, 0, 0
	}
	viewers, bitsPerSecond, refused = (*p).Taken()
	return viewers, bitsPerSecond, refused + r.full.Load()
}

// Held returns how many packets of streams are in memory.
func (r *Relay) Held() int {
	p := r.pump.Load()
	if p == nil {
		return 0
	}
	return (*p).Held()
}

// Stop ends every viewing, at the latest when ctx is done. Later calls do nothing.
func (r *Relay) Stop(ctx context.Context) error {
	r.mu.Lock()
	was, stop := r.stopped, r.stop
	r.stopped = true
	r.mu.Unlock()
	if was {
		return nil
	}
	stop()
	r.done.Wait()
	var err error
	if p := r.pump.Load(); p != nil {
		err = (*p).Stop(ctx)
	}
	r.repeats.Close()
	return err
}

// enter keeps a place for a viewer who is on his way to the pump, and sees that his stream is wanted there.
func (r *Relay) enter(stream string, bits int64) error {
	key, s := strings.ToLower(stream), r.settings.Load()
	viewers, taken, _ := (*r.pump.Load()).Taken()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		return errStopping
	case viewers+r.coming >= s.Viewers, s.Bandwidth > 0 && taken+r.bits+bits > s.Bandwidth:
		return ErrFull
	}
	c := r.streams[key]
	if c == nil {
		if len(r.streams) >= s.Viewers { // each asked for by somebody who did not stay
			return ErrFull
		}
		c = &channel{sources: r.opts.Choose(stream, nil)}
		if len(c.sources) == 0 && !r.opts.Alone(stream) {
			return ErrNoSource
		}
		r.streams[key] = c
		r.log.Info("taking a stream into the house", slog.String("stream", stream), slog.Any("pumps", names(c.sources)))
		defer r.opts.Changed()
	}
	c.coming++
	c.needed = time.Now()
	r.coming++
	r.bits += bits
	return nil
}

// leave gives the place back: he is a viewer of the pump now, or gone.
func (r *Relay) leave(stream string, bits int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coming--
	r.bits -= bits
	if c := r.streams[strings.ToLower(stream)]; c != nil {
		c.coming--
		c.needed = time.Now()
	}
}

// await waits until the pump delivers a stream.
func (r *Relay) await(ctx context.Context, stream string) error {
	p := *r.pump.Load()
	if p.Delivers(stream) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	look := time.NewTicker(openLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ErrLate
		case <-look.C:
			if p.Delivers(stream) {
				return nil
			}
		}
	}
}

// tend follows what streams need until ctx is done.
func (r *Relay) tend(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if r.look(now) {
				r.opts.Changed()
			}
		}
	}
}

// look lets go of streams that nobody needs any more, chooses sources anew, and tells whether anything is different.
func (r *Relay) look(now time.Time) (changed bool) {
	p, linger := *r.pump.Load(), r.settings.Load().Linger
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, c := range r.streams {
		if c.coming > 0 || p.Viewers(key) > 0 {
			c.needed = now
		}
		if now.Sub(c.needed) > linger {
			delete(r.streams, key)
			r.log.Info("nobody watches a stream in the house any more; it is let go", slog.String("stream", key))
			changed = true
			continue
		}
		next := r.opts.Choose(key, c.sources)
		if len(next) > 0 && !slices.Equal(next, c.sources) { // with none it is better to go on asking those that were
			c.sources = next
			r.log.Info("taking a stream into the house from other pumps", slog.String("stream", key), slog.Any("pumps", names(next)))
			changed = true
		}
	}
	return changed
}

func names(list []Source) []string {
	n := make([]string, len(list))
	for i, s := range list {
		n[i] = s.Pump
	}
	return n
}
