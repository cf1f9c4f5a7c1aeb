package server

import (
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// lasted tells whether the viewer has watched for as long as a session may be, or viewers of
// its address for as long as that may be, in ns; 0 is for ever. Pumps have no such bound.
func (t *seat) lasted(now, session, address int64) bool {
	return !t.relay && (session > 0 && now-t.asked >= session || address > 0 && int64(t.ticket.AddressWatched()) >= address)
}

// endSessions ends whoever has watched for as long as its stream lets it.
func (s *Server) endSessions() {
	if !s.boundsSessions() {
		return
	}
	for _, l := range s.loops {
		l.call(s.ctx, l.endSessions)
	}
	now, address := stream.Monotonic(), int64(s.opts.Limits.SessionAddress())
	s.crowds.each(func(g *guest) {
		if g.seat.lasted(now, s.sessionOf(g.seat.stream), address) {
			g.end()
		}
	})
}

func (s *Server) boundsSessions() bool {
	if s.opts.Limits.SessionAddress() > 0 {
		return true
	}
	for _, st := range s.opts.Streams.All() {
		if s.sessionOf(st) > 0 {
			return true
		}
	}
	return false
}

// sessionOf returns how long a viewer of the stream may watch, in ns, 0 for ever.
func (s *Server) sessionOf(st *stream.Stream) int64 { return int64(s.opts.Limits.Session(st.Path())) }

// endSessions begins the end of the loop's viewers whose time is over. Runs on the loop.
func (l *loop) endSessions() {
	now, address := stream.Monotonic(), int64(l.srv.opts.Limits.SessionAddress())
	var over []*viewer
	for _, g := range l.groups {
		session := l.srv.sessionOf(g.stream)
		for _, v := range g.viewers {
			if !v.expired && v.seat.lasted(now, session, address) {
				over = append(over, v)
			}
		}
	}
	for _, v := range over { // apart from the search: who has its end at once leaves the group
		if c, ok := v.conn.Context().(*conn); ok && c.viewer == v {
			c.expire(ReasonExpired)
		}
	}
}

// end begins the guest's end because its time is over. Any goroutine.
func (g *guest) end() {
	g.expired.Store(true)
	g.nudge()
}

// sendAway begins the guest's end for the uplink's sake: it has lingerTime for what it is
// being sent, and for the end behind it. Any goroutine.
func (g *guest) sendAway() {
	g.hurried.Store(true)
	g.expired.Store(true)
	_ = g.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	g.nudge()
}

// overFor is why the guest has its end before the stream has.
func (g *guest) overFor() Reason {
	if g.hurried.Load() {
		return ReasonUplink
	}
	return ReasonExpired
}

// nudge wakes the guest.
func (g *guest) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}
