package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// program is an operator's program that answers as a test says.
type program struct {
	*httptest.Server
	status atomic.Int32
	asked  atomic.Int32

	mu     sync.Mutex
	events []Event
	heads  []http.Header
	bodies []string
}

func newProgram(t testing.TB) *program {
	p := &program{}
	p.status.Store(http.StatusOK)
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *program) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var e Event
	_ = json.Unmarshal(body, &e)
	p.mu.Lock()
	p.events, p.heads, p.bodies = append(p.events, e), append(p.heads, r.Header), append(p.bodies, string(body))
	p.mu.Unlock()
	p.asked.Add(1)
	status := int(p.status.Load())
	if status >= 300 && status < 400 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// told returns the events so far.
func (p *program) told() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Event(nil), p.events...)
}

func newClient(t testing.TB, s Settings, log *bytes.Buffer) (*Client, *worldtest.Clock) {
	t.Helper()
	k := worldtest.NewClock(time.Unix(1_767_225_600, 0))
	o := Options{Now: k.Now, Metrics: telemetry.NewMetrics(), RetryFirst: time.Millisecond}
	if log != nil {
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	c := New(s, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c.Close(ctx)
	})
	return c, k
}

// all is one URL for every action.
func all(url string, fill Action) Settings {
	fill.URL = url
	if fill.Timeout == 0 {
		fill.Timeout = patience
	}
	return Settings{Actions: map[string]Action{OnPublish: fill, OnPlay: fill, OnUnpublish: fill, OnStop: fill}}
}

func viewing(id string) Event {
	return Event{Action: OnPlay, Stream: "studio", ID: id, Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "NSPlayer/12.0", Query: "id=" + id, Kind: "mmsh"}
}

func TestAnswers(t *testing.T) {
	for status, want := range map[int][2]access.Refusal{ // with fail: closed, with fail: open
		200: {}, 204: {}, 299: {},
		400: {access.RefusedHook, access.RefusedHook}, 401: {access.RefusedHook, access.RefusedHook},
		403: {access.RefusedHook, access.RefusedHook}, 404: {access.RefusedHook, access.RefusedHook}, 429: {access.RefusedHook, access.RefusedHook},
		302: {access.RefusedHookFailed}, 500: {access.RefusedHookFailed}, 503: {access.RefusedHookFailed},
	} {
		for i, open := range []bool{false, true} {
			p := newProgram(t)
			p.status.Store(int32(status))
			c, _ := newClient(t, all(p.URL, Action{FailOpen: open}), nil)
			_, denial := c.Ask(t.Context(), viewing("a"), true)
			got := access.Refusal("")
			if denial != nil {
				got = denial.Reason
			}
			if got != want[i] {
				t.Errorf("%d with fail-open %v: %q, want %q", status, open, got, want[i])
			}
		}
	}
}

// What cannot be reached, and what does not answer, is decided by the setting, in time.
func TestNoAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, url := range map[string]string{"silent": "http://" + ln.Addr().String(), "gone": "http://" + gone.Addr().String()} {
		for _, open := range []bool{false, true} {
			var log bytes.Buffer
			c, _ := newClient(t, all(strings.Replace(url, "//", "//jo:sesame@", 1)+"/?token=sesame", Action{FailOpen: open, Timeout: 50 * time.Millisecond}), &log)
			begin := time.Now()
			_, denial := c.Ask(t.Context(), viewing("a"), true)
			if took := time.Since(begin); took > patience/2 {
				t.Errorf("%s: %v", name, took)
			}
			if (denial == nil) != open || denial != nil && (denial.Status() != http.StatusServiceUnavailable || denial.Wait == 0) {
				t.Errorf("%s, fail-open %v: %v", name, open, denial)
			}
			if s := log.String(); !strings.Contains(s, "does not answer") || strings.Contains(s, "sesame") {
				t.Errorf("%s: log %q", name, s)
			}
		}
	}
}

