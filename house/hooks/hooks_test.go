package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a program that is told.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   func(n int) int // status of the n-th attempt, from 0; nil: 200
	attempts int
	got      []Delivery
	bodies   [][]byte
	heads    []http.Header
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		status := 200
		if r.answer != nil {
			status = r.answer(r.attempts)
		}
		r.attempts++
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		r.bodies, r.heads = append(r.bodies, body), append(r.heads, q.Header)
		if status/100 == 2 {
			var d Delivery
			if err := json.Unmarshal(body, &d); err != nil {
				t.Errorf("%v: %s", err, body)
			}
			r.got = append(r.got, d)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// events waits until n events have come, and returns them.
func (r *receiver) events(n int) []Event {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		var list []Event
		r.mu.Lock()
		for _, d := range r.got {
			list = append(list, d.Events...)
		}
		r.mu.Unlock()
		if len(list) >= n {
			return list
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d events have come, not %d", len(list), n)
		}
	}
}

type world struct {
	t      *testing.T
	fleet  *live.Fleet
	number int64
	next   int64
}

func newWorld(t *testing.T) *world { return newWorldOf(t, live.Options{}) }

func newWorldOf(t *testing.T, o live.Options) *world {
	w := &world{t: t, fleet: live.New(o), next: 1}
	w.fleet.SetStreams([]live.Stream{{Path: "studio", Enabled: true}})
	w.fleet.SetRoster(&roster.Roster{Pumps: []roster.Pump{{ID: "a", Enabled: true, MaxViewers: 2}}})
	return w
}

func (w *world) say(s *fleet.State, events ...fleet.Event) {
	w.t.Helper()
	w.number++
	b := &fleet.Batch{Pump: "a", Boot: "00000000000000b1", Number: w.number, First: w.next, State: s, Events: events}
	if err := b.Check("a"); err != nil {
		w.t.Fatal(err)
	}
	w.fleet.Apply(b, live.Direct)
	w.next += int64(len(events))
}

func event(kind, id string) fleet.Event {
	e := fleet.Event{Kind: kind, Viewer: &fleet.Viewer{ID: id, Client: "c" + id, Stream: "studio", Address: "192.0.2.7", Agent: "x", Kind: "mmsh", Health: fleet.HealthGood, Bytes: 5}}
	switch kind {
	case fleet.KindHealth:
		e.Viewer.Health = fleet.HealthPoor
	case fleet.KindLeave:
		e.Viewer.Health, e.Reason = fleet.HealthGone, "stalled"
	}
	return e
}

func (w *world) sender(o Options) *Sender {
	o.Fleet, o.House = w.fleet, "one"
	if o.Backoff == 0 {
		o.Backoff = time.Millisecond
	}
	s := New(o)
	w.t.Cleanup(s.Close)
	return s
}

