package live

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

const boot1, boot2 = "00000000000000b1", "00000000000000b2"

func newFleet(t *testing.T, ids ...string) (*Fleet, *worldtest.Clock) {
	t.Helper()
	c := worldtest.NewClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	f := New(Options{Now: c.Now, Gone: 50, Recent: 20})
	r := &roster.Roster{}
	for _, id := range ids {
		r.Pumps = append(r.Pumps, roster.Pump{ID: id, Enabled: true})
	}
	f.SetRoster(r)
	return f, c
}

func viewer(id, client string) fleet.Viewer {
	return fleet.Viewer{ID: id, Client: client, Stream: "studio", Address: "192.0.2.1", Health: fleet.HealthGood}
}

func join(id, client string) fleet.Event {
	v := viewer(id, client)
	return fleet.Event{Kind: fleet.KindJoin, Viewer: &v}
}

func leave(id string) fleet.Event {
	v := viewer(id, "")
	return fleet.Event{Kind: fleet.KindLeave, Viewer: &v, Reason: "left"}
}

func batch(boot string, number, first int64, events ...fleet.Event) *fleet.Batch {
	return &fleet.Batch{Pump: "a", Boot: boot, Number: number, First: first, Events: events}
}

func apply(t *testing.T, f *Fleet, b *fleet.Batch) fleet.Receipt {
	t.Helper()
	if err := b.Check(b.Pump); err != nil {
		t.Fatal(err)
	}
	r, ok := f.Apply(b, Direct)
	if !ok {
		t.Fatal("the pump is not known")
	}
	return r
}

func kinds(f *Fleet) (list []Kind) {
	for _, h := range f.Recent() {
		list = append(list, h.Kind)
	}
	return list
}

func TestAPumpFromItsStartNeedsNoSnapshot(t *testing.T) {
	f, _ := newFleet(t, "a")
	r := apply(t, f, batch(boot1, 1, 1, join("1", "anna"), join("2", "")))
	if r.Acked != 2 || r.Snapshot || f.Watching() != 2 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	r = apply(t, f, batch(boot1, 2, 3, leave("1")))
	if r.Acked != 3 || f.Watching() != 1 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	if w := f.ByClient("anna"); len(w) != 0 {
		t.Errorf("%+v", w) // the leave had no outside id: what the pump says last counts
	}
	if g := f.Gone(10); len(g) != 1 || g[0].ID != "1" || g[0].Reason != "left" || g[0].Health != fleet.HealthGone {
		t.Errorf("%+v", g)
	}
}

func TestWhatComesTwiceCountsOnce(t *testing.T) {
	f, _ := newFleet(t, "a")
	s := f.Subscribe(10, Kind.OfViewer)
	defer s.Close()
	b := batch(boot1, 1, 1, join("1", ""), leave("1"))
	apply(t, f, b)
	if r := apply(t, f, b); r.Acked != 2 {
		t.Errorf("%+v", r)
	}
	if len(s.C) != 2 {
		t.Errorf("%d happenings", len(s.C))
	}
}

func TestAHouseThatMissedSomethingAsksForAllViewers(t *testing.T) {
	f, _ := newFleet(t, "a")
	// The house started after the pump.
	r := apply(t, f, batch(boot1, 7, 101, join("9", "")))
	if !r.Snapshot || r.Acked != 0 || f.Watching() != 0 {
		t.Fatalf("%+v, %d viewers", r, f.Watching())
	}
	part := func(n int, viewers ...fleet.Viewer) *fleet.Batch {
		b := batch(boot1, int64(8+n), 101)
		b.Snapshot = &fleet.Snapshot{After: 100, Part: n, Parts: 2, Viewers: viewers}
		return b
	}
	if r = apply(t, f, part(0, viewer("1", "anna"), viewer("2", ""))); r.Snapshot || r.Acked != 0 {
		t.Errorf("between two parts: %+v", r)
	}
	if r = apply(t, f, part(1, viewer("3", ""))); r.Snapshot || r.Acked != 100 || f.Watching() != 3 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	if r = apply(t, f, batch(boot1, 10, 101, join("9", ""))); r.Acked != 101 || f.Watching() != 4 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	// And later it misses three: the pump's journal was full.
	if r = apply(t, f, batch(boot1, 11, 105, leave("9"))); !r.Snapshot || r.Acked != 101 {
		t.Errorf("a gap: %+v", r)
	}
	b := batch(boot1, 12, 106)
	b.Snapshot = &fleet.Snapshot{After: 105, Parts: 1, Viewers: []fleet.Viewer{viewer("1", "anna"), viewer("8", "")}}
	s := f.Subscribe(10, Kind.OfViewer)
	defer s.Close()
	if r = apply(t, f, b); r.Acked != 105 || f.Watching() != 2 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	got := map[Kind]int{}
	for len(s.C) > 0 {
		got[(<-s.C).Kind]++
	}
	if got[ViewerJoined] != 1 || got[ViewerLeft] != 3 {
		t.Errorf("happenings %v, want the difference", got)
	}
}

