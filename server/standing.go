package server

import (
	"context"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// PoorFor is how long a viewer counts as poorly served after it had to jump over packets.
const PoorFor = 30 * time.Second

// Standing is how a viewer is doing, in numbers alone: it costs little to ask for.
type Standing struct {
	ID       uint64 // as in Viewer.ID
	BytesOut uint64
	Skipped  uint64        // packets jumped over
	Lag      time.Duration // behind the source
	Poor     bool          // it jumped over packets within the last [PoorFor], or is more than half of LagMax behind
}

// Standings returns how those viewers are doing that pass: all of them with nil. It asks
// every event loop between two of its passes, and pass runs there: it must be quick.
func (s *Server) Standings(ctx context.Context, pass func(*Standing) bool) []Standing {
	var all []Standing
	now, set := stream.Monotonic(), s.settings.Load()
	for _, l := range s.loops {
		var part []Standing
		if l.call(ctx, func() { part = l.standings(now, set, pass) }) {
			all = append(all, part...)
		}
	}
	s.crowds.each(func(g *guest) {
		d := g.describe()
		all = appendStanding(all, Standing{ID: g.seat.id, BytesOut: d.BytesOut, Skipped: d.Skipped, Lag: d.Lag, Poor: poor(g.fellAt.Load(), d.Lag, now, g.seat.stream, set)}, pass)
	})
	return all
}

// standings is Standings for one loop. Runs on the loop.
func (l *loop) standings(now int64, set *Settings, pass func(*Standing) bool) (list []Standing) {
	for _, g := range l.groups {
		for _, v := range g.viewers {
			lag := v.lag(g.ring)
			list = appendStanding(list, Standing{ID: v.seat.id, BytesOut: v.bytes, Skipped: v.skipped, Lag: lag, Poor: poor(v.leapt, lag, now, g.stream, set)}, pass)
		}
	}
	return list
}

func appendStanding(list []Standing, one Standing, pass func(*Standing) bool) []Standing {
	if pass == nil || pass(&one) {
		return append(list, one)
	}
	return list
}

func poor(jumpedAt int64, lag time.Duration, now int64, s *stream.Stream, set *Settings) bool {
	return jumpedAt != 0 && now-jumpedAt < int64(PoorFor) || lag > s.LagMax(set.LagMax)/2
}

// KickAll cuts the viewers with these ids off and returns how many of them were there.
func (s *Server) KickAll(ctx context.Context, ids map[uint64]bool) int {
	return s.dismiss(ctx, ids, func(c *conn) { c.cut(ReasonKicked) }, func(g *guest) { g.kick(ReasonKicked) })
}

// dismiss does one thing to each of these viewers, on their loops to those there, and returns how many there were.
func (s *Server) dismiss(ctx context.Context, ids map[uint64]bool, onLoop func(*conn), elsewhere func(*guest)) (n int) {
	for _, l := range s.loops {
		var leave []*conn
		if l.call(ctx, func() {
			leave = l.these(ids)
			for _, c := range leave { // the groups change by it
				onLoop(c)
			}
		}) {
			n += len(leave)
		}
	}
	s.crowds.each(func(g *guest) {
		if ids[g.seat.id] {
			elsewhere(g)
			n++
		}
	})
	return n
}

// these returns the loop's viewers with these ids. Runs on the loop.
func (l *loop) these(ids map[uint64]bool) (list []*conn) {
	for _, g := range l.groups {
		for _, v := range g.viewers {
			if c, ok := v.conn.Context().(*conn); ok && ids[v.seat.id] {
				list = append(list, c)
			}
		}
	}
	return list
}