func TestWhatHappensIsTold(t *testing.T) {
	r, w := newReceiver(t), newWorld(t)
	s := w.sender(Options{Hooks: []Hook{{URL: r.URL + "/hook?token=x", Secret: "quite secret"}}})
	streams := []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, Viewers: 1}}
	w.say(&fleet.State{Viewers: 1, Streams: streams}, event(fleet.KindJoin, "1"))
	w.say(nil, event(fleet.KindHealth, "1"))
	w.say(&fleet.State{Viewers: 2, Streams: streams})
	w.say(nil, event(fleet.KindLeave, "1"))
	w.say(&fleet.State{Viewers: 1})
	w.fleet.Hurt("a", -time.Hour)
	w.fleet.Sweep(false)
	list := r.events(8)
	var kinds []live.Kind
	for _, e := range list {
		kinds = append(kinds, e.Event)
	}
	for _, k := range Kinds {
		if !slices.Contains(kinds, k) {
			t.Errorf("%s is missing in %v", k, kinds)
		}
	}
	if len(list) != 8 {
		t.Errorf("%v", kinds)
	}
	for i, e := range list {
		if i > 0 && e.Number <= list[i-1].Number {
			t.Errorf("not in order: %v", list)
		}
		if e.Event == live.ViewerLeft && (e.Viewer == nil || e.Viewer.ID != "1" || e.Viewer.Client != "c1" || e.Viewer.Reason != "stalled" || e.Viewer.Address != "192.0.2.7" || e.Viewer.Health != "gone" || e.Pump != "a" || e.Stream != "studio") {
			t.Errorf("%+v", e)
		}
	}
	if f := s.Figures(); f.Lost != 0 || f.Failed != 0 {
		t.Errorf("counted %+v", f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range r.heads {
		if err := Verify("quite secret", h.Get(HeaderSignature), r.bodies[i], time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		if r.got[i].House != "one" || r.got[i].ID == "" || r.got[i].ID != h.Get(HeaderDelivery) {
			t.Errorf("%v, %+v", h, r.got[i])
		}
	}
}

func TestSignatures(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"events":[]}`)
	good := Sign("secret", now, body)
	if want := "t=1800000000,v1="; !strings.HasPrefix(good, want) || len(good) != len(want)+64 {
		t.Errorf("%s", good)
	}
	for _, c := range []struct {
		name, secret, signature string
		body                    []byte
		after                   time.Duration
		ok                      bool
	}{
		{"good", "secret", good, body, time.Minute, true},
		{"a slow clock", "secret", good, body, -time.Minute, true},
		{"replayed", "secret", good, body, time.Hour, false},
		{"from the future", "secret", good, body, -time.Hour, false},
		{"another secret", "Secret", good, body, 0, false},
		{"another body", "secret", good, []byte("{}"), 0, false},
		{"another time", "secret", strings.Replace(good, "t=18", "t=19", 1), body, 0, false},
		{"none", "secret", "", body, 0, false},
		{"nonsense", "secret", "t=x,v1=zz", body, 0, false},
	} {
		if err := Verify(c.secret, c.signature, c.body, now.Add(c.after), 5*time.Minute); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestOnlyWhatAHookWants(t *testing.T) {
	r, w := newReceiver(t), newWorld(t)
	w.sender(Options{Hooks: []Hook{{URL: r.URL, Events: []live.Kind{live.ViewerLeft, live.PumpUp}}}})
	w.say(&fleet.State{}, event(fleet.KindJoin, "1"), event(fleet.KindLeave, "1"), event(fleet.KindJoin, "2"), event(fleet.KindLeave, "2"))
	list := r.events(3)
	if len(list) != 3 || list[0].Event != live.PumpUp || list[2].Viewer.ID != "2" {
		t.Errorf("%+v", list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heads[0].Get(HeaderSignature) != "" {
		t.Error("signed without a secret")
	}
}

func TestAFailureIsTriedAgain(t *testing.T) {
	r, w := newReceiver(t), newWorld(t)
	r.answer = func(n int) int { return []int{500, 503, 429, 408, 200, 200}[min(n, 5)] }
	s := w.sender(Options{Hooks: []Hook{{URL: r.URL}}})
	w.say(&fleet.State{})
	if list := r.events(1); list[0].Event != live.PumpUp {
		t.Errorf("%+v", list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempts != 5 || !bytes.Equal(r.bodies[0], r.bodies[4]) || r.heads[0].Get(HeaderDelivery) != r.heads[4].Get(HeaderDelivery) {
		t.Errorf("%d attempts", r.attempts)
	}
	if f := s.Figures(); f.Failed != 4 || f.Lost != 0 {
		t.Errorf("counted %+v", f)
	}
}

func TestWhatIsGivenUpIsToldLater(t *testing.T) {
	for name, c := range map[string]struct{ status, attempts int }{"refused": {404, 1}, "a redirect": {302, 1}, "broken for long": {500, attempts}} {
		t.Run(name, func(t *testing.T) {
			r, w := newReceiver(t), newWorld(t)
			r.answer = func(n int) int {
				if n < c.attempts {
					return c.status
				}
				return 204
			}
			var log bytes.Buffer
			s := w.sender(Options{Hooks: []Hook{{URL: r.URL + "/secret-path", Secret: "s3cret"}}, Log: slog.New(slog.NewTextHandler(&log, nil))})
			w.say(&fleet.State{})
			wait(t, func() bool { return s.Figures().Lost == 1 })
			w.say(nil, event(fleet.KindJoin, "1"))
			if list := r.events(1); list[0].Event != live.ViewerJoined {
				t.Errorf("%+v", list)
			}
			s.Close()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.got[0].Lost != 1 || r.attempts != c.attempts+1 {
				t.Errorf("lost %d, %d attempts", r.got[0].Lost, r.attempts)
			}
			if l := log.String(); !strings.Contains(l, "was not told") || strings.Contains(l, "secret-path") || strings.Contains(l, "s3cret") {
				t.Errorf("the log: %s", l)
			}
		})
	}
}

func TestAHookThatHangsHoldsUpNobody(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	r, w := newReceiver(t), newWorld(t)
	s := w.sender(Options{Hooks: []Hook{{URL: slow.URL}, {URL: r.URL}}, Timeout: time.Hour})
	w.say(&fleet.State{})
	const viewers = 2 * queue
	for i := range viewers {
		w.say(nil, event(fleet.KindJoin, fmt.Sprint(i)))
		if i%1000 == 999 {
			r.events(i)
		}
	}
	r.events(viewers + 1)
	wait(t, func() bool { // the last delivery is counted after it was answered
		f := s.Figures()
		return f.Sent == viewers+1 && f.Waiting <= queue+perPost && f.Waiting+f.Lost == viewers+1
	})
}

func TestOnlyTheHouseThatLeadsSends(t *testing.T) {
	r, w := newReceiver(t), newWorld(t)
	var leads atomic.Bool
	s := w.sender(Options{Hooks: []Hook{{URL: r.URL}}, Leads: leads.Load})
	w.say(&fleet.State{})
	wait(t, func() bool { return s.Figures().Waiting == 1 })
	old := forget([]live.Happening{{Time: time.Now().Add(-time.Minute)}, {Time: time.Now(), Pump: "b"}}, time.Now().Add(-heldBack))
	if len(old) != 1 || old[0].Pump != "b" {
		t.Errorf("%+v", old)
	}
	leads.Store(true) // the other one has died a moment ago
	if list := r.events(1); list[0].Event != live.PumpUp {
		t.Errorf("%+v", list)
	}
}

func TestOtherHooksInForce(t *testing.T) {
	one, two, w := newReceiver(t), newReceiver(t), newWorld(t)
	stays := Hook{URL: one.URL, Events: []live.Kind{live.ViewerJoined}}
	s := w.sender(Options{Hooks: []Hook{stays, {URL: two.URL}}})
	s.Set([]Hook{{URL: two.URL, Events: []live.Kind{live.ViewerLeft}}, stays})
	w.say(nil, event(fleet.KindJoin, "1"), event(fleet.KindLeave, "1"))
	if list := one.events(1); list[0].Event != live.ViewerJoined {
		t.Errorf("%+v", list)
	}
	if list := two.events(1); list[0].Event != live.ViewerLeft {
		t.Errorf("%+v", list)
	}
	s.Set(nil)
	w.say(nil, event(fleet.KindJoin, "2"))
	s.Close()
	s.Set([]Hook{stays}) // too late: nothing runs
	if n := len(one.events(1)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func FuzzVerify(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add(Sign("secret", now, []byte("{}")))
	f.Add("t=1,v1=")
	f.Add("")
	f.Fuzz(func(t *testing.T, signature string) {
		if Verify("secret", signature, []byte("{ }"), now, time.Minute) == nil {
			t.Fatalf("%q is taken for another body", signature)
		}
		if Verify("another", signature, []byte("{}"), now, time.Minute) == nil {
			t.Fatalf("%q is taken with another secret", signature)
		}
	})
}