func TestPartsThatDoNotFollowAreAskedForAgain(t *testing.T) {
	f, _ := newFleet(t, "a")
	part := func(after int64, n, of int) *fleet.Batch {
		b := batch(boot1, 1, 200)
		b.Snapshot = &fleet.Snapshot{After: after, Part: n, Parts: of, Viewers: []fleet.Viewer{viewer(fmt.Sprint(n), "")}}
		return b
	}
	apply(t, f, part(100, 0, 3))
	if r := apply(t, f, part(100, 2, 3)); !r.Snapshot || f.Watching() != 0 {
		t.Errorf("a part is missing: %+v", r)
	}
	apply(t, f, part(100, 0, 2))
	if r := apply(t, f, part(150, 1, 2)); !r.Snapshot || f.Watching() != 0 {
		t.Errorf("another list: %+v", r)
	}
}

func TestAPumpThatStartsAnewHasLostItsViewers(t *testing.T) {
	f, _ := newFleet(t, "a")
	apply(t, f, batch(boot1, 1, 1, join("1", "anna")))
	if r := apply(t, f, batch(boot2, 1, 1)); r.Acked != 0 || r.Snapshot || f.Watching() != 0 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	if w := f.ByClient("anna"); len(w) != 1 || w[0].Reason == "" || w[0].Left.IsZero() {
		t.Errorf("%+v", w)
	}
}

func TestAnOldStateNeverReplacesANewerOne(t *testing.T) {
	f, _ := newFleet(t, "a")
	for _, n := range []int64{2, 1} {
		b := batch(boot1, n, 1)
		b.State = &fleet.State{Viewers: n}
		apply(t, f, b)
	}
	if v := f.View().Pump("a").Report().Viewers; v != 2 {
		t.Errorf("viewers are %d", v)
	}
}

func TestASilentPumpIsDeadAndComesBack(t *testing.T) {
	f, c := newFleet(t, "a", "b")
	live := batch(boot1, 1, 1)
	live.State = &fleet.State{Viewers: 1, Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive}}}
	f.SetStreams([]Stream{{Path: "Studio"}})
	apply(t, f, live)
	p := f.View().Pump("a")
	if !p.Up() || !p.Delivers("studio") || p.Delivers("other") {
		t.Fatal("not up, or not live")
	}
	c.Add(2900 * time.Millisecond)
	f.Sweep(false)
	if !p.Up() {
		t.Error("dead before its time")
	}
	c.Add(200 * time.Millisecond)
	f.Sweep(false)
	if p.Up() || p.Delivers("studio") {
		t.Error("still up")
	}
	live.Number++
	apply(t, f, live)
	if !p.Delivers("studio") || !p.Since().Equal(c.Now()) {
		t.Error("not up again")
	}
	want := []Kind{RosterChanged, RosterChanged, StreamLive, PumpUp, PumpDown, StreamLost, StreamLive, PumpUp}
	if got := kinds(f); !slices.Equal(got, want) {
		t.Errorf("happenings %v, want %v", got, want)
	}
}

func TestABrokenConnectionShortensTheWait(t *testing.T) {
	f, c := newFleet(t, "a")
	apply(t, f, batch(boot1, 1, 1))
	f.Hurt("a", time.Second)
	f.Hurt("nobody", time.Second)
	c.Add(1100 * time.Millisecond)
	f.Sweep(false)
	if f.View().Pump("a").Up() {
		t.Error("up a second after its connection broke")
	}
}

