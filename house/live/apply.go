package live

import (
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// link is how far the house has followed a pump's journal.
type link struct {
	boot   string
	known  bool  // the viewers are known, up to event next-1
	next   int64 // number of the event that is waited for
	number int64 // of the newest batch
	heard  time.Time
	direct bool // heard by this house itself, not by another one
	lost   bool // it was dead for so long that its viewers have left
	parts  *assembly
}

// assembly is a snapshot of which parts are still to come.
type assembly struct {
	after int64
	parts int
	next  int
	list  []fleet.Viewer

	number int64 // of the newest batch with a part
}

// maxAssembled bounds the viewers of one snapshot.
const maxAssembled = 2_000_000

// Source tells how a batch came.
type Source bool

// Sources of batches.
const (
	Direct  Source = true  // from the pump itself
	Relayed Source = false // from another house
)

// Apply takes in a batch that was checked, and returns what the pump may forget. ok is
// false if the roster has no such pump.
func (f *Fleet) Apply(b *fleet.Batch, from Source) (receipt fleet.Receipt, ok bool) {
	p := f.View().Pump(b.Pump)
	if p == nil {
		return fleet.Receipt{Boot: b.Boot}, false
	}
	now := f.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removed {
		return fleet.Receipt{Boot: b.Boot}, false
	}
	l := &p.link
	if l.boot != b.Boot {
		f.crowd.empty(f, p, "the pump started anew", now)
		*l = link{boot: b.Boot, known: b.First == 1, next: 1}
	}
	l.heard, l.direct, l.lost = now, from == Direct, false
	if b.State != nil && b.Number > l.number {
		l.number = b.Number
		f.take(p, newReport(*b.State, b.Boot, now), now)
	}
	f.setUp(p, true, now)
	switch {
	case b.Snapshot != nil:
		f.assemble(p, b.Snapshot, now)
	case l.parts != nil && b.Number > l.parts.number:
		l.parts = nil // the pump does not go on with it
	}
	if l.parts != nil {
		l.parts.number = max(l.parts.number, b.Number)
	}
	gap := f.follow(p, b, now)
	return fleet.Receipt{Boot: b.Boot, Acked: l.next - 1, Snapshot: (gap || !l.known) && l.parts == nil}, true
}

// follow applies the events that are next and tells whether some are missing. The caller
// holds p.mu.
func (f *Fleet) follow(p *Pump, b *fleet.Batch, now time.Time) (gap bool) {
	l := &p.link
	if !l.known {
		return false
	}
	if b.First > l.next {
		return true
	}
	for i := range b.Events {
		if b.First+int64(i) == l.next {
			f.happen(p, &b.Events[i], now)
			l.next++
		}
	}
	return false
}

// assemble takes in one part of a snapshot; one that does not follow is ignored. The
// caller holds p.mu.
func (f *Fleet) assemble(p *Pump, s *fleet.Snapshot, now time.Time) {
	l := &p.link
	if s.Part == 0 {
		l.parts = &assembly{after: s.After, parts: s.Parts}
	}
	a := l.parts
	if a != nil && a.after == s.After && a.parts == s.Parts && s.Part > 0 && s.Part == a.next-1 {
		return // it came, the receipt did not
	}
	if a == nil || a.after != s.After || a.parts != s.Parts || a.next != s.Part || len(a.list)+len(s.Viewers) > maxAssembled {
		l.parts = nil
		return
	}
	a.list = append(a.list, s.Viewers...)
	if a.next++; a.next < a.parts {
		return
	}
	l.parts = nil
	if a.after+1 < l.next && l.known {
		return // older than what is known
	}
	f.crowd.replace(f, p, a.list, now)
	l.known, l.next = true, a.after+1
}

// happen applies one event. The caller holds p.mu.
func (f *Fleet) happen(p *Pump, e *fleet.Event, now time.Time) {
	at := now.Add(-time.Duration(e.AgoMS) * time.Millisecond)
	switch e.Kind {
	case fleet.KindJoin:
		f.crowd.join(f, p, e.Viewer, at)
	case fleet.KindLeave:
		f.crowd.leave(f, p, e.Viewer, e.Reason, at)
	case fleet.KindHealth:
		f.crowd.change(f, p, e.Viewer, at)
	case fleet.KindAnswer:
		for i := range e.Answer.Viewers {
			f.crowd.refresh(p, &e.Answer.Viewers[i], at)
		}
		f.bell.answer(p.id, e.Answer)
	}
}

// take puts a report in force. The caller holds p.mu.
func (f *Fleet) take(p *Pump, r *Report, now time.Time) {
	old := p.report.Swap(r)
	p.sample(r, true, now)
	if p.up.Load() {
		f.compareStreams(p, old, r, now)
	}
	w := p.wanted.Load()
	full := w.MaxViewers > 0 && r.Counted() >= int64(w.MaxViewers) || w.MaxBandwidth > 0 && r.OutBPS >= w.MaxBandwidth
	if p.full.Swap(full) != full {
		kind := PumpFull
		if !full {
			kind = PumpFree
		}
		f.bell.ring(Happening{Time: now, Kind: kind, Pump: p.id})
	}
}

// compareStreams counts who delivers what. The caller holds p.mu.
func (f *Fleet) compareStreams(p *Pump, old, new *Report, now time.Time) {
	if p.house {
		return // it has them from the carriers
	}
	for key, s := range new.streams {
		was := old.streams[key]
		if s.Delivering() && (was == nil || !was.Delivering()) {
			f.bell.delivering(key, s.Path, +1, p.id, now)
		}
	}
	for key, was := range old.streams {
		s := new.streams[key]
		if was.Delivering() && (s == nil || !s.Delivering()) {
			f.bell.delivering(key, was.Path, -1, p.id, now)
		}
	}
}

// setUp notes that a pump is up or down. The caller holds p.mu.
func (f *Fleet) setUp(p *Pump, up bool, now time.Time) {
	if p.up.Load() == up {
		return
	}
	p.up.Store(up)
	p.since.Store(now.UnixNano())
	if p.house {
		return // it goes without saying
	}
	kind := PumpDown
	if up {
		kind = PumpUp
		f.compareStreams(p, noReport, p.report.Load(), now)
	}
	f.bell.ring(Happening{Time: now, Kind: kind, Pump: p.id})
	if !up {
		f.compareStreams(p, p.report.Load(), noReport, now)
		p.sample(p.report.Load(), false, now)
	}
}

// Sweep finds pumps that have fallen silent; call it every [SweepEvery]. frozen keeps
// those alive that only other houses hear, while these houses cannot be heard.
func (f *Fleet) Sweep(frozen bool) {
	now := f.opts.Now()
	f.sweepHouses(frozen, now)
	for _, p := range f.View().Pumps {
		p.mu.Lock()
		if !p.up.Load() {
			p.sample(p.report.Load(), false, now)
			f.lose(p, now)
		} else if now.Sub(p.link.heard) > f.opts.DeadAfter && (p.link.direct || !frozen) {
			f.setUp(p, false, now)
		}
		p.mu.Unlock()
	}
}

// lose lets the viewers of a pump leave that has been dead for long. If it comes back with
// them, it is asked for the list of all, and they are back. The caller holds p.mu.
func (f *Fleet) lose(p *Pump, now time.Time) {
	l := &p.link
	if l.lost || p.removed || now.Sub(p.Since()) < f.opts.LostAfter {
		return
	}
	f.crowd.empty(f, p, "the pump was not heard of any more", now)
	l.lost, l.known, l.parts = true, false, nil
}

// Hurt says that a pump's connection broke: it is dead unless it is heard of within grace.
func (f *Fleet) Hurt(id string, grace time.Duration) {
	p := f.View().Pump(id)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if latest := f.opts.Now().Add(grace - f.opts.DeadAfter); p.link.heard.After(latest) {
		p.link.heard = latest
	}
}
