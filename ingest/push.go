package ingest

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Target is a stream that may be pushed.
type Target struct {
	Stream   *stream.Stream
	Timeline *Timeline
	TakeOver bool         // an encoder that comes replaces the one that is there
	Gate     *access.Gate // nil: everyone may push
}

// PushHook is asked before an encoder goes on the air, and told when that is over.
type PushHook interface {
	// Publish may take time, until ctx is done. What it returns is kept with the publication.
	Publish(ctx context.Context, p Publication) (session string, denial *access.Denial)

	// Unpublish is told of the end of every publication that Publish allowed. It must not block.
	Unpublish(p Publication)
}

// Publication is one encoder's time on the air; it may be several requests long.
type Publication struct {
	Session string // what the hook calls it
	Stream  string // path
	Peer    netip.AddrPort
	Pass    access.Pass // what the encoder was let in with
	Agent   string      // as sent
	Query   string      // of the address, as sent
	TLS     bool

	// At the end.
	Reason  string // PublishEnded, PublishLost or PublishRefused
	Took    time.Duration
	Packets uint64 // that viewers could get
}

// Why a publication is over.
const (
	PublishEnded   = "ended"   // the encoder has said so
	PublishLost    = "lost"    // nothing came any more, or somebody else took over
	PublishRefused = "refused" // the stream was taken after all
)

// PushOptions describe the door for encoders. Lookup is required; zero fields take the defaults.
type PushOptions struct {
	Lookup func(path string) (*Target, bool) // by the stream's path, as in the address, any case
	Hook   PushHook                          // nil: nobody is asked

	// Client returns who sent a request with this head that came from peer, which may be a
	// proxy; nil: peer did.
	Client func(peer netip.AddrPort, head http.Header) netip.AddrPort

	IdleTimeout    time.Duration // without a header, packet or change; default 60 s
	SessionTimeout time.Duration // between two requests of a session; default 120 s
	HeadTimeout    time.Duration // for the head of a request; default 10 s
	ParkTimeout    time.Duration // a session between two requests keeps the stream on the air; default 10 s
	SilentAfter    time.Duration // an encoder silent for so long gives way to its own successor; default 5 s
	LingerTimeout  time.Duration // for a client to take an error before its connection is closed; default 2 s
	MaxSessions    int           // kept at once; default 1024
	Log            *slog.Logger
}

func (o PushOptions) withDefaults() PushOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.IdleTimeout, 60 * time.Second}, {&o.SessionTimeout, 120 * time.Second}, {&o.HeadTimeout, 10 * time.Second},
		{&o.ParkTimeout, 10 * time.Second}, {&o.SilentAfter, 5 * time.Second}, {&o.LingerTimeout, 2 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = 1024
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Client == nil {
		o.Client = func(peer netip.AddrPort, _ http.Header) netip.AddrPort { return peer }
	}
	return o
}

// Push receives encoders: [MS-WMHTTP] sessions of PushSetup and PushStart, and plain POST or PUT of ASF or MMSH.
// All methods may be called from any goroutine.
type Push struct {
	opts  PushOptions
	times atomic.Pointer[pushTimes]
	noted *telemetry.Repeats // refusals

	mu       sync.Mutex
	sessions map[string]*session
	closed   bool
}

// NewPush returns a door for encoders. Close it when no more connections are handed to it.
func NewPush(o PushOptions) *Push {
	p := &Push{opts: o.withDefaults(), sessions: map[string]*session{}}
	p.noted = telemetry.NewRepeats(p.opts.Log, telemetry.RepeatsOptions{Every: 10 * time.Second})
	p.times.Store(&pushTimes{p.opts.IdleTimeout, p.opts.SessionTimeout, p.opts.HeadTimeout})
	return p
}

// pushTimes are the patience that may change while the door is open.
type pushTimes struct{ idle, session, head time.Duration }

// SetTimeouts replaces the timeouts of the options of these names, all above 0. What is
// being waited for already keeps its end.
func (p *Push) SetTimeouts(idle, session, head time.Duration) {
	p.times.Store(&pushTimes{idle, session, head})
}

// ServeConn serves one connection whose first request head was read from br with [http.ReadRequest], and the
// requests that follow on it. The client's address is req.RemoteAddr, or conn's where that says none; a proxy may send
// the requests of several clients. req.TLS holds for all requests of the connection. It owns conn until it returns, soon after ctx is done at the latest; the caller closes
// it.
func (p *Push) ServeConn(ctx context.Context, conn net.Conn, br *bufio.Reader, req *http.Request) {
	c := &pushConn{push: p, ctx: ctx, conn: conn, peer: peerOf(conn, req), hop: addressOf(conn), tls: req.TLS}
	stop := context.AfterFunc(ctx, func() { c.interrupt("the pump is shutting down") })
	defer stop()
	heads := newHeadReader(br)
	body := br
	for req != nil && c.serve(req, body) {
		req, body = c.next(heads), heads.br
	}
}