// While the other houses cannot be heard, their pumps keep what they last said.
func TestAPartitionedHouseKeepsWhatOthersTold(t *testing.T) {
	f, c := newFleet(t, "a", "b")
	f.Apply(&fleet.Batch{Pump: "a", Boot: boot1, Number: 1, First: 1}, Relayed)
	f.Apply(&fleet.Batch{Pump: "b", Boot: boot1, Number: 1, First: 1}, Direct)
	c.Add(time.Minute)
	f.Sweep(true)
	if !f.View().Pump("a").Up() || f.View().Pump("b").Up() {
		t.Error("it is the own pump that is dead")
	}
	f.Sweep(false)
	if f.View().Pump("a").Up() {
		t.Error("now that they are heard again, the other one too")
	}
}

func TestAStreamIsLiveWithTheFirstPumpAndLostWithTheLast(t *testing.T) {
	f, c := newFleet(t, "a", "b")
	say := func(pump string, number int64, state string) {
		f.Apply(&fleet.Batch{Pump: pump, Boot: boot1, Number: number, First: 1, State: &fleet.State{
			Streams: []fleet.StreamState{{Path: "s", State: state}},
		}}, Direct)
	}
	say("a", 1, fleet.StreamLive)
	say("b", 1, fleet.StreamFallback)
	say("a", 2, fleet.StreamConnecting)
	say("b", 2, fleet.StreamOffline)
	_ = c
	want := []Kind{RosterChanged, StreamLive, PumpUp, PumpUp, StreamLost}
	if got := kinds(f); !slices.Equal(got, want) {
		t.Errorf("happenings %v, want %v", got, want)
	}
}

func TestAFullPumpIsTold(t *testing.T) {
	f, _ := newFleet(t)
	f.SetRoster(&roster.Roster{Pumps: []roster.Pump{{ID: "a", MaxViewers: 10, MaxBandwidth: 1000}}})
	for n, s := range []fleet.State{{Viewers: 9}, {Viewers: 12, Pumps: 3}, {Viewers: 13, Pumps: 3}, {Viewers: 3, OutBPS: 1000}, {Viewers: 3}} {
		b := batch(boot1, int64(n+1), 1)
		b.State = &s
		apply(t, f, b)
	}
	want := []Kind{RosterChanged, RosterChanged, PumpUp, PumpFull, PumpFree}
	if got := kinds(f); !slices.Equal(got, want) {
		t.Errorf("happenings %v, want %v", got, want)
	}
}

func TestARosterThatChangesKeepsThePumpsThatStay(t *testing.T) {
	f, _ := newFleet(t, "a", "b")
	apply(t, f, batch(boot1, 1, 1, join("1", "")))
	a := f.View().Pump("a")
	f.SetRoster(&roster.Roster{Pumps: []roster.Pump{{ID: "c"}, {ID: "a", Title: "A", URL: "http://a:1"}}})
	v := f.View()
	if v.Pump("a") != a || v.Pumps[1] != a || v.Pump("b") != nil || a.Wanted().Title != "A" || a.URL() != "http://a:1" || f.Watching() != 1 {
		t.Errorf("%+v", v)
	}
	f.SetRoster(&roster.Roster{})
	if f.Watching() != 0 || a.Up() {
		t.Error("the pump is gone and its viewers are not")
	}
	if _, ok := f.Apply(batch(boot1, 2, 2), Direct); ok {
		t.Error("a pump that is gone is heard")
	}
}

func TestWhereAPumpIsReached(t *testing.T) {
	f, _ := newFleet(t, "a")
	p := f.View().Pump("a")
	if p.URL() != "" {
		t.Error(p.URL())
	}
	p.SetURL("http://192.0.2.1:8086")
	if p.URL() != "http://192.0.2.1:8086" {
		t.Error(p.URL())
	}
}

