package fleet

import (
	"slices"
	"sync"
	"time"
)

// Journal is what a pump keeps for its house: who watches now, and who came and went since
// the house last acknowledged. It is bounded by [MaxJournal]. Its methods may be called from
// any goroutine, and never wait.
type Journal struct {
	now  func() time.Time
	most int
	wake chan struct{} // something was added

	mu       sync.Mutex
	events   []entry
	first    int64 // number of events[0], or of the next one to come
	lost     int64 // dropped, ever
	answers  int   // among events: they are urgent
	watching map[string]watcher
}

type entry struct {
	at time.Time
	Event
}

type watcher struct {
	since time.Time
	Viewer
}

// NewJournal returns an empty journal.
func NewJournal() *Journal { return newJournal(time.Now, MaxJournal) }

func newJournal(now func() time.Time, most int) *Journal {
	return &Journal{now: now, most: most, wake: make(chan struct{}, 1), first: 1, watching: map[string]watcher{}}
}

// maxAgent is how much of a User-Agent is told, in bytes.
const maxAgent = 200

// clean makes a viewer fit for the house.
func clean(v *Viewer) {
	if !ValidClient(v.Client) {
		v.Client = ""
	}
	if v.Agent = Shorten(v.Agent); len(v.Agent) > maxAgent {
		v.Agent = Shorten(v.Agent[:maxAgent])
	}
	for _, n := range []*int64{&v.ForMS, &v.LagMS, &v.Bytes, &v.Skipped} {
		*n = max(*n, 0)
	}
	v.ForMS, v.LagMS = min(v.ForMS, maxAge), min(v.LagMS, maxAge)
}

// Joined notes a new viewer.
func (j *Journal) Joined(v Viewer) {
	clean(&v)
	v.Health = HealthGood
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watching[v.ID] = watcher{now, v}
	j.add(entry{now, Event{Kind: KindJoin, Viewer: &v}})
}

// Left notes that a viewer has gone, with its last figures. One that never joined is not
// noted.
func (j *Journal) Left(v Viewer, reason string) {
	clean(&v)
	v.Health = HealthGone
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, there := j.watching[v.ID]; !there {
		return
	}
	delete(j.watching, v.ID)
	j.add(entry{now, Event{Kind: KindLeave, Viewer: &v, Reason: reason}})
}

// Figures are how a viewer is doing.
type Figures struct {
	ID                    string
	Bytes, LagMS, Skipped int64
	Poor                  bool
}

func (w *watcher) with(f *Figures, now time.Time) Viewer {
	v := w.Viewer
	v.ForMS = now.Sub(w.since).Milliseconds()
	v.Bytes, v.LagMS, v.Skipped, v.Health = f.Bytes, f.LagMS, f.Skipped, HealthGood
	if f.Poor {
		v.Health = HealthPoor
	}
	clean(&v)
	return v
}

// Standing notes those viewers whose health has changed.
func (j *Journal) Standing(list []Figures) {
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range list {
		w, there := j.watching[list[i].ID]
		if !there {
			continue
		}
		v := w.with(&list[i], now)
		if v.Health == w.Health {
			continue
		}
		w.Health = v.Health
		j.watching[v.ID] = w
		j.add(entry{now, Event{Kind: KindHealth, Viewer: &v}})
	}
}

// Answer notes the answer to a command. Who has left meanwhile is not in it any more, and no
// more than [MaxViewers] are.
func (j *Journal) Answer(a Answer, list []Figures) {
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range list {
		if w, there := j.watching[list[i].ID]; there && len(a.Viewers) < MaxViewers {
			a.Viewers = append(a.Viewers, w.with(&list[i], now))
		}
	}
	j.add(entry{now, Event{Kind: KindAnswer, Answer: &a}})
}

// Find returns the ids of those viewers of a command that are there.
func (j *Journal) Find(c *Command) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := map[string]bool{}
	for _, id := range c.Viewers {
		if _, there := j.watching[id]; there {
			found[id] = true
		}
	}
	for id, w := range j.watching {
		if w.Client != "" && slices.Contains(c.Clients, w.Client) {
			found[id] = true
		}
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	return ids
}

