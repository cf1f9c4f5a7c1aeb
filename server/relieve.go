package server

import (
	"cmp"
	"context"
	"slices"
)

// latecomer is a viewer who might have to go for the uplink's sake.
type latecomer struct {
	id    uint64
	asked int64 // ns
	wire  int64 // bit/s
}

// relieve sends away those who came last and not before since, until the uplink has so
// much less to carry, in bit/s. Pumps stay. Each gets the packet that it is inside of to its
// end, and the end of the stream; who does not take that soon is cut off. It returns how many
// had to go.
func (s *Server) relieve(ctx context.Context, excess float64, since int64) int {
	var all []latecomer
	for _, l := range s.loops {
		var part []latecomer
		if l.call(ctx, func() { part = l.latecomers(since) }) {
			all = append(all, part...)
		}
	}
	s.crowds.each(func(g *guest) { all = appendLatecomer(all, g.seat, since) })
	slices.SortFunc(all, func(a, b latecomer) int { return cmp.Or(cmp.Compare(b.asked, a.asked), cmp.Compare(b.id, a.id)) })
	ids := map[uint64]bool{}
	for _, v := range all {
		if excess <= 0 {
			break
		}
		excess -= float64(v.wire)
		ids[v.id] = true
	}
	return s.dismiss(ctx, ids, func(c *conn) { c.expire(ReasonUplink) }, (*guest).sendAway)
}

// latecomers returns the loop's. Runs on the loop.
func (l *loop) latecomers(since int64) (list []latecomer) {
	for _, g := range l.groups {
		for _, v := range g.viewers {
			list = appendLatecomer(list, v.seat, since)
		}
	}
	return list
}

func appendLatecomer(list []latecomer, t *seat, since int64) []latecomer {
	if t.relay || t.asked < since {
		return list
	}
	return append(list, latecomer{id: t.id, asked: t.asked, wire: onTheWire(t.stream, t.stream.Cost())})
}
