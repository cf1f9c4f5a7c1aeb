package fleet

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// fakePump is the pump's side, in memory.
type fakePump struct {
	mu      sync.Mutex
	digest  string
	refuse  error
	kicked  []string
	retried []string
	journal *Journal
}

func (p *fakePump) Report() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{Config: p.digest, Processors: 1}
}

func (p *fakePump) Configure(_ context.Context, c Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	p.digest = c.Digest
	return nil
}

func (p *fakePump) Standings(_ context.Context, ids []string) (list []Figures) {
	if ids != nil && len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		list = append(list, Figures{ID: id, Bytes: 7})
	}
	return list
}

func (p *fakePump) Kick(_ context.Context, ids []string, _ string) {
	p.mu.Lock()
	p.kicked = append(p.kicked, ids...)
	p.mu.Unlock()
	for _, id := range ids {
		p.journal.Left(Viewer{ID: id, Stream: "card", Address: "192.0.2.1"}, "kicked")
	}
}

func (p *fakePump) Retry(streams []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retried = append(p.retried, streams...)
}

func (p *fakePump) inForce() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.digest
}

// fakeHouse answers as a test wants it.
type fakeHouse struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	hello    func(r *http.Request, h *Hello) *Error
	receipt  func(b *Batch) (Receipt, *Error)
	events   chan Message
	hellos   int
	batches  []Batch  // that were taken
	secrets  []string // Authorization headers seen
	interval int      // ms
	silence  int      // ms
}

func newFakeHouse(t testing.TB) *fakeHouse {
	t.Helper()
	f := &fakeHouse{t: t, events: make(chan Message, 100), interval: 50, silence: 60_000}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathHello, f.serveHello)
	mux.HandleFunc("GET "+PathEvents, f.serveEvents)
	mux.HandleFunc("POST "+PathTelemetry, f.serveTelemetry)
	f.Server = httptest.NewUnstartedServer(mux)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	f.StartTLS()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func refuseWith(w http.ResponseWriter, e *Error) {
	if e.WaitS > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(e.WaitS))
	}
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e)
}

func (f *fakeHouse) serveHello(w http.ResponseWriter, r *http.Request) {
	var h Hello
	_ = Decode(r.Body, r.Header.Get("Content-Encoding"), &h)
	f.mu.Lock()
	f.hellos++
	f.secrets = append(f.secrets, r.Header.Get("Authorization"))
	answer, n := f.hello, f.hellos
	f.mu.Unlock()
	if answer != nil {
		if e := answer(r, &h); e != nil {
			refuseWith(w, e)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(Welcome{House: "fake", Session: fmt.Sprintf("session %d", n), ExpiresS: 3600, Clock: time.Now(), TelemetryMS: f.interval, SilenceMS: f.silence})
}

func (f *fakeHouse) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(Comment)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case m := <-f.events:
			if m.Event == "end" {
				return
			}
			_, _ = w.Write(AppendMessage(nil, m))
		}
	}
}

func (f *fakeHouse) serveTelemetry(w http.ResponseWriter, r *http.Request) {
	var b Batch
	_ = Decode(r.Body, r.Header.Get("Content-Encoding"), &b)
	f.mu.Lock()
	answer := f.receipt
	f.mu.Unlock()
	receipt := Receipt{Boot: b.Boot, Acked: b.First + int64(len(b.Events)) - 1}
	if answer != nil {
		var e *Error
		if receipt, e = answer(&b); e != nil {
			refuseWith(w, e)
			return
		}
	}
	f.mu.Lock()
	f.batches = append(f.batches, b)
	f.mu.Unlock()
	_ = json.NewEncoder(w).Encode(receipt)
}

func (f *fakeHouse) say(event string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	f.events <- Message{Event: event, Data: b}
}

// heard returns all events of all batches by number, told for the first time.
func (f *fakeHouse) heard() map[int64]Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := map[int64]Event{}
	for _, b := range f.batches {
		for i, e := range b.Events {
			m[b.First+int64(i)] = e
		}
	}
	return m
}

func (f *fakeHouse) greeted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hellos
}

// talk is a client that runs.
type talk struct {
	t testing.TB
	*Client
	pump *fakePump
	log  *worldtest.Log
}

const secretKey = "the-secret-key-of-ottawa"

