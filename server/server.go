package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// ErrServerClosed is returned by Serve on a server that has been shut down.
var ErrServerClosed = errors.New("server is closed")

// Server serves viewers. All exported methods are safe from any goroutine.
type Server struct {
	gnet.BuiltinEventEngine // the events that nothing is done about

	opts     Options
	log      *slog.Logger
	repeats  *telemetry.Repeats // lines that anybody outside can cause
	settings atomic.Pointer[Settings]
	loops    []*loop  // fixed once New has returned
	byEngine sync.Map // gnet.EventLoop → *loop
	sessions *sessions
	crowds   *crowds
	uplink   uplink
	closed   closedLog
	spare    spare
	watching atomic.Int64  // viewers and guests
	pushing  atomic.Int64  // encoders
	shut     atomic.Bool   // nobody new is accepted
	draining atomic.Bool   // and whoever asks to watch is refused
	copied   atomic.Uint64 // bytes, by guests
	egress   string        // set by New

	ctx     context.Context // ends when the server is closed
	cancel  context.CancelFunc
	stopped chan struct{} // closed together with ctx
	closing sync.Once
	wg      sync.WaitGroup

	accepting sync.WaitGroup
	leaving   chan struct{} // holds one for each client that is being turned away
	deciding  chan struct{} // holds one for each request that is being decided on a goroutine

	mu        sync.Mutex // guards what follows
	listeners map[net.Listener]struct{}
	hosted    map[net.Conn]struct{} // connections on goroutines
}

// tickEvery is how often deadlines are looked at.
const (
	tickEvery    = 250 * time.Millisecond
	ticksASecond = int(time.Second / tickEvery)
)

// New returns a server whose event loops run; it accepts nothing before Serve.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limits == nil {
		o.Limits = access.NewLimits(access.Bounds{})
	}
	s := &Server{
		opts: o, log: o.Log, egress: EgressWritev, leaving: make(chan struct{}, turnAwayMost),
		deciding: make(chan struct{}, decideMost), sessions: newSessions(time.Now), stopped: make(chan struct{}),
		listeners: map[net.Listener]struct{}{}, hosted: map[net.Conn]struct{}{},
		repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: time.Minute}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.crowds = newCrowds(s.settings.Load)
	s.Update(o.Settings)
	loops := o.Loops
	if loops <= 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	for range loops {
		if err := s.startLoop(); err != nil {
			_ = s.Shutdown(s.ctx)
			return nil, fmt.Errorf("starting the event loops: %w", err)
		}
	}
	if err := s.chooseEgress(); err != nil {
		_ = s.Shutdown(s.ctx)
		return nil, err
	}
	s.spare.open()
	s.background(s.tick)
	return s, nil
}

// Update replaces the settings; connected viewers feel them at once.
func (s *Server) Update(set Settings) {
	set = set.withDefaults()
	s.settings.Store(&set)
	if set.Uplink != UplinkAuto {
		s.opts.Limits.SetUplink(uplinkBudget(set.Uplink))
	}
}

// background runs f on a goroutine that Shutdown waits for.
func (s *Server) background(f func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// spawn serves a connection on a goroutine, and closes it and gives its place back at
// the end. It reports false, having done nothing, when the server is closed.
func (s *Server) spawn(c net.Conn, place *access.Connection, serve func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.hosted[c] = struct{}{}
	s.background(func() {
		defer func() {
			_ = c.Close()
			if s.moved(c) {
				place.Release()
			}
		}()
		defer s.containHosted()
		serve(s.ctx)
	})
	return true
}

// moved notes that a connection is no longer on its goroutine, and tells whether it was.
func (s *Server) moved(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.hosted[c]
	delete(s.hosted, c)
	return was
}

// loopOf returns what is kept for an event loop.
func (s *Server) loopOf(el gnet.EventLoop) *loop {
	l, _ := s.byEngine.Load(el)
	return l.(*loop)
}

// tick looks at deadlines until the server is closed.
func (s *Server) tick() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		s.learnUplink()
		s.shareUplink()
		if n%ticksASecond == 0 {
			s.followCosts()
			s.endSessions()
		}
		s.sessions.sweep(2 * s.settings.Load().SessionTimeout)
		for _, l := range s.loops {
			if l.timed.Load() > 0 {
				l.call(s.ctx, l.tick)
			}
		}
	}
}

// tick looks at the deadlines of the loop's connections. Runs on the loop.
func (l *loop) tick() {
	now := stream.Monotonic()
	for c := range l.conns {
		l.tickOne(c, now)
	}
}

// lingering tells whether a connection of the loop waits for its peer to close. Runs on
// the loop.
func (l *loop) lingering() bool {
	for c := range l.conns {
		if c.phase == lingering || c.phase == draining {
			return true
		}
	}
	return false
}

func (s *Server) count(status int) {
	if s.opts.Metrics != nil && status != 0 {
		s.opts.Metrics.Requests(status).Inc()
	}
}

// endReason is why a viewer that has the end of its stream leaves.
func (s *Server) endReason() Reason {
	if s.draining.Load() {
		return ReasonDrained
	}
	return ReasonEnded
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut.Load() {
		return false
	}
	s.listeners[ln] = struct{}{}
	s.accepting.Add(1)
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	s.accepting.Done()
}

// Shut stops accepting, and returns when whoever was accepted is counted. They are served
// as before: who has connected, and not asked yet, may still become a viewer.
func (s *Server) Shut() {
	s.mu.Lock()
	s.shut.Store(true)
	for ln := range s.listeners {
		_ = ln.Close()
	}
	s.mu.Unlock()
	s.accepting.Wait()
}

// Drain stops accepting and refuses further viewers; those who are there stay until
// their streams end.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.Shut()
}

// Pushing returns how many connections encoders have.
func (s *Server) Pushing() int { return int(s.pushing.Load()) }

// Shutdown drains, waits until every viewer has left, which the caller brings about by
// closing the streams, or until ctx is done; then it cuts whoever is left off and stops
// the event loops. It returns ctx's error if anybody had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	err := s.awaitEmpty(ctx)
	s.closing.Do(func() { err = errors.Join(err, s.close()) })
	return err
}

// close cuts whoever is left off and stops everything.
func (s *Server) close() error {
	s.mu.Lock()
	close(s.stopped)
	s.cancel()
	for c := range s.hosted {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait() // nobody calls on a loop any more: gnet would write to descriptors it has closed
	var errs []error
	s.crowds.pulse.stop()
	for _, l := range s.loops {
		errs = append(errs, l.engine.Stop())
		l.pulse.stop()
		_ = l.bell.rope.Close()
		l.batch.close()
	}
	s.spare.close()
	s.repeats.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping the event loops: %w", err)
	}
	return nil
}

// awaitEmpty waits until no viewer is left, and then for those who have just got
// their last byte to close.
func (s *Server) awaitEmpty(ctx context.Context) error {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for s.watching.Load() > 0 || s.lingering(ctx) {
		select {
		case <-ctx.Done():
			if n := s.watching.Load(); n > 0 {
				return fmt.Errorf("%d viewers were cut off: %w", n, ctx.Err())
			}
			return nil
		case <-t.C:
		}
	}
	return nil
}

// lingering tells whether a connection waits for its peer to close.
func (s *Server) lingering(ctx context.Context) bool {
	found := false
	for _, l := range s.loops {
		var here bool
		if l.call(ctx, func() { here = l.lingering() }) {
			found = found || here
		}
	}
	return found
}