func TestEvents(t *testing.T) {
	p := newProgram(t)
	s := all(p.URL, Action{})
	s.Secret = "a secret of the two"
	c, _ := newClient(t, s, nil)
	e := viewing("alice").Of(access.Pass{By: access.ByPassword, Name: "jo"})
	e.Query = "id=alice&x=<&>"
	session, denial := c.Ask(t.Context(), e, true)
	if denial != nil || session == "" {
		t.Fatalf("%q, %v", session, denial)
	}
	e.Action, e.Session, e.Reason, e.Seconds, e.Bytes = OnStop, session, "left", 1.5, 99
	c.Tell(e)
	worldtest.Eventually(t, "the end is told", func() bool { return len(p.told()) == 2 })
	p.mu.Lock()
	defer p.mu.Unlock()
	want := `{"action":"on_play","session":"` + session + `","stream":"studio","id":"alice","address":"192.0.2.7","user":"jo","by":"password",` +
		`"user_agent":"NSPlayer/12.0","query":"id=alice\u0026x=\u003c\u0026\u003e","tls":false,"kind":"mmsh"}`
	if p.bodies[0] != want {
		t.Errorf("got  %s\nwant %s", p.bodies[0], want)
	}
	if got := p.events[1]; got != e {
		t.Errorf("got  %+v\nwant %+v", got, e)
	}
	for i, h := range p.heads {
		m := hmac.New(sha256.New, []byte("a secret of the two"))
		m.Write([]byte("1767225600." + p.bodies[i]))
		if want := "t=1767225600,sha256=" + hex.EncodeToString(m.Sum(nil)); h.Get(SignatureHeader) != want {
			t.Errorf("signature %q, want %q", h.Get(SignatureHeader), want)
		}
	}
}

// The program is asked once for a viewing, though players ask the pump twice.
func TestOnceForEachViewing(t *testing.T) {
	p := newProgram(t)
	c, clock := newClient(t, all(p.URL, Action{Cache: 10 * time.Second}), nil)
	ask := func(id string, final bool) string {
		t.Helper()
		session, denial := c.Ask(t.Context(), viewing(id), final)
		if denial != nil {
			t.Fatal(denial)
		}
		return session
	}
	asked := func(what string, want int32) {
		t.Helper()
		if got := p.asked.Load(); got != want {
			t.Errorf("%s: asked %d times, want %d", what, got, want)
		}
	}
	first := ask("a", false)
	if again := ask("a", false); again != first {
		t.Errorf("Describe twice: sessions %s and %s", first, again)
	}
	if playing := ask("a", true); playing != first {
		t.Errorf("Play goes on with session %s instead of %s", playing, first)
	}
	asked("Describe, Describe, Play", 1)
	if next := ask("a", true); next == first {
		t.Error("two viewings are one session")
	}
	asked("another Play", 2)
	ask("b", true)
	asked("another viewer", 3)
	ask("c", false)
	clock.Add(11 * time.Second)
	ask("c", true)
	asked("a Play long after its Describe", 5)
}