func TestOutsideIDs(t *testing.T) {
	f, c := newFleet(t, "a", "b")
	apply(t, f, batch(boot1, 1, 1, join("1", "anna"), join("2", "ben")))
	f.Apply(&fleet.Batch{Pump: "b", Boot: boot1, Number: 1, First: 1, Events: []fleet.Event{join("1", "anna")}}, Direct)
	if w := f.ByClient("anna"); len(w) != 2 || w[0].Pump != "a" || w[1].Pump != "b" {
		t.Errorf("%+v", w)
	}
	v := viewer("1", "anna")
	v.Health, v.Bytes = fleet.HealthPoor, 1000
	c.Add(time.Second)
	apply(t, f, batch(boot1, 2, 3, fleet.Event{Kind: fleet.KindHealth, Viewer: &v}))
	v.Health = fleet.HealthGone
	apply(t, f, batch(boot1, 3, 4, fleet.Event{Kind: fleet.KindLeave, Viewer: &v, Reason: "kicked"}))
	if w := f.ByClient("anna"); len(w) != 1 || w[0].Pump != "b" {
		t.Errorf("one is gone: %+v", w)
	}
	if w := f.ByClient("nobody"); len(w) != 0 {
		t.Errorf("%+v", w)
	}
	list, all := f.Watchers(func(w *Watcher) bool { return w.Address == netip.MustParseAddr("192.0.2.1") }, 1)
	if all != 2 || len(list) != 1 || list[0].Pump != "a" {
		t.Errorf("%d, %+v", all, list)
	}
	if w, ok := f.Watcher("a", "2"); !ok || w.Client != "ben" {
		t.Errorf("%+v", w)
	}
	if _, ok := f.Watcher("nobody", "2"); ok {
		t.Error("a viewer of no pump")
	}
}

func TestAnswersReachWhoAsked(t *testing.T) {
	f, _ := newFleet(t, "a")
	apply(t, f, batch(boot1, 1, 1, join("1", "")))
	c, done := f.Await("00000000000000cc")
	defer done()
	v := viewer("1", "")
	v.Bytes = 77
	apply(t, f, batch(boot1, 2, 2, fleet.Event{Kind: fleet.KindAnswer, Answer: &fleet.Answer{Command: "00000000000000cc", Viewers: []fleet.Viewer{v}}}))
	if a := <-c; a.Viewers[0].Bytes != 77 {
		t.Errorf("%+v", a)
	}
	if w, _ := f.Watcher("a", "1"); w.Bytes != 77 {
		t.Errorf("what was answered is not kept: %+v", w)
	}
}

