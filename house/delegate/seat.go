package delegate

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// Whoever was sent to a pump counts there until the pump has told of him, at most so long.
const (
	awaited  = 10 // seconds
	maxSeats = math.MaxInt32
)

// seat is how much room a pump has, with those who are on their way. It lives as long as the pump stays in the
// roster.
type seat struct {
	hash   uint64
	number uint32
	pump   *live.Pump

	// Room of now, read without the lock.
	viewers   atomic.Int64 // that still fit; maxSeats without a limit
	bandwidth atomic.Int64 // bit/s that still fit; math.MaxInt64 without a limit
	nominal   atomic.Int64 // weight of a pump without any limit
	due       atomic.Int64 // ns: when somebody is not awaited any more; math.MaxInt64 while there is nobody

	report atomic.Pointer[live.Report]
	wanted atomic.Pointer[roster.Pump]

	sharing *sharing      // nil: there is one house
	waits   atomic.Uint64 // for other houses to have heard this word, before anybody more is sent here; 0: for none

	mu     sync.Mutex
	untold []untold // whom this house sent here and others may not know of, by word
	boot   string
	joined int64
	coming [awaited + 1]wave // by second, modulo
	total  int64
	bits   int64
}

// wave is who was sent within one second.
type wave struct {
	second  int64
	viewers int64
	bits    int64
}

// untold is how many viewers go with a word.
type untold struct {
	word    uint64
	viewers int64
}

// seats gives each pump one seat.
type seats struct {
	sharing *sharing
	mu      sync.Mutex
	byPump  map[*live.Pump]*seat
	given   uint32
}

// share makes seats count with other houses, and returns what they know of these. It is called before any is given.
func (s *seats) share() *sharing {
	s.sharing = &sharing{}
	return s.sharing
}

func (s *seats) of(p *live.Pump) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byPump[p]; t != nil {
		return t
	}
	if s.byPump == nil {
		s.byPump = map[*live.Pump]*seat{}
	}
	s.given++
	t := &seat{number: s.given, hash: pumpKey(p.ID()), pump: p, sharing: s.sharing}
	t.due.Store(math.MaxInt64)
	s.byPump[p] = t
	return t
}

// keep forgets pumps that are in no index any more.
func (s *seats) keep(x *index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, t := range s.byPump {
		if x.bySeat[t.number] == nil {
			delete(s.byPump, p)
		}
	}
}

// awaited returns how many viewers were sent to pumps that have not told of them yet.
func (s *seats) awaited(now int64) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.byPump {
		n += t.awaited(now)
	}
	return n
}

// awaited returns how many viewers were sent here of whom the pump has not told yet.
func (t *seat) awaited(now int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)
	return t.total
}

// fresh takes in what the pump has said since.
func (t *seat) fresh(now int64) {
	if t.pump.Report() == t.report.Load() && t.pump.Wanted() == t.wanted.Load() && now < t.due.Load() {
		return
	}
	t.mu.Lock()
	t.settle(now)
	t.mu.Unlock()
}

// take keeps room for one viewer of a stream with this bit rate, if there is any.
func (t *seat) take(now, bits int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)
	if t.viewers.Load() < 1 || t.bandwidth.Load() < bits || !t.share(bits) {
		return false
	}
	t.add(now, 1, bits)
	return true
}

// share tells whether one viewer more is within this house's share, and counts him. Of the room that a house knows of,
// other houses may have given away some without its knowing; so none gives away more than its share of what there is
// without the others knowing. With h houses and room for n that is n/(h+1) each, or n of them when h is 1: when all do
// that at the same time it is less than n. Rounded up, the last place may be given away once by each. The caller holds t.mu.
func (t *seat) share(bits int64) bool {
	if t.sharing == nil {
		return true
	}
	houses := t.sharing.houses.Load()
	if houses <= 1 {
		t.untold = t.untold[:0]
		return true
	}
	heard, sum := t.sharing.heard.Load(), int64(0)
	for len(t.untold) > 0 && t.untold[0].word <= heard {
		t.untold = t.untold[1:]
	}
	for _, u := range t.untold {
		sum += u.viewers
	}
	room := t.viewers.Load()
	if bits > 0 {
		room = min(room, t.bandwidth.Load()/bits)
	}
	if sum+1 > (room+houses-1)/houses {
		t.waits.Store(t.untold[0].word)
		return false
	}
	next := t.sharing.number.Load() + 1 // the word that is being written may be gone when he comes to it
	if n := len(t.untold); n > 0 && t.untold[n-1].word == next {
		t.untold[n-1].viewers++
	} else {
		t.untold = append(t.untold, untold{next, 1})
	}
	return true
}

