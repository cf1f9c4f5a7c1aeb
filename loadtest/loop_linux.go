package loadtest

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

const (
	pollEvery      = 2 * time.Millisecond   // between two looks at the sockets
	scanEvery      = 100 * time.Millisecond // between two looks at every viewer's clock
	connectsATick  = 64
	eventsATick    = 4096
	readBuffer     = 256 << 10
	slowReceive    = 32 << 10 // bytes of receive buffer of slow viewers, so that the server notices soon
	readsATime     = 4        // full buffers from one viewer before the others have their turn
	commandsQueued = 16
)

// loop is an event loop with the viewers it owns: one goroutine, one epoll instance, one buffer. All of it belongs to its
// goroutine; others come in through do.
//
// It does not wait in epoll but looks every two milliseconds, so that a server that writes to thousands of viewers
// never has to wake it. Sockets are edge-triggered: one that was read until it had no more costs nothing until it has.
type loop struct {
	t        *tally
	epoll    int
	seats    []*seat
	queue    []*seat // to be connected, in order
	more     []*seat // stopped reading before they had all: no edge will tell
	buf      []byte
	events   []unix.EpollEvent
	todo     chan func()
	quit     chan struct{}
	ended    chan struct{}
	once     sync.Once
	net      *network
	rate     float64 // churn
	credit   float64
	scanned  int64
	begun    int64 // ns, effort is counted since then
	asleep   int64 // ns
	rested   int64 // ns, when it last slept
	toil     int64 // ns, the longest it has gone without
	lag      *hdrhistogram.Histogram
	in       *intake // nil: all viewers are read through epoll
	noIntake error   // why there is none
}

// seat is a viewer's place in a loop.
type seat struct {
	c       *client
	fd      int
	gen     int32 // counts connections, so that an event of an old one is known
	index   int32
	live    bool  // fd is open
	adopted bool  // the intake reads it, not epoll
	budget  int64 // bytes a throttled viewer may read now
}

// newLoop starts a loop. how is one of the readers of Options.
func newLoop(t *tally, n *network, how string) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &loop{t: t, epoll: epoll, buf: make([]byte, readBuffer), events: make([]unix.EpollEvent, eventsATick),
		todo: make(chan func(), commandsQueued), quit: make(chan struct{}), ended: make(chan struct{}), net: n,
		begun: now(), rested: now(), lag: newHistogram()}
	ready := make(chan error)
	go l.run(how, ready)
	return l, <-ready
}