func newTalk(t testing.TB, f *fakeHouse, change func(*ClientOptions)) *talk {
	t.Helper()
	k := &talk{t: t, pump: &fakePump{journal: NewJournal()}, log: &worldtest.Log{}}
	o := ClientOptions{
		Reach: Reach{Houses: []string{f.URL}, Key: secretKey, Roots: f.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, Pump: "ottawa", Side: k.pump, Journal: k.pump.journal,
		Log:   slog.New(slog.NewTextHandler(k.log, nil)),
		Waits: Waits{First: 10 * time.Millisecond, Most: 50 * time.Millisecond, Refused: 10 * time.Millisecond, RefusedMax: 50 * time.Millisecond, Superseded: 100 * time.Millisecond},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if k.Client, err = NewClient(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		k.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		over, cancel := context.WithTimeout(context.Background(), 0)
		defer cancel()
		k.Close(over)
		if strings.Contains(k.log.String(), secretKey) {
			t.Error("the key is in the log")
		}
		if t.Failed() {
			t.Log(k.log)
		}
	})
	return k
}

func sealed(settings string) Config {
	c := Config{Pump: "ottawa", Settings: json.RawMessage(settings)}
	c.Seal()
	return c
}

func TestAConfigurationComesIntoForce(t *testing.T) {
	f := newFakeHouse(t)
	k := newTalk(t, f, nil)
	want := sealed(`{"streams":[]}`)
	f.say(EventConfig, want)
	worldtest.Eventually(t, "it is in force", func() bool { return k.pump.inForce() == want.Digest })
	worldtest.Eventually(t, "the house is told", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		n := len(f.batches)
		return n > 0 && f.batches[n-1].State.Config == want.Digest
	})
	broken := sealed(`{"streams":[1]}`)
	broken.Digest = want.Digest + "0"
	f.say(EventConfig, broken)
	f.events <- Message{Event: EventConfig, Data: []byte("{")}
	worldtest.Eventually(t, "the house is told of what is wrong", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		last := f.batches[len(f.batches)-1].State
		return len(last.Faults) == 1 && last.Config == want.Digest
	})
}

func TestACommandIsDoneOnceAndAnswered(t *testing.T) {
	f := newFakeHouse(t)
	k := newTalk(t, f, nil)
	k.pump.journal.Joined(watcherNamed("1"))
	cmd := Command{ID: NewBoot(), Kind: CommandKick, Clients: []string{"client 1"}}
	f.say(EventCommand, cmd)
	f.say(EventCommand, cmd)
	inspect := Command{ID: NewBoot(), Kind: CommandInspect, Viewers: []string{"1"}}
	f.say(EventCommand, Command{ID: NewBoot(), Kind: "dance", Viewers: []string{"1"}})
	f.say(EventCommand, inspect)
	answers := map[string]int{}
	worldtest.Eventually(t, "both are answered", func() bool {
		clear(answers)
		for _, e := range f.heard() {
			if e.Answer != nil {
				answers[e.Answer.Command]++
				if e.Answer.Command == cmd.ID && (len(e.Answer.Viewers) != 1 || e.Answer.Viewers[0].Bytes != 7) {
					t.Fatalf("answer %+v", e.Answer)
				}
			}
		}
		return answers[inspect.ID] == 1
	})
	if answers[cmd.ID] != 1 || len(answers) != 2 || len(k.pump.kicked) != 1 {
		t.Errorf("answers %v, kicked %v", answers, k.pump.kicked)
	}
}

// What the house does not acknowledge is told again, with the same numbers, and nothing is
// missing in the end.
func TestEventsOutliveBrokenSessions(t *testing.T) {
	f := newFakeHouse(t)
	var turn atomic.Int64
	f.receipt = func(b *Batch) (Receipt, *Error) {
		if turn.Add(1)%3 != 0 {
			return Receipt{}, Errorf(http.StatusServiceUnavailable, CodeUnavailable, "not now")
		}
		return Receipt{Boot: b.Boot, Acked: b.First + int64(len(b.Events)) - 1}, nil
	}
	const all = 300
	k := newTalk(t, f, func(o *ClientOptions) { o.Journal.Joined(watcherNamed("0")) })
	for i := 1; i < all; i++ {
		k.pump.journal.Joined(watcherNamed(fmt.Sprint(i)))
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	worldtest.Eventually(t, "all are told", func() bool { return len(f.heard()) == all })
	for n, e := range f.heard() {
		if e.Viewer.ID != fmt.Sprint(n-1) {
			t.Fatalf("event %d is of viewer %s", n, e.Viewer.ID)
		}
	}
	if k.pump.journal.Lost() != 0 {
		t.Errorf("%d are lost", k.pump.journal.Lost())
	}
}

// A house that does not know who watches is told all of them, in parts, and then what
// happened since.
func TestTheListOfAllViewers(t *testing.T) {
	f := newFakeHouse(t)
	var mu sync.Mutex
	known, listed, asked := false, map[string]bool{}, false
	f.receipt = func(b *Batch) (Receipt, *Error) {
		mu.Lock()
		defer mu.Unlock()
		if s := b.Snapshot; s != nil {
			for _, v := range s.Viewers {
				listed[v.ID] = true
			}
			known = s.Part == s.Parts-1
		}
		if !known {
			first := !asked
			asked = true
			return Receipt{Boot: b.Boot, Snapshot: first}, nil
		}
		return Receipt{Boot: b.Boot, Acked: b.First + int64(len(b.Events)) - 1}, nil
	}
	k := newTalk(t, f, func(o *ClientOptions) {
		for i := range MaxViewers + 500 {
			o.Journal.Joined(watcherNamed(fmt.Sprint(i)))
		}
	})
	worldtest.Eventually(t, "all are listed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return known && len(listed) == MaxViewers+500
	})
	k.pump.journal.Joined(watcherNamed("later"))
	worldtest.Eventually(t, "who came later is told", func() bool {
		e, ok := f.heard()[MaxViewers+501]
		return ok && e.Viewer.ID == "later"
	})
}