func TestWhoIsTooSlowLosesAndIsTold(t *testing.T) {
	f, _ := newFleet(t, "a")
	s := f.Subscribe(1, nil)
	f.Note("a", "one")
	f.Note("a", "two")
	if s.Lost() != 1 || (<-s.C).Text != "one" {
		t.Errorf("lost %d", s.Lost())
	}
	s.Close()
	f.Note("a", "three")
	if len(s.C) != 0 {
		t.Error("a closed subscription hears")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	f, c := newFleet(t, "a")
	next := int64(1)
	for i := range 200 {
		apply(t, f, batch(boot1, int64(i+1), next, join(fmt.Sprint(i), "x"), leave(fmt.Sprint(i))))
		next += 2
		f.Note("", fmt.Sprint(i))
		b := batch(boot1, int64(i+1000), next)
		b.State = &fleet.State{Viewers: int64(i)}
		apply(t, f, b)
		c.Add(time.Second)
	}
	if g := f.Gone(1000); len(g) != 50 || g[0].ID != "199" || g[49].ID != "150" {
		t.Errorf("%d gone", len(g))
	}
	if r := f.Recent(); len(r) != 20 || r[19].Text != "199" {
		t.Errorf("%d recent", len(r))
	}
	if h := f.View().Pump("a").History(); len(h) != historyLen || h[historyLen-1].Viewers != 199 || h[0].Viewers != 199-historyLen+1 {
		t.Errorf("%d samples", len(h))
	}
}

// pumpModel is a pump as the contract describes one: a journal that is kept until it is
// acknowledged, a list of viewers, a bounded memory.
type pumpModel struct {
	boot    string
	viewers map[string]fleet.Viewer
	journal []fleet.Event
	first   int64 // number of journal[0]
	number  int64
	keep    int
	lost    int64
	pending []*fleet.Snapshot
	joined  int
	left    int
}

func (p *pumpModel) note(e fleet.Event) {
	p.journal = append(p.journal, e)
	if len(p.journal) > p.keep {
		p.journal, p.first, p.lost = p.journal[1:], p.first+1, p.lost+1
	}
}

func (p *pumpModel) batch(rng *rand.Rand) *fleet.Batch {
	p.number++
	b := &fleet.Batch{Pump: "a", Boot: p.boot, Number: p.number, First: p.first, Lost: p.lost, State: &fleet.State{Viewers: int64(len(p.viewers))}}
	b.Events = slices.Clone(p.journal[:min(len(p.journal), rng.IntN(6))])
	if len(p.pending) > 0 {
		b.Snapshot = p.pending[0]
		p.pending = p.pending[1:]
	}
	return b
}

// receive does what a receipt says.
func (p *pumpModel) receive(r fleet.Receipt) {
	for p.first <= r.Acked && len(p.journal) > 0 {
		p.journal, p.first = p.journal[1:], p.first+1
	}
	if !r.Snapshot || len(p.pending) > 0 {
		return
	}
	after := p.first + int64(len(p.journal)) - 1
	var list []fleet.Viewer
	for _, v := range p.viewers {
		list = append(list, v)
	}
	p.first, p.journal = after+1, nil // the list says what they said
	parts := 1 + len(list)/5
	for i := range parts {
		p.pending = append(p.pending, &fleet.Snapshot{After: after, Part: i, Parts: parts, Viewers: list[i*len(list)/parts : (i+1)*len(list)/parts]})
	}
}

// Whatever is lost, comes twice or comes late, in the end the house knows who watches; and
// as long as no journal overflows and no house starts anew, it has heard of every join
// and every leave once.
func TestNothingIsLostOverBreaks(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f, _ := newFleet(t, "a")
		p := &pumpModel{boot: boot1, viewers: map[string]fleet.Viewer{}, first: 1, keep: 1000}
		overflow := seed%3 == 1
		if overflow {
			p.keep = 5
		}
		restarts := seed%3 == 2
		s := f.Subscribe(100_000, Kind.OfViewer)
		var late []*fleet.Batch
		deliver := func(fair bool) {
			b := p.batch(rng)
			again := func() {
				late = append(late, b)
				if b.Snapshot != nil && rng.IntN(10) > 0 { // one in ten forgets where it was
					p.pending = slices.Insert(p.pending, 0, b.Snapshot)
				}
			}
			if !fair && rng.IntN(4) == 0 {
				again() // lost, or it comes later
				return
			}
			r, _ := f.Apply(b, Direct)
			if !fair && rng.IntN(8) == 0 {
				again() // it came, but the receipt did not
				return
			}
			p.receive(r)
			if len(late) > 0 && !fair && rng.IntN(3) == 0 {
				i := rng.IntN(len(late))
				if b := late[i]; b.Snapshot == nil { // a pump sends one batch after the other: none is overtaken by a list
					f.Apply(b, Direct)
				}
				late = slices.Delete(late, i, i+1)
			}
		}
		for step := range 400 {
			switch id := fmt.Sprint(step); {
			case rng.IntN(3) > 0 || len(p.viewers) == 0:
				v := viewer(id, "")
				p.viewers[id] = v
				p.joined++
				p.note(fleet.Event{Kind: fleet.KindJoin, Viewer: &v})
			default:
				for id, v := range p.viewers {
					delete(p.viewers, id)
					p.left++
					p.note(fleet.Event{Kind: fleet.KindLeave, Viewer: &v})
					break
				}
			}
			if rng.IntN(2) == 0 {
				deliver(false)
			}
			if restarts && rng.IntN(100) == 0 {
				f, _ = newFleet(t, "a")
				late = nil
			}
		}
		for range 2000 {
			deliver(true)
		}
		if len(p.journal) > 0 || f.Watching() != len(p.viewers) {
			t.Fatalf("seed %d: the house knows %d viewers, %d are there; %d events wait", seed, f.Watching(), len(p.viewers), len(p.journal))
		}
		for id := range p.viewers {
			if _, ok := f.Watcher("a", id); !ok {
				t.Fatalf("seed %d: %s is missing", seed, id)
			}
		}
		heard := map[Kind]int{}
		for len(s.C) > 0 {
			heard[(<-s.C).Kind]++
		}
		if !overflow && !restarts && (heard[ViewerJoined] != p.joined || heard[ViewerLeft] != p.left) {
			t.Fatalf("seed %d: heard %v of %d joins and %d leaves", seed, heard, p.joined, p.left)
		}
	}
}