func TestRefusalsAreKept(t *testing.T) {
	p := newProgram(t)
	p.status.Store(http.StatusForbidden)
	c, clock := newClient(t, all(p.URL, Action{Cache: 10 * time.Second}), nil)
	for range 5 {
		for _, final := range []bool{false, true} {
			if _, denial := c.Ask(t.Context(), viewing("a"), final); denial == nil || denial.Status() != http.StatusForbidden {
				t.Fatalf("%v", denial)
			}
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	p.status.Store(http.StatusOK)
	clock.Add(11 * time.Second)
	if _, denial := c.Ask(t.Context(), viewing("a"), true); denial != nil {
		t.Errorf("kept for too long: %v", denial)
	}
	p.status.Store(http.StatusForbidden)
	_, _ = c.Ask(t.Context(), viewing("b"), true)
	p.status.Store(http.StatusOK)
	c.Update(all(p.URL, Action{Cache: 10 * time.Second}))
	if _, denial := c.Ask(t.Context(), viewing("b"), true); denial != nil {
		t.Errorf("kept beyond a change of settings: %v", denial)
	}
}

func TestCacheIsBounded(t *testing.T) {
	k := worldtest.NewClock(time.Unix(1_767_225_600, 0))
	c := newCache(k.Now)
	for i := range 3 * maxKept {
		c.keep(cacheKey{byte(i), byte(i >> 8), byte(i >> 16)}, verdict{}, time.Second)
		if len(c.kept) > maxKept {
			t.Fatalf("%d answers", len(c.kept))
		}
	}
	k.Add(2 * time.Second)
	for i := range maxKept {
		c.keep(cacheKey{byte(i), byte(i >> 8), 31: 1}, verdict{}, time.Second)
	}
	young := 0
	for k := range c.kept {
		young += int(k[31])
	}
	if len(c.kept) > maxKept || young < maxKept*3/4 {
		t.Errorf("%d answers are kept, %d of %d young ones: old ones have to go first", len(c.kept), young, maxKept)
	}
}

// A program that fails is left alone for a while; one question finds out when it is back.
func TestFailingProgramRests(t *testing.T) {
	p := newProgram(t)
	p.status.Store(http.StatusInternalServerError)
	c, clock := newClient(t, all(p.URL, Action{FailOpen: true}), nil)
	ask := func(n int) {
		t.Helper()
		for range n {
			if _, denial := c.Ask(t.Context(), viewing("a"), true); denial != nil {
				t.Fatal(denial)
			}
		}
	}
	ask(10)
	if n := p.asked.Load(); n != tripAfter {
		t.Errorf("asked %d times, want %d", n, tripAfter)
	}
	clock.Add(restFor)
	ask(10)
	if n := p.asked.Load(); n != tripAfter+1 {
		t.Errorf("asked %d times after a rest, want one more", n)
	}
	p.status.Store(http.StatusOK)
	clock.Add(restFor)
	ask(10)
	if n := p.asked.Load(); n != tripAfter+11 {
		t.Errorf("asked %d times when it is back", n)
	}
}

// What is no answer in HTTP may repeat what the program was sent, tokens and signatures among it: that is told, and not what it was.
func TestWhatIsNoHTTPIsNotRepeated(t *testing.T) {
	for name, answer := range map[string]string{
		"a line that is none":   "sesame %s\r\n\r\n",
		"a status that is none": "HTTP/1.1 sesame %s\r\n\r\n",
		"a field that is none":  "HTTP/1.1 200 OK\r\nsesame %s\r\n\r\n",
		"a head without end":    "HTTP/1.1 200 OK\r\nA: sesame %s" + strings.Repeat("sesame", maxAnswer),
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var done sync.WaitGroup
			defer done.Wait()
			defer ln.Close()
			done.Go(func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = fmt.Fprintf(conn, answer, strings.Repeat("x", 4000))
					_ = conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			})
			var log bytes.Buffer
			c, _ := newClient(t, all("http://"+ln.Addr().String(), Action{}), &log)
			_, denial := c.Ask(t.Context(), viewing("a"), true)
			if denial == nil || denial.Reason != access.RefusedHookFailed {
				t.Errorf("%v", denial)
			}
			if s := log.String(); !strings.Contains(s, "no HTTP that can be read") || strings.Contains(s, "sesame") || len(s) > 500 {
				t.Errorf("log %.900q", s)
			}
		})
	}
}

// Many at once wait for one time-out at most, and no more than the bound wait at all.
func TestSilentProgramHoldsNobody(t *testing.T) {
	block := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer srv.Close()
	defer close(block)
	c, _ := newClient(t, all(srv.URL, Action{Timeout: 300 * time.Millisecond}), nil)
	const herd = 2 * maxAsking
	var most, denied atomic.Int32
	var done sync.WaitGroup
	for range herd {
		done.Go(func() {
			_, denial := c.Ask(context.Background(), viewing("a"), true)
			if denial != nil && denial.Reason == access.RefusedHookFailed {
				denied.Add(1)
			}
			if n := int32(len(c.asking)); n > most.Load() {
				most.Store(n)
			}
		})
	}
	finished := make(chan struct{})
	go func() { done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(patience):
		t.Fatal("viewers are held by a program that does not answer")
	}
	if denied.Load() != herd || most.Load() > maxAsking {
		t.Errorf("%d denied, %d waited at once", denied.Load(), most.Load())
	}
}

