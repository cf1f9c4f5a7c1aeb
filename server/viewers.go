package server

import (
	"context"
	"sort"
	"strconv"
)

// Viewers returns everybody who is watching, in order of their ids. It asks every event
// loop, between two of its passes.
func (s *Server) Viewers(ctx context.Context) []Viewer {
	var all []Viewer
	for _, l := range s.loops {
		var part []Viewer
		if l.call(ctx, func() { part = l.viewers() }) {
			all = append(all, part...)
		}
	}
	s.crowds.each(func(g *guest) { all = append(all, g.describe()) })
	sort.Slice(all, func(i, j int) bool { return idLess(all[i].ID, all[j].ID) })
	return all
}

// idLess orders decimal numbers.
func idLess(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// viewers returns the loop's viewers. Runs on the loop.
func (l *loop) viewers() []Viewer {
	var all []Viewer
	for _, g := range l.groups {
		for _, v := range g.viewers {
			all = append(all, v.describe())
		}
	}
	return all
}

// Closed returns the last viewers that have left, with their reasons, the latest first.
func (s *Server) Closed() []Viewer { return s.closed.list() }

// Kick cuts a viewer off and tells whether there was one with that id.
func (s *Server) Kick(ctx context.Context, id string) bool {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return false
	}
	for _, l := range s.loops {
		var here bool
		if l.call(ctx, func() { here = l.kick(n) }) && here {
			return true
		}
	}
	found := false
	s.crowds.each(func(g *guest) {
		if g.seat.id == n {
			g.kick(ReasonKicked)
			found = true
		}
	})
	return found
}

// kick cuts one of the loop's viewers off. Runs on the loop.
func (l *loop) kick(id uint64) bool {
	for _, g := range l.groups {
		for _, v := range g.viewers {
			if v.seat.id != id {
				continue
			}
			if c, ok := v.conn.Context().(*conn); ok {
				c.cut(ReasonKicked)
			}
			return true
		}
	}
	return false
}

// EgressCalls returns how many system calls the event loops have made to write to
// viewers: a batch of io_uring is one.
func (s *Server) EgressCalls() uint64 {
	var sum int64
	for _, l := range s.loops {
		sum += l.calls.Load()
	}
	return uint64(sum)
}

// Copied returns how many bytes for viewers were copied in user space: those of guests.
func (s *Server) Copied() uint64 { return s.copied.Load() }

// LoopStats are the figures of one event loop.
type LoopStats struct {
	Busy  int64 // ns spent working since the start: in passes over viewers, and on what connections send
	Worst int64 // ns, the longest pass since the last call
}

// Loops returns the figures of the event loops.
func (s *Server) Loops() []LoopStats {
	var all []LoopStats
	for _, l := range s.loops {
		all = append(all, LoopStats{Busy: l.busy.Load(), Worst: l.worst.Swap(0)})
	}
	return all
}