func TestWhatTheHouseWillNeverTakeIsDropped(t *testing.T) {
	f := newFakeHouse(t)
	f.receipt = func(b *Batch) (Receipt, *Error) {
		for _, e := range b.Events {
			if e.Viewer.ID == "bad" {
				return Receipt{}, Errorf(http.StatusBadRequest, CodeBadMessage, "telemetry: events[0] is wrong")
			}
		}
		return Receipt{Boot: b.Boot, Acked: b.First + int64(len(b.Events)) - 1}, nil
	}
	k := newTalk(t, f, nil)
	k.pump.journal.Joined(watcherNamed("bad"))
	worldtest.Eventually(t, "it is dropped", func() bool { return k.pump.journal.Lost() == 1 })
	k.pump.journal.Joined(watcherNamed("good"))
	worldtest.Eventually(t, "the next one is told", func() bool { e := f.heard()[2]; return e.Viewer != nil && e.Viewer.ID == "good" })
	if f.greeted() != 1 {
		t.Errorf("%d hellos", f.greeted())
	}
}

// How a pump takes what its house may answer to a hello: it comes again by itself, and says
// in its log what is the matter, without the key.
func TestRefusalsAndTheirEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		refusal *Error
		log     string
	}{
		"a wrong key":           {Errorf(http.StatusUnauthorized, CodeUnauthorized, "the key is not that of ottawa"), "the house refuses this pump"},
		"not in the roster":     {Errorf(http.StatusForbidden, CodeDisabled, "the roster has no pump ottawa"), "the roster has no pump ottawa"},
		"a revoked certificate": {Errorf(http.StatusForbidden, CodeRevoked, "the certificate was revoked"), "the certificate was revoked"},
		"another run":           {Errorf(http.StatusConflict, CodeSuperseded, "another run of ottawa has said hello later"), "the same house.id"},
		"too many attempts":     {Errorf(http.StatusTooManyRequests, CodeTooMany, "too many wrong keys from this address"), "too many wrong keys"},
		"a house that is full":  {Errorf(http.StatusServiceUnavailable, CodeUnavailable, "not now"), "not now"},
		"no house at all":       {&Error{Status: http.StatusFound}, "house.url is not the house's own address"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeHouse(t)
			f.hello = func(*http.Request, *Hello) *Error {
				if f.greeted() <= 3 {
					return tt.refusal
				}
				return nil
			}
			k := newTalk(t, f, nil)
			worldtest.Eventually(t, "the house knows it at last", func() bool { return k.House() == "fake" })
			if log := k.log.String(); !strings.Contains(log, tt.log) {
				t.Errorf("the log does not say %q", tt.log)
			}
		})
	}
}

// Waits grow, so that a house that is down or says no is not asked all the time.
func TestWaits(t *testing.T) {
	lost, no := errors.New("connection refused"), Errorf(http.StatusUnauthorized, CodeUnauthorized, "no")
	p := pause{Waits: Waits{}.withDefaults()}
	for i, want := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		about(t, fmt.Sprintf("lost %d times", i+1), &p, lost, false, 0, want)
	}
	for i, want := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		about(t, fmt.Sprintf("refused %d times", i+1), &p, no, false, 0, want)
	}
	about(t, "superseded", &p, Errorf(http.StatusConflict, CodeSuperseded, "no"), true, time.Hour, time.Minute)
	about(t, "lost after a good session", &p, lost, true, time.Minute, 250*time.Millisecond)
	about(t, "the session is refused: hello at once", &p, no, true, time.Minute, 250*time.Millisecond)
	about(t, "asked to wait", &p, &Error{Status: http.StatusTooManyRequests, WaitS: 90}, false, 0, 90*time.Second)
	about(t, "asked to wait for ever", &p, &Error{Status: http.StatusTooManyRequests, WaitS: 1 << 30}, false, 0, 10*time.Minute)
	about(t, "goodbye", &p, &farewell{Goodbye{WaitMS: 3000}}, true, time.Minute, 3*time.Second)
	about(t, "goodbye for ever", &p, &farewell{Goodbye{WaitMS: 1 << 30}}, true, time.Minute, time.Minute)
	about(t, "renewal", &p, errRenewed, true, time.Minute, 0)
}

