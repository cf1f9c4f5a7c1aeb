package ingest

// Timeline is what of a stream outlives its sources: which header is in force, and where numbers and times stand.
// One belongs to each stream. It has no lock: only the holder of the stream's publisher role touches it, and the
// role's way from hand to hand orders the accesses.
type Timeline struct {
	raw   []byte // header in force, as viewers get it
	epoch uint32 // of that header

	located  bool   // a packet was numbered
	location uint32 // LocationId of the newest packet
	offset   uint32 // added to the source's LocationIds, modulo 2^32

	timed bool   // a packet was published under the header in force
	send  uint32 // ms, send time of the newest packet as published
	delta uint32 // ms, added to the source's times, modulo 2^32
	clock int64  // ms, send time of the newest packet, never wrapping
	last  uint16 // ms, duration the newest packet announces
	mean  int32  // 1/16 ms, average distance of send times
	seen  int    // distances averaged so far, at most meanAfter
}

// NewTimeline returns the timeline of a stream that has not been on the air.
func NewTimeline() *Timeline { return new(Timeline) }

const (
	meanAfter   = 16   // distances before their average is believed
	longestStep = 2000 // ms, beyond it a distance or duration says nothing about the next packet
)

// step is the distance in ms at which a packet may follow the newest one: at least 1.
func (t *Timeline) step() uint32 {
	switch {
	case t.seen >= meanAfter:
		return uint32(max(t.mean/16, 1))
	case t.last > 0 && t.last <= longestStep:
		return uint32(t.last)
	}
	return uint32(max(t.mean/16, 1))
}

// advance notes a packet published at send (ms).
func (t *Timeline) advance(send uint32, duration uint16) {
	switch ahead := int32(send - t.send); {
	case !t.timed && t.clock == 0:
		t.clock = int64(send)
	case !t.timed:
		t.clock += int64(t.step())
	default:
		t.clock += int64(ahead)
		t.average(ahead)
	}
	t.timed, t.send, t.last = true, send, duration
}

func (t *Timeline) average(ahead int32) {
	if ahead < 0 || ahead > longestStep {
		return
	}
	if t.seen < meanAfter {
		t.seen++
	}
	t.mean += (ahead*16 - t.mean) / int32(t.seen)
}