// waiting tells whether nobody can be sent here before other houses have heard of those who were.
func (t *seat) waiting() bool {
	w := t.waits.Load()
	return w != 0 && t.sharing.heard.Load() < w && t.sharing.houses.Load() > 1
}

// note counts viewers that were sent here by another house.
func (t *seat) note(now, viewers, bits int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)
	t.add(now, viewers, bits)
}

// add counts viewers who are on their way. The caller holds t.mu.
func (t *seat) add(now, viewers, bits int64) {
	second := now / int64(time.Second)
	w := &t.coming[second%int64(len(t.coming))]
	if w.second != second {
		t.total, t.bits = t.total-w.viewers, t.bits-w.bits
		*w = wave{second: second}
	}
	w.viewers, w.bits = w.viewers+viewers, w.bits+bits
	t.total, t.bits = t.total+viewers, t.bits+bits
	t.weigh(t.report.Load(), t.wanted.Load())
	t.setDue()
}

// settle brings the figures up to the newest report. The caller holds t.mu.
func (t *seat) settle(now int64) {
	r, w := t.pump.Report(), t.pump.Wanted()
	if r == t.report.Load() && w == t.wanted.Load() && now < t.due.Load() {
		return
	}
	if r.Boot == t.boot {
		t.arrived(r.Joined - t.joined)
	}
	t.boot, t.joined = r.Boot, r.Joined
	second := now / int64(time.Second)
	for i := range t.coming {
		if c := &t.coming[i]; c.viewers != 0 && c.second < second-awaited+1 {
			t.total, t.bits = t.total-c.viewers, t.bits-c.bits
			*c = wave{}
		}
	}
	t.weigh(r, w)
	t.report.Store(r)
	t.wanted.Store(w)
	t.setDue()
}

// arrived takes off those who were sent first. The caller holds t.mu.
func (t *seat) arrived(n int64) {
	for n > 0 && t.total > 0 {
		var first *wave
		for i := range t.coming {
			if c := &t.coming[i]; c.viewers > 0 && (first == nil || c.second < first.second) {
				first = c
			}
		}
		if first == nil {
			return
		}
		k := min(n, first.viewers)
		bits := first.bits * k / first.viewers
		first.viewers, first.bits = first.viewers-k, first.bits-bits
		t.total, t.bits, n = t.total-k, t.bits-bits, n-k
	}
}

// setDue notes when the oldest wave ends. The caller holds t.mu.
func (t *seat) setDue() {
	first := int64(math.MaxInt64)
	for i := range t.coming {
		if c := &t.coming[i]; c.viewers > 0 {
			first = min(first, (c.second+awaited)*int64(time.Second))
		}
	}
	t.due.Store(first)
}

// weightless is what a pump without any limit weighs among its equals: so many viewers more.
const weightless = 5000

// weigh computes the room of now. The caller holds t.mu.
func (t *seat) weigh(r *live.Report, w *roster.Pump) {
	if r == nil || w == nil {
		return
	}
	viewers := int64(maxSeats)
	if limit := lower(int64(w.MaxViewers), r.ViewersMax); limit > 0 {
		viewers = limit - r.Counted() - t.total
	}
	bandwidth := int64(math.MaxInt64)
	if limit := lower(w.MaxBandwidth, r.OutMaxBPS); limit > 0 {
		bandwidth = limit - used(r) - t.bits
	}
	t.viewers.Store(viewers)
	t.bandwidth.Store(bandwidth)
	t.nominal.Store(max(weightless-r.Viewers-t.total, weightless/10))
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b int64) int64 {
	switch {
	case a <= 0:
		return b
	case b <= 0:
		return a
	}
	return min(a, b)
}

// used is the bandwidth that the viewers of a pump are entitled to: as pumps count it, by the streams' rates. What went
// out is only the next best, for it is more while viewers catch up, and less while they wait.
func used(r *live.Report) int64 {
	var sum int64
	for i := range r.Streams {
		sum += r.Streams[i].Viewers * r.Streams[i].BPS
	}
	if sum == 0 {
		return r.OutBPS
	}
	return sum
}