func about(t *testing.T, what string, p *pause, err error, known bool, lasted, want time.Duration) {
	t.Helper()
	if _, d := p.after(err, known, lasted); d < want*3/4 || d > want*5/4 {
		t.Errorf("%s: waits %v, want about %v", what, d, want)
	}
}

func TestASilentHouseIsLeft(t *testing.T) {
	f := newFakeHouse(t)
	f.silence = 100
	k := newTalk(t, f, nil)
	worldtest.Eventually(t, "it is greeted again", func() bool { return f.greeted() >= 2 })
	if !strings.Contains(k.log.String(), errSilent.Error()) {
		t.Error("the log does not say why")
	}
}

func TestGoodbyeAndTheNextHouse(t *testing.T) {
	f, g := newFakeHouse(t), newFakeHouse(t)
	k := newTalk(t, f, func(o *ClientOptions) { o.Houses = []string{f.URL, g.URL} })
	worldtest.Eventually(t, "the first knows it", func() bool { return f.greeted() == 1 && k.House() != "" })
	f.say(EventGoodbye, Goodbye{Reason: "the house is stopping", WaitMS: 1})
	worldtest.Eventually(t, "the other one knows it", func() bool { return g.greeted() == 1 })
}

// The key leaves the pump only for a house that has been verified.
func TestTheKeyStaysWithWhomItCannotVerify(t *testing.T) {
	f := newFakeHouse(t)
	plain := httptest.NewServer(f.Server.Config.Handler)
	defer plain.Close()
	for name, change := range map[string]func(*ClientOptions){
		"an unknown authority":         func(o *ClientOptions) { o.Roots = nil },
		"a certificate of other names": func(o *ClientOptions) { o.Houses = []string{strings.Replace(f.URL, "127.0.0.1", "localhost", 1)} },
		"an invite of another house":   func(o *ClientOptions) { o.Roots, o.Key, o.Invite = nil, "", pinned(t) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, f, change)
			worldtest.Eventually(t, "it complains", func() bool { return strings.Contains(k.log.String(), "certificate") })
			if f.greeted() != 0 {
				t.Errorf("it has said hello with %v", f.secrets)
			}
		})
	}
	t.Run("http elsewhere than at loopback", func(t *testing.T) {
		if err := onlyLoopback("tcp", "192.0.2.1:80", nil); err == nil {
			t.Error("it is let through")
		}
		if err := onlyLoopback("tcp", "[::1]:80", nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("a redirect", func(t *testing.T) {
		other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("asked with %q", r.Header.Get("Authorization"))
		}))
		defer other.Close()
		away := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
		defer away.Close()
		k := newTalk(t, f, func(o *ClientOptions) { o.Houses = []string{away.URL} })
		worldtest.Eventually(t, "it complains", func() bool { return strings.Contains(k.log.String(), "own address") })
		away.CloseClientConnections()
	})
}

// pinned is an invite of a house that is not the fake one.
func pinned(t *testing.T) string {
	t.Helper()
	i := NewInvite("ottawa", nil)
	i.CA[0] = 1
	return i.String()
}

func TestClocksThatDiffer(t *testing.T) {
	for name, tt := range map[string]struct {
		off  time.Duration
		told bool
	}{
		"an hour ahead":    {time.Hour, true},
		"an hour behind":   {-time.Hour, true},
		"half a minute":    {30 * time.Second, false},
		"the right clocks": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeHouse(t)
			k := newTalk(t, f, func(o *ClientOptions) { o.Now = func() time.Time { return time.Now().Add(tt.off) } })
			k.pump.journal.Joined(watcherNamed("1"))
			worldtest.Eventually(t, "the house is told", func() bool { return len(f.heard()) == 1 })
			f.mu.Lock()
			defer f.mu.Unlock()
			if told := len(f.batches[0].State.Faults) == 1; told != tt.told {
				t.Errorf("faults %v", f.batches[0].State.Faults)
			}
			if strings.Contains(k.log.String(), "the clock is off") != tt.told {
				t.Errorf("the log: %s", k.log)
			}
		})
	}
}

func TestAnInviteForAnotherPumpIsRefused(t *testing.T) {
	for invite, want := range map[string]string{
		NewInvite("calgary", nil).String(): "is for the pump calgary",
		"ph1.nonsense":                     "not an invite",
	} {
		_, err := NewClient(ClientOptions{Reach: Reach{Houses: []string{"https://localhost"}}, Pump: "ottawa", Invite: invite, Journal: NewJournal()})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), invite) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTrustIsTLS12AtLeast(t *testing.T) {
	if trust(nil, Invite{}, nil).MinVersion < tls.VersionTLS12 {
		t.Error("older versions are let in")
	}
}
