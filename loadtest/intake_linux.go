package loadtest

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/internal/uring"
)

const (
	intakeEntries = 256      // receives that begin between two calls
	intakeBuffers = 32       // the kernel fills at most about twenty in a call; all of them together fit a second-level cache
	intakeBuffer  = 64 << 10 // bytes: what a viewer gets at once, seldom more
)

// intake receives for those viewers of a loop who have joined and do nothing but take what comes. Each has one receive
// that goes on until the connection ends: the kernel puts what came into the buffers that all viewers share, some twenty
// viewers in each call, and there are no events to be asked for and no calls for each of them.
//
// It belongs to its loop's goroutine, and to the thread that this is locked to.
type intake struct {
	l       *loop
	ring    *uring.Ring
	buffers *uring.Buffers
	begin   []ticket // receives to be begun with the next call
	at      int64    // ns, when the completions at hand were there
	took    func(uring.Completion)
}

// ticket is one connection of a seat. It goes with a receive and comes back with what was received.
type ticket struct {
	seat, gen int32
}

func (t ticket) user() uint64       { return uint64(uint32(t.seat))<<32 | uint64(uint32(t.gen)) }
func ticketOf(user uint64) ticket   { return ticket{int32(user >> 32), int32(uint32(user))} }
func (s *seat) ticket() ticket      { return ticket{s.index, s.gen} }
func (s *seat) holds(t ticket) bool { return s.adopted && s.gen == t.gen }

// newIntake says why there is none where the kernel does not have what it needs (Linux 6.1).
func newIntake(l *loop) (*intake, error) {
	ring, err := uring.New(intakeEntries, uring.SubmitAll|uring.OneThread)
	if err != nil {
		return nil, err
	}
	in := &intake{l: l, ring: ring}
	if in.buffers, err = uring.NewBuffers(ring, 0, intakeBuffers, intakeBuffer); err != nil {
		ring.Close()
		return nil, err
	}
	in.took = in.received
	return in, nil
}

func (in *intake) close() {
	in.ring.Close()
	in.buffers.Close()
}

// adopt takes a viewer over from the loop's epoll.
func (in *intake) adopt(s *seat) {
	if unix.EpollCtl(in.l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) != nil {
		return
	}
	s.adopted = true
	in.begin = append(in.begin, s.ticket())
}

// poll takes what has come for all viewers. It ends when there was nothing more, or after a while, so that the loop
// gets to do the rest of its work.
//
// When the kernel refuses the ring itself, which it does not once it has made it, all viewers of the intake have failed:
// what it had received for them cannot be had.
func (in *intake) poll() {
	for until := now() + int64(pollEvery); ; {
		in.putAll()
		if err := in.ring.Enter(0); err != nil {
			in.giveUp(fmt.Errorf("reading: %w", err))
			return
		}
		in.at = now()
		if n := in.ring.Reap(in.took); n == 0 && len(in.begin) == 0 || in.at > until {
			return
		}
	}
}

// putAll puts as many receives as there is room for.
func (in *intake) putAll() {
	n := min(len(in.begin), in.ring.Room())
	for _, t := range in.begin[:n] {
		if s := in.l.seats[t.seat]; s.holds(t) {
			in.ring.Put(uring.Entry{Op: uring.OpRecv, Flags: uring.EntryPickBuffer, Priority: uring.RecvMultishot,
				FD: int32(s.fd), User: t.user()})
		}
	}
	in.begin = in.begin[:copy(in.begin, in.begin[n:])]
}

func (in *intake) giveUp(err error) {
	in.l.in = nil
	for _, s := range in.l.seats {
		if s.adopted {
			in.l.follow(s, s.c.closed(now(), err))
		}
	}
	in.close()
}

// received is one completion: of a viewer's receive, or of one that has hung up since.
func (in *intake) received(c uring.Completion) {
	t := ticketOf(c.User)
	s := in.l.seats[t.seat]
	if id := c.Buffer(); id >= 0 {
		if n := int(c.Res); n > 0 && s.holds(t) {
			in.l.follow(s, s.c.feed(in.buffers.Bytes(id, n), in.at))
		}
		in.buffers.Give(id)
	}
	if !s.holds(t) {
		return
	}
	switch code := unix.Errno(-c.Res); {
	case c.Res == 0:
		in.l.follow(s, s.c.closed(in.at, nil))
	case c.Res < 0 && code != unix.ENOBUFS:
		in.l.follow(s, s.c.closed(in.at, readError(code)))
	case !c.More(): // out of buffers, or the kernel had enough of it
		in.begin = append(in.begin, t)
	}
}
