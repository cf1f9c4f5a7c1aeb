package ingest

import (
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Bounds of a loan.
const (
	loanBytes  = restBytes       // are read in one pass; a source that sends more is read at home
	loanSilent = time.Second     // without a byte, then its goroutine waits for the next one
	loanLook   = 2 * time.Second // between two looks at whether passes draw
	loanMost   = 50              // draws a second and loop; where passes are as frequent as that, packets rest no more
)

// states of a loan.
const (
	atHome int32 = iota // its goroutine reads
	isLent              // whoever gets it to isDrawn reads
	isDrawn
)

// errBodyPanicked is the end of a body whose reader panicked; it is logged already.
var errBodyPanicked = errors.New("a mistake in the pump ended this")

// hookable is a connection under buffers that can be read without waiting.
type hookable interface {
	syscall.Conn
	OnRead(read func([]byte) (int, error))
}

// loan is the reading of one body, which can be lent to the passes over the viewers: see [stream.Intake]. What
// reads is a coroutine, written as if reading waited. At home its goroutine lets it run, and reading does wait. While
// it is lent a pass lets it run, and where it would wait it gives the pass its processor back instead. So packets are
// read when they are needed, a hundred sources one after the other, without a goroutine, a timer or the poller being
// woken for any of them; to be woken costs many times what the reading does.
//
// Everything that is not a packet (a header, an error, the end) is worked on at home: a pass must not be kept waiting.
type loan struct {
	feed *Feed
	raw  syscall.RawConn
	log  *slog.Logger

	state  atomic.Int32
	wanted atomic.Bool   // Reclaim was called
	back   chan struct{} // gets one for each time that it comes home
	draws  atomic.Int32  // since somebody looked

	// Of whoever has the coroutine run.
	next  func() (struct{}, bool) // lets it run until it gives back, or is over
	yield func(struct{}) bool     // gives back
	away  bool                    // a pass has it run
	home  bool                    // it is to go on at home
	over  bool
	empty bool  // the last read left nothing in the socket
	taken int   // bytes, in this pass
	came  int64 // ns, when bytes were last read in a pass, or the loan began

	buf    []byte // of the read at hand
	n      int
	err    error
	tryFD  func(uintptr) bool // read what is there, or syscall.EAGAIN; bound once
	waitFD func(uintptr) bool // wait until there is something
}

// newLoan returns nil for a connection that cannot be read without waiting.
func newLoan(conn net.Conn, feed *Feed, log *slog.Logger) *loan {
	h, ok := conn.(hookable)
	if !ok {
		return nil
	}
	raw, err := h.SyscallConn()
	if err != nil {
		return nil
	}
	l := &loan{feed: feed, raw: raw, log: log, back: make(chan struct{}, 1), empty: true}
	l.tryFD = func(fd uintptr) bool { l.get(fd); return true }
	l.waitFD = func(fd uintptr) bool { l.get(fd); return !errors.Is(l.err, syscall.EAGAIN) }
	h.OnRead(l.read)
	return l
}

// run has body read, which calls rest before each read, and returns when it has. A panic in it is logged, and an error.
func (l *loan) run(body func() error) (err error) {
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if v := recover(); v != nil {
				telemetry.CaughtPanic(l.log, "a source's body", v)
				err = errBodyPanicked
			}
		}()
		l.yield = yield
		err = body()
	})
	defer stop()
	l.next = next
	for l.step(); !l.over; l.step() {
		l.lend()
	}
	return err
}

func (l *loan) step() {
	_, more := l.next()
	l.over = !more
}

// rest is called by the reader before it reads: nothing that has come is in its buffers. Where there may be more in
// the socket it is read first.
func (l *loan) rest() {
	switch {
	case l.away, !l.empty:
	case l.feed.lendable():
		l.yield(struct{}{})
	default:
		l.feed.rest()
	}
}

// goHome is called by the reader before it does what may take time.
func (l *loan) goHome() {
	if l.away {
		l.home = true
		l.yield(struct{}{})
	}
}

