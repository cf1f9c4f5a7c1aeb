package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ownPump is a house's pump that delivers what it is told to, and keeps the connections that it gets.
type ownPump struct {
	mu       sync.Mutex
	delivers map[string]bool
	conns    map[string][]net.Conn // by stream
	heads    []string
	bits     int64
	refuses  error
	stopped  bool
}

func (p *ownPump) Adopt(c net.Conn, _ netip.AddrPort, head []byte, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses != nil {
		return p.refuses
	}
	p.heads = append(p.heads, string(head))
	stream := strings.ToLower(strings.Split(strings.TrimPrefix(string(head), "GET /streams/"), "?")[0])
	p.conns[stream] = append(p.conns[stream], c)
	_, err := io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
	return err
}

func (p *ownPump) Delivers(stream string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delivers[strings.ToLower(stream)]
}

func (p *ownPump) Viewers(stream string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns[strings.ToLower(stream)])
}

func (p *ownPump) Taken() (viewers int, bits, refused int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.conns {
		viewers += len(list)
	}
	return viewers, int64(viewers) * p.bits, 0
}

func (p *ownPump) Held() int { return 0 }

func (p *ownPump) Stop(context.Context) error {
	p.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	return nil
}

// leave has every viewer leave.
func (p *ownPump) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.conns {
		for _, c := range list {
			_ = c.Close()
		}
	}
	clear(p.conns)
}

// deliver says what is delivered from now on.
func (p *ownPump) deliver(streams ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.delivers)
	for _, s := range streams {
		p.delivers[s] = true
	}
}

// world is a relay with its pump and a door.
type world struct {
	*testing.T
	*Relay
	pump *ownPump
	door *httptest.Server

	mu      sync.Mutex
	sources []Source
	alone   bool
	changes int
	refused []error
}

func newWorld(t *testing.T, s Settings) *world {
	w := &world{T: t, pump: &ownPump{delivers: map[string]bool{}, conns: map[string][]net.Conn{}, bits: 300_000}, sources: []Source{{"a", "http://a"}, {"b", "http://b"}}}
	w.Relay = New(Options{
		Choose: func(string, []Source) []Source {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.sources
		},
		Alone: func(string) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.alone },
		Changed: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes++
		}, Settings: s,
	})
	w.Start(w.pump)
	w.door = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		err := w.Serve(rw, r, Visitor{Stream: strings.TrimPrefix(r.URL.Path, "/streams/"), Target: r.URL.RequestURI(), Remote: netip.MustParseAddrPort("192.0.2.1:7"), Bits: 300_000})
		if err != nil {
			w.mu.Lock()
			w.refused = append(w.refused, err)
			w.mu.Unlock()
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		w.door.Close()
	})
	return w
}

// asks sends a request and does not wait for its answer.
func (w *world) asks(stream string) (net.Conn, func() int) {
	w.Helper()
	c, err := net.Dial("tcp", w.door.Listener.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "GET /streams/"+stream+"?id=7 HTTP/1.0\r\nHost: house\r\nPragma: xPlayStrm=1\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n"); err != nil {
		w.Fatal(err)
	}
	return c, func() int {
		w.Helper()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			w.Fatal(err)
		}
		return a.StatusCode
	}
}

func (w *world) plays(stream string) int { _, status := w.asks(stream); return status() }

func (w *world) waitFor(what string, holds func() bool) {
	w.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain: %s", what)
		}
	}
}

// lastRefusal is why somebody was not served.
func (w *world) lastRefusal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.refused) == 0 {
		return nil
	}
	return w.refused[len(w.refused)-1]
}

func TestAStreamIsTakenWithTheFirstViewerAndLetGoAfterTheLast(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 5, Linger: time.Millisecond})
	_, first := w.asks("Studio")
	w.waitFor("the stream is wanted, from the pumps that were chosen", func() bool { return len(w.Streams()["studio"]) == 2 })
	w.pump.deliver("studio") // only now
	if status := first(); status != 200 {
		t.Fatal(status)
	}
	if status := w.plays("STUDIO"); status != 200 {
		t.Fatal(status)
	}
	if list := w.Streams(); len(list) != 1 || list["studio"][0] != (Source{"a", "http://a"}) {
		t.Errorf("wanted: %v", list)
	}
	w.pump.mu.Lock()
	if h := w.pump.heads[0]; h != "GET /streams/Studio?id=7 HTTP/1.0\r\nHost: house\r\nPragma: xPlayStrm=1\r\n\r\n" {
		t.Errorf("the pump was given %q", h)
	}
	w.pump.mu.Unlock()
	w.pump.leave()
	w.waitFor("it is let go", func() bool { return len(w.Streams()) == 0 })
}