// Who leaves while he is looked at says nothing about the program.
func TestLeavingIsNoFailure(t *testing.T) {
	arrived, block := make(chan struct{}, 16), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-block }))
	defer srv.Close()
	defer close(block)
	c, _ := newClient(t, all(srv.URL, Action{}), nil)
	for range tripAfter + 1 {
		ctx, leave := context.WithCancel(t.Context())
		result := make(chan *access.Denial)
		go func() {
			_, denial := c.Ask(ctx, viewing("a"), true)
			result <- denial
		}()
		<-arrived
		leave()
		if d := <-result; d == nil || d.Reason != access.RefusedBusy {
			t.Fatalf("%v", d)
		}
	}
	if !c.breakers[OnPlay].closed() {
		t.Error("the program is held for dead")
	}
}

func TestToldAgain(t *testing.T) {
	p := newProgram(t)
	p.status.Store(http.StatusBadGateway)
	c, _ := newClient(t, all(p.URL, Action{}), nil)
	c.Tell(Event{Action: OnStop, Session: "1"})
	worldtest.Eventually(t, "it was tried", func() bool { return p.asked.Load() >= 3 })
	p.status.Store(http.StatusOK)
	worldtest.Eventually(t, "it is told", func() bool { return c.counters[[2]string{OnStop, "told"}].Load() == 1 })
	if n := c.counters[[2]string{OnStop, "dropped"}].Load(); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// What cannot be told is dropped after a minute, or when too many wait, and counted.
func TestDropped(t *testing.T) {
	block := make(chan struct{})
	var status atomic.Int32
	status.Store(http.StatusBadGateway)
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-block:
		case <-r.Context().Done():
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer srv.Close()
	var log bytes.Buffer
	c, clock := newClient(t, all(srv.URL, Action{}), &log)
	dropped := c.counters[[2]string{OnStop, "dropped"}]
	for range tellers + maxQueue + 10 {
		c.Tell(Event{Action: OnStop})
	}
	worldtest.Eventually(t, "all tellers tell", func() bool { return asked.Load() == tellers })
	if n := dropped.Load(); n < 10 || n > 10+tellers {
		t.Errorf("%d dropped of a full queue, want 10", n)
	}
	clock.Add(2 * tellFor)
	close(block)
	worldtest.Eventually(t, "what is too old is dropped", func() bool { return dropped.Load() == maxQueue+tellers+10 })
}

// The end of a pump does not lose what there is to tell, nor wait for ever for it.
func TestClose(t *testing.T) {
	p := newProgram(t)
	c := New(all(p.URL, Action{}), Options{})
	for range 100 {
		c.Tell(Event{Action: OnStop})
	}
	c.Close(t.Context())
	if n := p.asked.Load(); n != 100 {
		t.Errorf("%d of 100 told", n)
	}
	if _, denial := c.Ask(t.Context(), viewing("a"), true); denial == nil {
		t.Error("let in behind the end")
	}
	c.Tell(Event{Action: OnStop})

	block := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer srv.Close()
	defer close(block)
	c = New(all(srv.URL, Action{}), Options{})
	for range 100 {
		c.Tell(Event{Action: OnStop})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	c.Close(ctx)
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("closing took %v", took)
	}
}

func TestNoHook(t *testing.T) {
	var none *Client
	if _, denial := none.Ask(t.Context(), viewing("a"), true); denial != nil || none.Asks(OnPlay) {
		t.Error("no client asks")
	}
	none.Tell(viewing("a"))
	none.Close(t.Context())
	c, _ := newClient(t, Settings{}, nil)
	if _, denial := c.Ask(t.Context(), viewing("a"), true); denial != nil || c.Asks(OnPlay) {
		t.Error("a client without settings asks")
	}
	c.Tell(Event{Action: OnStop})
}