// lend lends the reading and returns when it is home again.
func (l *loan) lend() {
	if l.wanted.Swap(false) {
		return
	}
	l.stir(loanBytes)
	defer l.stir(1)
	l.came = stream.Monotonic()
	l.draws.Store(1)
	l.state.Store(isLent)
	if !l.feed.pub.Lend(l) {
		l.Reclaim()
	}
	defer l.feed.pub.Unlend()
	look := time.NewTimer(loanLook)
	defer look.Stop()
	for {
		select {
		case <-l.back:
			return
		case <-look.C:
			look.Reset(loanLook)
		}
		if n := l.draws.Swap(0); n == 0 || n > int32(loanMost*loanLook/time.Second) {
			l.Reclaim()
		}
	}
}

// stir has the poller look at the connection when so many bytes have come. It looks at every packet of every source
// otherwise, also of those that nobody waits for.
func (l *loan) stir(bytes int) {
	_ = l.raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) })
}

// Reclaim implements stream.Intake.
func (l *loan) Reclaim() {
	l.wanted.Store(true)
	l.comeHome()
}

// comeHome brings a loan that is wanted home, unless somebody draws at this moment, who looks for that himself.
func (l *loan) comeHome() {
	if l.wanted.Load() && l.state.CompareAndSwap(isLent, atHome) {
		l.back <- struct{}{}
	}
}

// Draw implements stream.Intake.
func (l *loan) Draw() bool {
	if !l.state.CompareAndSwap(isLent, isDrawn) {
		return l.state.Load() != isDrawn
	}
	l.draws.Add(1)
	l.away, l.home, l.empty, l.taken = true, false, false, 0
	l.step()
	l.away = false
	now := stream.Monotonic()
	if l.taken > 0 {
		l.came = now
	}
	if l.over || l.home || now-l.came > int64(loanSilent) {
		l.state.Store(atHome)
		l.back <- struct{}{}
		return true
	}
	l.state.Store(isLent)
	l.comeHome()
	return true
}

// read reads the connection, in place of its own Read. The end and errors are brought home.
func (l *loan) read(b []byte) (int, error) {
	for l.away {
		if l.taken >= loanBytes {
			l.goHome()
			continue
		}
		if !l.empty {
			n, err := l.through(l.tryFD, b)
			if n > 0 {
				l.taken += n
				l.empty = n < len(b)
				return n, nil
			}
			if !errors.Is(err, syscall.EAGAIN) {
				l.goHome()
				return 0, err
			}
		}
		l.empty = false
		l.yield(struct{}{})
	}
	n, err := l.through(l.waitFD, b)
	l.empty = n < len(b)
	return n, err
}

// through reads the descriptor with one of the two.
func (l *loan) through(get func(uintptr) bool, b []byte) (int, error) {
	l.buf, l.n, l.err = b, 0, nil
	err := l.raw.Read(get)
	n := l.n
	switch {
	case err != nil: // closed, or its deadline has passed
	case l.err != nil:
		err = l.err
	case n == 0 && len(b) > 0:
		err = io.EOF
	}
	l.buf = nil
	return n, err
}

// get reads the descriptor into buf.
func (l *loan) get(fd uintptr) {
	for {
		l.n, l.err = syscall.Read(int(fd), l.buf)
		if l.n = max(l.n, 0); !errors.Is(l.err, syscall.EINTR) {
			return
		}
	}
}

// lendable tells whether what comes from the source may wait for the next pass over the viewers, and is little enough
// to be read by it.
func (f *Feed) lendable() bool {
	if f.mode != flowing || f.pending || f.pub == nil {
		return false
	}
	s := f.opts.Stream
	unseen := s.Unseen()
	return unseen >= restEarly+restLeast && s.Drawn() && s.Bitrate()/8*unseen.Seconds() <= restBytes/2
}

// readBody is ReadBody, lent to the passes over the viewers where the connection allows that.
func (r *pushRequest) readBody(body io.Reader, feed *pushFeed, o BodyOptions) (res BodyResult, err error) {
	l := newLoan(r.conn, feed.Feed, r.log)
	if l == nil {
		return ReadBody(body, feed.Feed, o)
	}
	defer r.conn.(hookable).OnRead(nil)
	alive := o.Alive
	o.Alive = func(kind mmsh.EventKind, entryEnd bool) {
		if kind != mmsh.Packet {
			l.goHome()
		}
		alive(kind, entryEnd)
	}
	o.Rest = l.rest
	r.lent.Store(l)
	defer r.lent.Store(nil)
	err = l.run(func() (err error) {
		res, err = ReadBody(body, feed.Feed, o)
		return err
	})
	return res, err
}
