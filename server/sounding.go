package server

import (
	"net"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// Bounds of a sounding: how many are asked on one loop, and whose queue is one.
const (
	soundMost   = 256
	behindTime  = 300 * time.Millisecond  // of its stream that waits in the kernel, and
	behindMin   = 8 << 10                 // bytes
	provenLooks = 8                       // that find nothing wrong: who is behind then has a line that carries the stream
	movingTime  = 1500 * time.Millisecond // since bytes arrived: a full link has losses, and TCP pauses after them
)

// sounding is what a look at the ways to viewers found.
type sounding struct {
	asked  int     // viewers that were looked at for the second time at least
	behind int     // of them: bytes wait for them though they do read
	moving int     // of those behind: bytes have arrived lately
	fallen int     // of those behind: they were not, for a while, so that it is not their own line
	rate   float64 // bit/s that arrive at everybody, those who were not asked included
}

func (a *sounding) add(b sounding) {
	a.asked += b.asked
	a.behind += b.behind
	a.moving += b.moving
	a.fallen += b.fallen
	a.rate += b.rate
}

// sounder looks at the ways to some viewers again and again. It belongs to one goroutine.
type sounder struct {
	was, is map[uint64]path // by seat
	every   uint64          // one of so many is asked, a power of two
	arrived float64         // bit/s, at those who were asked
	found   sounding
}

// begin starts a look at so many viewers.
func (s *sounder) begin(viewers int) {
	s.every = 1
	for uint64(viewers) > s.every*soundMost {
		s.every *= 2
	}
	if s.was, s.is = s.is, s.was; s.is == nil {
		s.is = make(map[uint64]path)
	}
	clear(s.is)
	s.arrived, s.found = 0, sounding{}
}

// picks tells whether the viewer with this id is one of those who are asked: the same ones
// each time, and when there are more viewers some of the same.
func (s *sounder) picks(id uint64) bool {
	const golden = 0x9E3779B97F4A7C15 // mixes: ids of one loop may all be even
	return id*golden>>32&(s.every-1) == 0
}

// note takes in what the kernel said about one of them.
func (s *sounder) note(t *seat, p path) {
	was, known := s.was[t.id]
	much := max(int64(float64(t.stream.Cost())/8*behindTime.Seconds()), behindMin)
	if p.moved = was.moved; p.acked > was.acked {
		p.moved = p.at
	}
	if p.fine = was.fine; p.queued <= much {
		p.fine++
	}
	s.is[t.id] = p
	if !known || p.at <= was.at || p.acked < was.acked {
		return
	}
	passed, arrived := time.Duration(p.at-was.at), p.acked-was.acked
	s.found.asked++
	s.arrived += float64(arrived) * 8 / passed.Seconds()
	if p.queued <= much || p.shut-was.shut >= passed/2 {
		return
	}
	s.found.behind++
	if p.at-p.moved < int64(movingTime) {
		s.found.moving++
	}
	if p.fine >= provenLooks {
		s.found.fallen++
	}
}

// end returns what was found among so many viewers.
func (s *sounder) end(viewers int) sounding {
	if s.found.asked > 0 {
		s.found.rate = s.arrived * float64(viewers) / float64(s.found.asked)
	}
	return s.found
}

// sound looks at the loop's viewers. Runs on the loop.
func (l *loop) sound() sounding {
	n := 0
	for _, g := range l.groups {
		n += len(g.viewers)
	}
	l.depth.begin(n)
	now := stream.Monotonic()
	for _, g := range l.groups {
		for _, v := range g.viewers {
			if !l.depth.picks(v.seat.id) {
				continue
			}
			if p, ok := pathOf(v.fd, now); ok {
				l.depth.note(v.seat, p)
			}
		}
	}
	return l.depth.end(n)
}

// sound looks at the guests.
func (a *crowds) sound(s *sounder) sounding {
	n := 0
	a.each(func(*guest) { n++ })
	s.begin(n)
	now := stream.Monotonic()
	a.each(func(g *guest) {
		if !s.picks(g.seat.id) {
			return
		}
		if p, ok := pathTo(g.conn, now); ok {
			s.note(g.seat, p)
		}
	})
	return s.end(n)
}

// pathTo asks the kernel about the way to whoever is at the other end of conn.
func pathTo(conn net.Conn, now int64) (p path, ok bool) {
	c := tcpUnder(conn)
	if c == nil {
		return path{}, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return path{}, false
	}
	if err := raw.Control(func(fd uintptr) { p, ok = pathOf(int(fd), now) }); err != nil {
		return path{}, false
	}
	return p, ok
}
