package server

import (
	"sync"
)

// Reason is why a viewer is no longer there. The set is closed: dashboards count by it.
type Reason string

// The reasons.
const (
	ReasonLeft    Reason = "left"    // the viewer closed the connection
	ReasonEnded   Reason = "ended"   // the stream ended
	ReasonChanged Reason = "changed" // the header changed and this kind of viewer cannot follow
	ReasonStalled Reason = "stalled" // took no byte for the stall timeout
	ReasonKicked  Reason = "kicked"  // by an operator
	ReasonExpired Reason = "expired" // its time was over
	ReasonUplink  Reason = "uplink"  // it came last, and the uplink turned out to be too narrow
	ReasonDrained Reason = "drained" // the server stops
	ReasonError   Reason = "error"   // the connection broke
)

// Reasons returns all of them.
func Reasons() []Reason {
	return []Reason{
		ReasonLeft, ReasonEnded, ReasonChanged, ReasonStalled, ReasonKicked, ReasonExpired, ReasonUplink, ReasonDrained, ReasonError,
	}
}

// Dropped tells reasons of the pump, or of a broken connection, from those of the viewer and
// the stream.
func (r Reason) Dropped() bool {
	return r != ReasonLeft && r != ReasonEnded && r != ReasonDrained
}

// closedKept is how many viewers that have left are remembered.
const closedKept = 512

// closedLog remembers the last viewers that left, with reason and figures.
type closedLog struct {
	mu   sync.Mutex
	ring [closedKept]Viewer
	n    uint64
}

func (c *closedLog) add(v Viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring[c.n%closedKept] = v
	c.n++
}

// list returns the remembered viewers, the latest first.
func (c *closedLog) list() []Viewer {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := min(c.n, closedKept)
	out := make([]Viewer, 0, kept)
	for i := range kept {
		out = append(out, c.ring[(c.n-1-i)%closedKept])
	}
	return out
}
