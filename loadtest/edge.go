package loadtest

// edge is how far a stream had been published: one more than the newest packet that any viewer got, of which source.
type edge struct {
	source uint32 // 0 where there are no stamps
	next   uint64
}

// later is the further one. Another source's numbers do not compare: the one with more packets is taken for the
// stream, because all viewers of an address watch the same.
func (e edge) later(o edge) edge {
	if o.next > e.next {
		return o
	}
	return e
}

// reach notes that a packet was seen.
func (e *edge) reach(source uint32, number uint64) {
	if e.source != source {
		*e = edge{source: source}
	}
	e.next = max(e.next, number+1)
}

// behind says whether packets before the edge are still to come.
func (r *reader) behind(e edge) bool {
	return r.seg.any && r.seg.source == e.source && r.seg.last+1 < e.next
}

// edge is the number up to which this viewer should have everything, 0 when that cannot be said: it is not connected,
// or LocationIds may be another server's.
func (c *client) edge(e edge) uint64 {
	s := c.reader.seg
	if !c.joined || c.cohort != steady || s.source != e.source || e.source == 0 && (c.moved || c.reader.renumbered) {
		return 0
	}
	return e.next
}
