package delegate

import "net/netip"

// step is what a request is in the course of a viewer's coming.
type step uint8

const (
	look  step = iota // nobody comes
	ask               // he will come back, or go on to the pump
	enter             // he goes to the pump now; a place that he asked for is his
)

// query is what a choice depends on.
type query struct {
	addr   netip.Addr // not mapped, without zone
	key    uint64
	stream int32
	step   step
	now    int64 // ns since 1970

	plain bool // he does not come to a pump behind TLS: there the house stands between
}

// keeps tells whether a place is kept at a pump for whoever asks: not if he will never come.
func (q *query) keeps(s *slot) bool {
	return q.step != look && (!q.plain || !s.atTLS())
}

// verdict is why there is a choice, or none.
type verdict uint8

const (
	chosen    verdict = iota
	noNetwork         // no pump serves the address
	notLive           // none of those delivers the stream now
	full              // those that do have no room
)

// Among more equals than maxEquals, draws of them are drawn by the viewer's hash and looked at; all of them only if none
// of these can take him.
const (
	maxEquals = 32
	draws     = 16
)

// choose decides where a viewer goes, and keeps a place for him there.
func (d *Delegator) choose(x *index, q query) (*slot, verdict) {
	set, mu := d.memory.lock(q.key)
	defer mu.Unlock()
	second := seconds(q.now)
	if e := find(set, q.key, second); e != nil {
		if s := d.again(x, q, e, second); s != nil {
			return s, chosen
		}
	}
	s, why := x.best(q, nil)
	if s == nil || !q.keeps(s) {
		return s, why
	}
	e := place(set, q.key)
	e.seat, e.at, e.made = s.seat.number, second, x.made
	if q.step == ask {
		e.held = 1
	}
	d.told(q, s)
	return s, chosen
}

// again sends a viewer where he was sent a moment ago, if that is possible still. His set is locked.
func (d *Delegator) again(x *index, q query, e *memo, second uint32) *slot {
	s := x.bySeat[e.seat]
	if s == nil {
		return nil
	}
	s.fresh(q.now)
	if !s.open(q.stream) || e.made != x.made && !x.serves(q.addr, s) {
		return nil
	}
	if second-e.at >= awaited {
		e.held = 0 // they were given back
	}
	if !q.keeps(s) {
		return s
	}
	if q.step == enter && e.held > 0 {
		e.held--
		e.at, e.made = second, x.made
		return s
	}
	if !s.seat.take(q.now, max(s.rates[q.stream].Load(), 0)) {
		return nil
	}
	if q.step == ask {
		e.held++
	}
	e.at, e.made = second, x.made
	d.told(q, s)
	return s
}

// best returns the pump that suits best and is none of those in but. A place is kept if the query keeps one there.
func (x *index) best(q query, but []*slot) (*slot, verdict) {
	at, ok := x.networks.Lookup(q.addr)
	if !ok {
		return nil, noNetwork
	}
	var l levels
	l.start(at)
	why := notLive
	for l.step() {
		for range maxTries {
			s, isFull := l.pick(q, but)
			if isFull {
				why = full
			}
			if s == nil {
				break
			}
			if !q.keeps(s) || s.seat.take(q.now, max(s.rates[q.stream].Load(), 0)) {
				return s, chosen
			}
			why = full // somebody else was quicker
		}
	}
	return nil, why
}

// behindTLS tells whether a pump that delivers the stream to the viewer's address is one that he cannot come to himself.
// What room it has is of no matter then: the house serves him, out of its own.
func (x *index) behindTLS(q query) bool {
	at, ok := x.networks.Lookup(q.addr)
	if !ok {
		return false
	}
	var l levels
	for l.start(at); l.step(); {
		for i := range l.count {
			for _, s := range l.slots(i) {
				if s.open(q.stream) && s.atTLS() {
					return true
				}
			}
		}
	}
	return false
}

// maxTries is how often the last place of a pump may be lost to somebody else.
const maxTries = 8

// pick returns the best of the level, and whether one could but is full.
func (l *levels) pick(q query, but []*slot) (*slot, bool) {
	if l.total <= maxEquals {
		return l.all(q, but)
	}
	var b bestOf
	h := q.key
	for range draws {
		h = mix(h + 0x9E3779B97F4A7C15)
		b.look(l.at(int(h%uint64(l.total))), q, but) //nolint:gosec // is positive
	}
	if b.slot != nil {
		return b.slot, b.full
	}
	return l.all(q, but)
}

func (l *levels) all(q query, but []*slot) (*slot, bool) {
	var b bestOf
	for g := range l.count {
		for _, s := range l.slots(g) {
			b.look(s, q, but)
		}
	}
	return b.slot, b.full
}

type bestOf struct {
	slot  *slot
	score float64
	full  bool
}

func (b *bestOf) look(s *slot, q query, but []*slot) {
	for _, other := range but {
		if s == other {
			return
		}
	}
	s.fresh(q.now)
	if !s.open(q.stream) {
		return
	}
	room := s.room(q.stream)
	if room < 1 {
		b.full = true
		return
	}
	if score := s.score(q.key, room); b.slot == nil || score > b.score {
		b.slot, b.score = s, score
	}
}