func TestOtherPumpsAreTakenWhenTheseAreGone(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 5, Linger: time.Hour})
	w.pump.deliver("studio")
	w.plays("studio")
	set := func(list ...Source) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sources = list
	}
	set(Source{"b", "http://b"})
	w.waitFor("the other one alone", func() bool { s := w.Streams()["studio"]; return len(s) == 1 && s[0].Pump == "b" })
	set() // with none it is better to go on asking those that were
	changes := func() int { w.mu.Lock(); defer w.mu.Unlock(); return w.changes }
	n := changes()
	time.Sleep(2 * lookEvery)
	if s := w.Streams()["studio"]; len(s) != 1 || changes() != n {
		t.Errorf("with no pump at all: %v", s)
	}
}

func TestWhoIsNotServed(t *testing.T) {
	for name, c := range map[string]struct {
		settings Settings
		before   []string // who watch already
		set      func(*world)
		stream   string
		want     error
	}{
		"one viewer too many":       {Settings{Viewers: 2}, []string{"a", "a"}, nil, "a", ErrFull},
		"too much for the line":     {Settings{Viewers: 9, Bandwidth: 700_000}, []string{"a", "a"}, nil, "a", ErrFull},
		"nobody can give it":        {Settings{Viewers: 2}, nil, func(w *world) { w.sources = nil }, "a", ErrNoSource},
		"the pump within refuses":   {Settings{Viewers: 2}, nil, func(w *world) { w.pump.refuses = errors.New("closed") }, "a", nil},
		"the house has no own pump": {Settings{Viewers: 0}, nil, nil, "a", ErrFull},
	} {
		t.Run(name, func(t *testing.T) {
			c.settings.Linger = time.Hour
			w := newWorld(t, c.settings)
			w.pump.deliver("a")
			for _, s := range c.before {
				if status := w.plays(s); status != 200 {
					t.Fatal(status)
				}
			}
			if c.set != nil {
				c.set(w)
			}
			if status := w.plays(c.stream); status != 503 {
				t.Errorf("answered %d", status)
			}
			if err := w.lastRefusal(); !errors.Is(err, c.want) {
				t.Errorf("refused because of %v, want %v", err, c.want)
			}
			if _, _, refused := w.Taken(); (refused > 0) != errors.Is(c.want, ErrFull) {
				t.Errorf("counted %d", refused)
			}
		})
	}
}

// Without any pump the original source is asked, if there is one.
func TestAStreamThatNeedsNoPump(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 2, Linger: time.Hour})
	w.sources, w.alone = nil, true
	w.pump.deliver("a")
	if status := w.plays("a"); status != 200 {
		t.Error(status)
	}
	if list, ok := w.Streams()["a"]; !ok || len(list) != 0 {
		t.Errorf("wanted: %v", w.Streams())
	}
}

// Streams that somebody asks for and does not watch are bounded like viewers.
func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 2, Linger: time.Hour})
	w.pump.deliver("a", "b", "c")
	for _, s := range []string{"a", "b"} {
		w.plays(s)
	}
	w.pump.leave()
	if status := w.plays("c"); status != 503 || !errors.Is(w.lastRefusal(), ErrFull) {
		t.Errorf("the third stream: %d, %v", status, w.lastRefusal())
	}
}

// A viewer who does not wait for his stream gives his place back.
func TestWhoDoesNotWait(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 1, Linger: time.Hour})
	c, _ := w.asks("a")
	w.waitFor("he is waited for", func() bool { return len(w.Streams()) == 1 })
	_ = c.Close()
	w.waitFor("he is told of", func() bool { return errors.Is(w.lastRefusal(), ErrLate) })
	w.pump.deliver("a")
	w.waitFor("the place is another one's", func() bool { return w.plays("a") == 200 })
}

func TestAfterTheEndNobodyIsServed(t *testing.T) {
	w := newWorld(t, Settings{Viewers: 2, Linger: time.Hour})
	w.pump.deliver("a")
	w.plays("a")
	if err := w.Stop(t.Context()); err != nil || !w.pump.stopped {
		t.Error(err)
	}
	if status := w.plays("a"); status != 503 {
		t.Error(status)
	}
	if none := New(Options{Settings: Settings{Viewers: 3}}); none.On() || none.Stop(t.Context()) != nil {
		t.Error("a relay without a pump serves")
	}
}
