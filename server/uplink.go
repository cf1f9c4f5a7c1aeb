package server

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/stream"
)

// How an uplink is shared out.
const (
	uplinkShare   = 0.95 // of it that viewers may be expected to use: streams are not even, and joiners need room
	burstShare    = 0.02 // of it that joiners get at least, however full it is
	payloadShare  = 0.94 // of it that is no header, as long as nobody watches
	uplinkUnknown = 0    // its capacity
)

// uplink follows what goes out, to know what is left for those who join. It belongs to
// the goroutine of tick.
type uplink struct {
	at         int64  // ns, of the last look
	out, burst uint64 // bytes until then, to all and of bursts

	learner learner
	guests  sounder
	learnt  atomic.Int64 // bit/s, what the learner knows; any goroutine may read it
}

// uplinkBudget is what everybody may be expected to use of an uplink, in bit/s on the
// wire; 0 is no bound.
func uplinkBudget(capacity int64) int64 {
	if capacity <= uplinkUnknown {
		return 0
	}
	return max(int64(float64(capacity)*uplinkShare), 1)
}

// shareUplink gives those who join what the others leave of the uplink.
func (s *Server) shareUplink() {
	u, now := &s.uplink, stream.Monotonic()
	out, burst := s.bytesOut(), uint64(s.opts.Limits.BurstBytes())
	steady := steadyRate(out, u.out, burst, u.burst, time.Duration(now-u.at))
	u.at, u.out, u.burst = now, out, burst
	capacity := s.capacity()
	if capacity <= uplinkUnknown {
		s.opts.Limits.SetUplinkBurst(0)
		return
	}
	s.opts.Limits.SetUplinkBurst(roomForBursts(float64(capacity), s.payloadShare(), steady))
}

// capacity returns what the uplink carries as far as is known, in bit/s on the wire.
func (s *Server) capacity() int64 {
	if set := s.settings.Load().Uplink; set != UplinkAuto {
		return set
	}
	return s.uplink.learnt.Load()
}

// Uplink returns what the way to the viewers carries as far as is known, in bit/s with all
// headers, and whether it is to be learnt.
func (s *Server) Uplink() (capacity int64, learning bool) {
	return s.capacity(), s.settings.Load().Uplink == UplinkAuto
}

// learnUplink looks whether viewers fall behind, if the uplink is to be learnt.
func (s *Server) learnUplink() {
	u := &s.uplink
	if set := s.settings.Load().Uplink; set != UplinkAuto {
		s.opts.Limits.SetUplink(uplinkBudget(set)) // Update may have been overtaken
		u.learner = learner{good: stream.Monotonic()}
		u.learnt.Store(uplinkUnknown)
		return
	}
	var found sounding
	for _, l := range s.loops {
		var here sounding
		l.call(s.ctx, func() { here = l.sound() })
		found.add(here)
	}
	found.add(s.crowds.sound(&u.guests))
	k := look{
		at: stream.Monotonic(), sounding: found,
		arriving: found.rate / s.payloadShare(), sent: float64(s.opts.Limits.Usage().Wire),
	}
	before := u.learner.capacity
	lesson := u.learner.observe(k)
	u.learnt.Store(int64(u.learner.capacity))
	if s.settings.Load().Uplink == UplinkAuto { // still
		s.opts.Limits.SetUplink(u.learner.budget())
	}
	if !lesson.learnt {
		return
	}
	away := 0
	if lesson.excess > 0 {
		away = s.relieve(s.ctx, lesson.excess, lesson.since)
	}
	if away > 0 || before == 0 {
		s.log.Warn("the uplink is full: many viewers fell behind at once", slog.Int64("carries_bps", u.learnt.Load()),
			slog.Int("behind", k.behind), slog.Int("of", k.asked), slog.Int("sent_away", away))
	}
}

// steadyRate returns what went to viewers beside bursts, in bit/s. Streams that are removed
// take their bytes along.
func steadyRate(out, outBefore, burst, burstBefore uint64, passed time.Duration) float64 {
	bytes := int64(out-outBefore) - int64(burst-burstBefore)
	return float64(max(bytes, 0)) * 8 / max(passed.Seconds(), 1e-3)
}

// roomForBursts returns how many bit/s of payload bursts may use of an uplink.
func roomForBursts(capacity, share, steady float64) int64 {
	return int64(max(capacity*share-steady, capacity*burstShare))
}

// payloadShare is the part of what goes over the wire that is no header.
func (s *Server) payloadShare() float64 {
	u := s.opts.Limits.Usage()
	if u.Wire == 0 {
		return payloadShare
	}
	return float64(u.Bandwidth+u.PumpBandwidth) / float64(u.Wire)
}

// bytesOut returns how many bytes all streams have sent.
func (s *Server) bytesOut() (sum uint64) {
	for _, st := range s.opts.Streams.All() {
		sum += st.Metrics().BytesOut.Load()
	}
	return sum
}
