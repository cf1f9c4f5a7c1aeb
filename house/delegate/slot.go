package delegate

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// slot is a pump in an index. What a decision reads of a pump lies close together: a thousand pumps do not fit in the
// processor's nearest memory.
type slot struct {
	pump   *live.Pump
	seat   *seat
	rates  []atomic.Int64 // bit/s by number of the stream; -1: not delivered here
	report atomic.Pointer[live.Report]
	wanted atomic.Pointer[roster.Pump]
	shut   atomic.Bool // nobody is sent here, whatever the stream

	keys    []string // of the streams; shared
	reading sync.Mutex
}

func newSlot(p *live.Pump, s *seat, keys []string) *slot {
	t := &slot{pump: p, seat: s, keys: keys, rates: make([]atomic.Int64, len(keys))}
	for i := range t.rates {
		t.rates[i].Store(-1)
	}
	return t
}

// fresh takes in what the pump and the roster have said since.
func (s *slot) fresh(now int64) {
	if s.pump.Report() == s.report.Load() && s.pump.Wanted() == s.wanted.Load() && now < s.seat.due.Load() {
		return
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.seat.fresh(now)
	r, w := s.pump.Report(), s.pump.Wanted()
	if r != s.report.Load() {
		for i, key := range s.keys {
			rate := int64(-1)
			if t := r.Stream(key); t != nil && t.Delivering() {
				rate = t.BPS
			}
			s.rates[i].Store(rate)
		}
	}
	s.shut.Store(!w.Enabled || w.Draining || r.Draining || s.pump.URL() == "")
	s.report.Store(r)
	s.wanted.Store(w)
}

// open tells whether new viewers of a stream may be sent here, room aside.
func (s *slot) open(stream int32) bool {
	return s.pump.Up() && !s.shut.Load() && s.rates[stream].Load() >= 0
}

// atTLS tells whether the pump is reached by TLS only, which players of MMSH do not know.
func (s *slot) atTLS() bool { return strings.HasPrefix(s.pump.URL(), "https://") }

// room is for how many viewers of a stream there is room; less than 1: for none.
func (s *slot) room(stream int32) float64 {
	if s.seat.waiting() {
		return 0
	}
	viewers, bits := s.seat.viewers.Load(), s.seat.bandwidth.Load()
	free := float64(viewers)
	if bits != math.MaxInt64 {
		if rate := s.rates[stream].Load(); rate > 0 {
			free = min(free, float64(bits)/float64(rate))
		} else if bits <= 0 {
			return 0
		}
	}
	if free == maxSeats {
		return float64(s.seat.nominal.Load())
	}
	return free
}

// score is how much a viewer belongs here: the highest wins, and of many viewers each pump gets as much as it weighs.
func (s *slot) score(key uint64, weight float64) float64 {
	u := (float64(mix(key^s.seat.hash)>>11) + 0.5) / (1 << 53)
	return weight / -math.Log(u)
}