// A pump that stays dead takes its viewers along: they leave the list and the counts, once,
// and are told as gone. When it comes back with them, they are back.
func TestTheViewersOfADeadPumpLeaveAndComeBack(t *testing.T) {
	f, c := newFleet(t, "a", "b")
	apply(t, f, batch(boot1, 1, 1, join("1", "anna"), join("2", "ben")))
	left := f.Subscribe(100, func(k Kind) bool { return k == ViewerLeft })
	defer left.Close()
	c.Add(3*time.Second + 1)
	f.Sweep(false) // dead
	c.Add(29 * time.Second)
	f.Sweep(false)
	if f.Watching() != 2 || len(left.C) != 0 {
		t.Errorf("half a minute is not over: %d viewers, %d have left", f.Watching(), len(left.C))
	}
	c.Add(time.Second)
	for range 3 {
		f.Sweep(false)
		c.Add(time.Minute)
	}
	if all, _ := f.Watchers(nil, 10); f.Watching() != 0 || len(all) != 0 || len(left.C) != 2 {
		t.Fatalf("%d viewers, %d listed, %d have left", f.Watching(), len(all), len(left.C))
	}
	if w := (<-left.C).Watcher; w.Health != fleet.HealthGone || w.Left.IsZero() || w.Reason != "the pump was not heard of any more" {
		t.Errorf("%+v", w)
	}
	if w := f.ByClient("anna"); len(w) != 1 || w[0].Left.IsZero() {
		t.Errorf("%+v", w)
	}
	<-left.C
	joined := f.Subscribe(100, func(k Kind) bool { return k == ViewerJoined })
	defer joined.Close()
	r := apply(t, f, batch(boot1, 2, 3, leave("2"))) // it has lived on, out of hearing
	if !r.Snapshot || r.Acked != 2 {
		t.Fatalf("%+v", r)
	}
	b := batch(boot1, 3, 4)
	b.Snapshot = &fleet.Snapshot{After: 3, Part: 0, Parts: 1, Viewers: []fleet.Viewer{viewer("1", "anna")}}
	if r = apply(t, f, b); r.Snapshot || r.Acked != 3 || f.Watching() != 1 || len(joined.C) != 1 || len(left.C) != 0 {
		t.Errorf("%+v, %d viewers, %d came, %d left", r, f.Watching(), len(joined.C), len(left.C))
	}
	if w := f.ByClient("anna"); len(w) != 1 || !w[0].Left.IsZero() || w[0].Health != fleet.HealthGood {
		t.Errorf("%+v", w)
	}
	if r = apply(t, f, batch(boot1, 4, 4, join("3", ""))); r.Acked != 4 || f.Watching() != 2 {
		t.Errorf("it does not go on: %+v, %d viewers", r, f.Watching())
	}
}

// A pump that comes back before its viewers are given up needs no list of them.
func TestAPumpThatIsBackInTimeKeepsItsViewers(t *testing.T) {
	f, c := newFleet(t, "a")
	apply(t, f, batch(boot1, 1, 1, join("1", "anna")))
	c.Add(20 * time.Second)
	f.Sweep(false)
	if r := apply(t, f, batch(boot1, 2, 2, join("2", ""))); r.Snapshot || f.Watching() != 2 {
		t.Errorf("%+v, %d viewers", r, f.Watching())
	}
	f.Sweep(false)
	c.Add(20 * time.Second)
	f.Sweep(false) // dead anew: the time begins anew
	if f.Watching() != 2 {
		t.Errorf("%d viewers", f.Watching())
	}
}