// run has a thread of its own, because the ring of an intake answers to no other, and because a goroutine that shares
// one gives way to others, which costs more than it takes to look at a few sockets.
func (l *loop) run(how string, ready chan<- error) {
	defer close(l.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if how != ReaderEpoll {
		l.in, l.noIntake = newIntake(l)
	}
	if how == ReaderURing && l.noIntake != nil {
		l.closeAll()
		ready <- l.noIntake
		return
	}
	ready <- nil
	for planned := now(); ; {
		select {
		case <-l.quit:
			l.closeAll()
			return
		default:
		}
		l.commands()
		l.connects()
		l.poll()
		if l.in != nil {
			l.in.poll()
		}
		if at := now(); at-l.scanned >= int64(scanEvery) {
			l.scan(at)
			l.scanned = at
		}
		planned = l.sleep(planned)
	}
}

// sleep waits for the next tick and returns when that was planned.
func (l *loop) sleep(planned int64) int64 {
	at := now()
	record(l.lag, max(0, at-planned-int64(pollEvery))/int64(time.Microsecond))
	planned += int64(pollEvery)
	if at >= planned {
		l.toil = max(l.toil, at-l.rested)
		return at
	}
	rawSleep(planned - at)
	l.rested = now()
	l.asleep += l.rested - at
	return planned
}

func (l *loop) commands() {
	for range commandsQueued {
		select {
		case f := <-l.todo:
			f()
		default:
			return
		}
	}
}

func (l *loop) do(f func()) {
	done := make(chan struct{})
	select {
	case l.todo <- func() { f(); close(done) }:
	case <-l.ended:
		return
	}
	select {
	case <-done:
	case <-l.ended:
	}
}

// later runs f on the loop's goroutine some time.
func (l *loop) later(f func()) {
	select {
	case l.todo <- f:
	case <-l.ended:
	}
}

func (l *loop) add(c *client) {
	c.place = len(l.seats)
	s := &seat{c: c, fd: -1, index: int32(c.place)}
	l.seats = append(l.seats, s)
	l.t.started.Add(1)
	c.state = waiting
	l.queue = append(l.queue, s)
}

func (l *loop) each(f func(c *client)) {
	for _, s := range l.seats {
		f(s.c)
	}
}

func (l *loop) churn(perSecond float64) { l.rate, l.credit = perSecond, 0 }

func (l *loop) tallied() *tally { return l.t }

func (l *loop) release(c *client) {
	if s := l.seats[c.place]; s.c == c {
		l.follow(s, c.leave(now()))
	}
}

// thaw has slow viewers read what is there, to see which of them the server has let go.
func (l *loop) thaw() {
	for _, s := range l.seats {
		if s.c.reluctant() && s.live {
			s.c.thawed = true
			l.read(s, false)
		}
	}
}

func (l *loop) stop() {
	l.once.Do(func() { close(l.quit) })
	<-l.ended
}

func (l *loop) closeAll() {
	for _, s := range l.seats {
		l.hangUp(s)
	}
	if l.in != nil {
		l.in.close()
	}
	unix.Close(l.epoll)
}

func (l *loop) effort(reset bool) effort {
	at := now()
	e := effort{lagP99: milliseconds(l.lag.ValueAtQuantile(99)), lagMax: milliseconds(l.lag.Max()), toil: float64(l.toil) / 1e6}
	if total := at - l.begun; total > 0 {
		e.busy = 1 - float64(l.asleep)/float64(total)
	}
	if reset {
		l.begun, l.asleep, l.rested, l.toil = at, 0, at, 0
		l.lag.Reset()
	}
	return e
}

// connects starts some of the connections that are due.
func (l *loop) connects() {
	n := min(len(l.queue), connectsATick)
	for _, s := range l.queue[:n] {
		if s.c.state == waiting {
			s.c.start(now())
			l.dial(s)
		}
	}
	l.queue = l.queue[n:]
}

// poll serves every socket that has something new.
func (l *loop) poll() {
	more := l.more
	l.more = nil
	for _, s := range more {
		if s.live && !s.adopted && s.c.state != dialing {
			l.read(s, false)
		}
	}
	for range 4 {
		n := rawEpoll(l.epoll, l.events)
		for i := range n {
			ev := &l.events[i]
			if s := l.seats[ev.Fd]; s.live && !s.adopted && s.gen == ev.Pad {
				l.serve(s, ev.Events)
			}
		}
		if n < len(l.events) {
			return
		}
	}
}

func (l *loop) serve(s *seat, events uint32) {
	c := s.c
	if c.state == dialing {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			l.follow(s, c.fail(now(), dialError(unix.Errno(code))))
			return
		}
		l.follow(s, send)
		return
	}
	if c.reluctant() {
		if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && (c.cohort == stopped || events&unix.EPOLLERR != 0) {
			l.follow(s, c.closed(now(), nil))
		}
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.read(s, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// read takes what a socket has. toEnd reads on until its end shows, for an edge that will not come again.
func (l *loop) read(s *seat, toEnd bool) {
	gen := s.gen
	for turn := 0; turn < readsATime || toEnd; turn++ {
		n, err := rawRead(s.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != 0:
			l.follow(s, s.c.closed(now(), readError(err)))
			return
		case n == 0:
			l.follow(s, s.c.closed(now(), nil))
			return
		}
		l.follow(s, s.c.feed(l.buf[:n], now()))
		if !s.live || s.gen != gen || s.c.reluctant() {
			return
		}
		if n < len(l.buf) && !toEnd {
			if l.in != nil && s.c.streamsOn() {
				l.in.adopt(s)
			}
			return
		}
	}
	l.more = append(l.more, s)
}

// follow does what a viewer decided.
func (l *loop) follow(s *seat, do next) {
	switch do {
	case send:
		if b := s.c.request(); !writeAll(s.fd, b) {
			l.follow(s, s.c.fail(now(), "the request could not be written"))
		}
	case again:
		l.hangUp(s)
		l.dial(s)
	case drop:
		l.hangUp(s)
	}
}

func (l *loop) hangUp(s *seat) {
	if s.live {
		if s.adopted {
			_ = unix.Shutdown(s.fd, unix.SHUT_RDWR) // the ring holds the socket until its receive ends
		}
		unix.Close(s.fd)
		s.live, s.adopted, s.fd = false, false, -1
		s.gen++
	}
}

// dial connects to c.at, once its address is known.
func (l *loop) dial(s *seat) {
	t := s.c.at
	if t.tls {
		l.follow(s, s.c.fail(now(), "a redirect from plain HTTP to TLS, which these viewers do not follow"))
		return
	}
	if t.addr.IsValid() {
		l.connect(s, t.addr)
		return
	}
	gen := s.gen
	go func() {
		addr, err := l.net.find(t)
		l.later(func() {
			switch {
			case s.live || s.gen != gen || s.c.state != dialing || s.c.at != t:
			case err != nil:
				l.follow(s, s.c.fail(now(), "a redirect to a host without an address"))
			default:
				l.connect(s, addr)
			}
		})
	}()
}

func (l *loop) connect(s *seat, addr netip.AddrPort) {
	fd, err := l.net.connect(addr, s.c.cohort != steady)
	if err != nil {
		l.follow(s, s.c.fail(now(), dialError(err)))
		return
	}
	s.fd, s.live = fd, true
	ev := unix.EpollEvent{Fd: s.index, Pad: s.gen,
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xFFFFFFFF}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.follow(s, s.c.fail(now(), "epoll: "+err.Error()))
	}
}

// scan looks at the clocks of all viewers.
func (l *loop) scan(at int64) {
	passed := min(at-l.scanned, int64(time.Second))
	for _, s := range l.seats {
		c := s.c
		switch {
		case c.state == waiting:
			if c.wakeAt != 0 && at >= c.wakeAt {
				c.wakeAt = 0
				l.queue = append(l.queue, s)
			}
		case c.overdue(at):
			l.follow(s, c.late(at))
		case c.cohort == throttled && c.reluctant():
			l.trickle(s, passed)
		}
	}
	if l.rate > 0 && len(l.seats) > 0 {
		l.credit = min(l.credit+l.rate*float64(passed)/float64(time.Second), float64(len(l.seats)))
		for ; l.credit >= 1; l.credit-- {
			l.churnOne(at)
		}
	}
}

// trickle reads what a throttled viewer may read in the time that passed.
func (l *loop) trickle(s *seat, passed int64) {
	s.budget = min(s.budget+int64(s.c.t.slowBPS)*passed/8/int64(time.Second), readBuffer)
	for s.live && s.budget > 0 {
		n, err := rawRead(s.fd, l.buf[:s.budget])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != 0 || n == 0:
			l.follow(s, s.c.closed(now(), nil))
			return
		}
		s.budget -= int64(n)
		l.follow(s, s.c.feed(l.buf[:n], now()))
	}
}

// churnOne has some viewer leave and come back.
func (l *loop) churnOne(at int64) {
	from := rand.IntN(len(l.seats))
	for i := range l.seats {
		s := l.seats[(from+i)%len(l.seats)]
		if s.c.joined && s.c.cohort == steady && !s.c.leaving {
			l.follow(s, s.c.churn(at))
			return
		}
	}
}