// Close ends all sessions: streams lose their source, connections are interrupted. No timer outlives it.
func (p *Push) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, s := range p.sessions {
		if s.conn != nil {
			s.conn.interrupt("the pump is shutting down")
		}
		p.dropLocked(s)
	}
	p.noted.Close()
}

// Sessions returns how many sessions are kept.
func (p *Push) Sessions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions)
}

// session is one push-id: what outlives a connection. Its fields are guarded by Push.mu.
type session struct {
	id      string
	stream  *stream.Stream
	peer    netip.Addr
	pass    access.Pass  // what its encoder was let in with
	header  []byte       // ASF header that a later PushStart goes on with
	framing mmsh.Framing // of the body that brought it
	conn    *pushConn    // receives a body for it now
	feed    *pushFeed    // kept between two bodies, so that the stream stays on the air
	timer   *time.Timer  // when nothing comes
	used    time.Time    // end of the last request
}

// pushFeed is a feed and who reads into it; conn is nil between two bodies, and guarded by Push.mu.
type pushFeed struct {
	*Feed
	conn *pushConn
	over sync.Once
	tell func(reason string, packets uint64) // of the end of the publication; nil when nobody is told
}

// Lost is [Feed.Lost], and the end of the publication.
func (f *pushFeed) Lost() {
	f.Feed.Lost()
	f.finish(PublishLost)
}

// End is [Feed.End], and the end of the publication.
func (f *pushFeed) End() {
	f.Feed.End()
	f.finish(PublishEnded)
}

func (f *pushFeed) finish(reason string) {
	if f.tell != nil {
		f.over.Do(func() { f.tell(reason, f.Packets()) })
	}
}

// revoked is called when another source wants the stream.
func (p *Push) revoked(s *session, f *pushFeed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.conn != nil {
		f.conn.interrupt("another source has taken over, or the stream was stopped")
	} else if s.feed == f {
		p.letGoLocked(s)
	}
}

// newSession adds a session for a stream, or returns nil when there are too many that are in use.
func (p *Push) newSession(s *stream.Stream, peer netip.Addr, pass access.Pass) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || (len(p.sessions) >= p.opts.MaxSessions && !p.evictLocked()) {
		return nil
	}
	n := &session{id: rand.Text(), stream: s, peer: peer, pass: pass, used: time.Now()}
	p.sessions[n.id] = n
	p.expireLocked(n, p.times.Load().session)
	return n
}

// evictLocked forgets the session that has been idle for longest.
func (p *Push) evictLocked() bool {
	var oldest *session
	for _, s := range p.sessions {
		if s.conn == nil && (oldest == nil || s.used.Before(oldest.used)) {
			oldest = s
		}
	}
	if oldest == nil {
		return false
	}
	p.dropLocked(oldest)
	return true
}

// find returns the session with an id, if it is for this stream and this peer. Every id is compared, each in
// constant time: the answer's delay says nothing about the ids there are.
func (p *Push) find(id string, s *stream.Stream, peer netip.Addr) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found *session
	for _, n := range p.sessions {
		if subtle.ConstantTimeCompare([]byte(n.id), []byte(id)) == 1 && n.stream == s && n.peer == peer {
			found = n
		}
	}
	return found
}

// expireLocked forgets the session after d without a request.
func (p *Push) expireLocked(s *session, d time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.timer == t && s.conn == nil {
			p.dropLocked(s)
		}
	})
	s.timer = t
}

// dropLocked forgets a session; the stream loses what it kept.
func (p *Push) dropLocked(s *session) {
	delete(p.sessions, s.id)
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	p.letGoLocked(s)
}

// forget drops a session unless another connection than c has it by now.
func (p *Push) forget(s *session, c *pushConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.conn == c {
		s.conn = nil
		p.dropLocked(s)
	}
}

func (p *Push) letGoLocked(s *session) {
	if s.feed != nil {
		s.feed.Lost()
		s.feed = nil
	}
}

// park keeps a session, and its feed for a while, until the next request comes.
func (p *Push) park(s *session, feed *pushFeed, c *pushConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.sessions[s.id] != s || s.conn != c {
		feed.Lost()
		return
	}
	feed.conn = nil
	s.conn, s.feed, s.used = nil, feed, time.Now()
	if s.timer != nil {
		s.timer.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(p.opts.ParkTimeout, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.timer == t && s.conn == nil {
			p.letGoLocked(s)
			p.expireLocked(s, max(p.times.Load().session-p.opts.ParkTimeout, time.Millisecond))
		}
	})
	s.timer = t
}

// leave keeps a session whose connection broke for the idle time.
func (p *Push) leave(s *session, c *pushConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.conn != c {
		return
	}
	s.conn, s.used = nil, time.Now()
	if !p.closed && p.sessions[s.id] == s {
		p.expireLocked(s, p.times.Load().idle)
	}
}