// add appends an event; the oldest makes room. The caller holds j.mu.
func (j *Journal) add(e entry) {
	if len(j.events) >= j.most {
		j.drop(len(j.events) - j.most + 1)
	}
	if e.Answer != nil {
		j.answers++
	}
	j.events = append(j.events, e)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// drop loses the oldest events. The caller holds j.mu.
func (j *Journal) drop(n int) {
	j.lost += int64(j.forget(n))
}

// forget takes the oldest events off, and tells how many. The caller holds j.mu.
func (j *Journal) forget(n int) int {
	n = max(min(n, len(j.events)), 0)
	for i := range j.events[:n] {
		if j.events[i].Answer != nil {
			j.answers--
		}
	}
	clear(j.events[:n]) // or what they point to stays as long as the array
	j.events, j.first = j.events[n:], j.first+int64(n)
	if len(j.events) == 0 {
		j.events = nil
	}
	return n
}

// ack forgets the events up to a number.
func (j *Journal) ack(number int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget(int(min(number-j.first+1, int64(len(j.events)))))
}

// refuse loses n events beginning with first: the house will never take them.
func (j *Journal) refuse(first int64, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.drop(int(min(first+int64(n)-j.first, int64(len(j.events)))))
}

// Bounds of what goes in one batch, in bytes of JSON at the most.
const (
	maxBatchBytes = 3 << 20
	viewerBytes   = 700 // a viewer without its texts, and the event around it
)

func weight(list ...*Viewer) (n int) {
	for _, v := range list {
		n += viewerBytes + 6*(len(v.Agent)+len(v.Client)) // 6 bytes is what one byte becomes at the worst
	}
	return n
}

func (e *Event) weight() int {
	n := viewerBytes
	if e.Viewer != nil {
		n += weight(e.Viewer)
	}
	if e.Answer != nil {
		for i := range e.Answer.Viewers {
			n += weight(&e.Answer.Viewers[i])
		}
	}
	return n
}

// oldest returns the oldest events as far as they fit in one batch, and whether there are
// more.
func (j *Journal) oldest() (first int64, list []Event, lost int64, more bool) {
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	size := 0
	for i := range j.events {
		e := j.events[i].Event
		size += e.weight()
		if len(list) == MaxEvents || len(list) > 0 && size > maxBatchBytes {
			more = true
			break
		}
		e.AgoMS = min(max(now.Sub(j.events[i].at).Milliseconds(), 0), maxAge)
		list = append(list, e)
	}
	return j.first, list, j.lost, more
}

// next returns the number of the oldest event that is not acknowledged.
func (j *Journal) next() (first, lost int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first, j.lost
}

// urgent tells whether an answer waits.
func (j *Journal) urgent() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.answers > 0
}

// Lost returns how many events were dropped, ever.
func (j *Journal) Lost() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// snapshot returns all viewers as parts, with figures where there are some. Joins and leaves
// so far are in it, and therefore forgotten; answers to commands go with them.
func (j *Journal) snapshot(list []Figures) []Snapshot {
	figures := make(map[string]*Figures, len(list))
	for i := range list {
		figures[list[i].ID] = &list[i]
	}
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget(len(j.events))
	parts := []Snapshot{{}}
	size := 0
	for id, w := range j.watching {
		f := figures[id]
		if f == nil {
			f = &Figures{ID: id, Poor: w.Health == HealthPoor}
		}
		v := w.with(f, now)
		w.Health = v.Health
		j.watching[id] = w
		last := &parts[len(parts)-1]
		if size += weight(&v); len(last.Viewers) == MaxViewers || len(last.Viewers) > 0 && size > maxBatchBytes {
			parts, size = append(parts, Snapshot{}), weight(&v)
			last = &parts[len(parts)-1]
		}
		last.Viewers = append(last.Viewers, v)
	}
	parts = parts[:min(len(parts), MaxParts)]
	for i := range parts {
		parts[i].After, parts[i].Part, parts[i].Parts = j.first-1, i, len(parts)
	}
	return parts
}
