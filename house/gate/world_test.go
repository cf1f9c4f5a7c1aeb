package gate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a house's gate over a store in memory, with a clock that the test moves.
type world struct {
	t        *testing.T
	store    *store.Memory
	registry *registry.Registry
	fleet    *live.Fleet
	gate     *Gate
	server   *httptest.Server
	log      *worldtest.Log

	mu     sync.Mutex
	now    time.Time           // zero: what time it is
	wanted map[string][]Parent // by its own pump
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T) *world { return newHouse(t, "house-1", store.NewMemory(nil)) }

func newHouse(t *testing.T, name string, s *store.Memory) *world {
	t.Helper()
	w := &world{t: t, store: s, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), log: &worldtest.Log{}}
	w.open(name)
	w.server = httptest.NewUnstartedServer(w.gate)
	w.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	w.server.StartTLS()
	t.Cleanup(w.close)
	return w
}

// open makes the gate, at no door.
func (w *world) open(name string) {
	w.t.Helper()
	t, s := w.t, w.store
	w.fleet = live.New(live.Options{Now: w.clock})
	log := slog.New(slog.NewTextHandler(w.log, nil))
	var err error
	w.registry, err = registry.Open(within(t), registry.Options{
		Store: s, Hasher: access.NewHasher(access.HasherOptions{}), Log: log, Now: w.clock, Invites: time.Hour, Valid: 30 * 24 * time.Hour,
		Changed: func(s *registry.State) {
			var streams []live.Stream
			for i := range s.Streams {
				streams = append(streams, live.Stream{Path: s.Streams[i].Config.Path, Enabled: true})
			}
			w.fleet.SetStreams(streams)
			w.fleet.SetRoster(s.Roster)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.fleet.AddHouse(fleet.HouseID(name), true)
	own := &Own{ID: fleet.HouseID(name), Limits: func() (int, int64) { return 5, 0 }, Streams: func() map[string][]Parent {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.wanted
	}}
	w.gate, err = New(Options{
		House: name, Fleet: w.fleet, Registry: w.registry, Bus: s.Bus(), Log: log, Now: w.clock, Parameter: "id", Own: own,
		Guard: access.GuardOptions{Now: w.clock}, Settle: 6 * time.Second,
		Secure: func(r *http.Request) bool { return r.TLS != nil },
		Remote: func(r *http.Request) netip.Addr {
			a, _ := netip.ParseAddrPort(r.RemoteAddr)
			return a.Addr()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) close() {
	w.gate.Close()
	w.server.CloseClientConnections()
	w.server.Close()
	w.registry.Close()
	_ = w.store.Close()
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// roster puts pumps in force; the key of each is "key of ID".
func (w *world) roster(pumps ...roster.Pump) {
	w.t.Helper()
	for _, p := range pumps {
		p.Enabled = true
		if _, err := w.registry.PutPump(within(w.t), p, 0); err != nil {
			w.t.Fatal(err)
		}
		hash, err := bcrypt.GenerateFromPassword([]byte("key of "+p.ID), bcrypt.MinCost)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.registry.SetKey(within(w.t), p.ID, string(hash)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) stream(settings string) {
	w.t.Helper()
	if _, _, err := w.registry.PutStream(within(w.t), []byte(settings), 0); err != nil {
		w.t.Fatal(err)
	}
}

// pump is a pump as the gate sees one.
type pump struct {
	w       *world
	at      string // where the house is
	id      string
	boot    string
	auth    func(*http.Request)
	client  *http.Client
	session string
	number  int64
	next    int64
}

func (w *world) pump(id string) *pump {
	p := &pump{w: w, at: w.server.URL, id: id, boot: fleet.NewBoot(), client: w.server.Client(), next: 1}
	p.auth = func(r *http.Request) { r.SetBasicAuth(id, "key of "+id) }
	return p
}

// do sends a request, and reads the answer into to if that is not nil.
func (p *pump) do(method, path string, body, to any, auth func(*http.Request)) *fleet.Error {
	p.w.t.Helper()
	var text []byte
	if b, raw := body.([]byte); raw {
		text = b
	} else if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			p.w.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(within(p.w.t), method, p.at+path, bytes.NewReader(text))
	if err != nil {
		p.w.t.Fatal(err)
	}
	auth(r)
	resp, err := p.client.Do(r)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &fleet.Error{Status: resp.StatusCode}
		if err := json.Unmarshal(answer, e); err != nil {
			p.w.t.Fatalf("%d: %s", resp.StatusCode, answer)
		}
		return e
	}
	if to != nil {
		if err := json.Unmarshal(answer, to); err != nil {
			p.w.t.Fatal(err)
		}
	}
	return nil
}

func (p *pump) bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p.session) }

func (p *pump) hello() *fleet.Error {
	p.w.t.Helper()
	var welcome fleet.Welcome
	e := p.do(http.MethodPost, fleet.PathHello, fleet.Hello{Pump: p.id, Boot: p.boot, Port: 8086, Clock: p.w.clock()}, &welcome, p.auth)
	if e == nil {
		if err := welcome.Check(); err != nil {
			p.w.t.Fatal(err)
		}
		p.session = welcome.Session
	}
	return e
}

func (p *pump) mustHello() {
	p.w.t.Helper()
	if e := p.hello(); e != nil {
		p.w.t.Fatal(e)
	}
}

// tell sends a batch; live lists streams that it delivers.
func (p *pump) tell(live []string, events ...fleet.Event) (fleet.Receipt, *fleet.Error) {
	p.w.t.Helper()
	p.number++
	b := fleet.Batch{Pump: p.id, Boot: p.boot, Number: p.number, First: p.next, Events: events, State: &fleet.State{}}
	for _, s := range live {
		b.State.Streams = append(b.State.Streams, fleet.StreamState{Path: s, State: fleet.StreamLive})
	}
	var r fleet.Receipt
	e := p.do(http.MethodPost, fleet.PathTelemetry, b, &r, p.bearer)
	if e == nil {
		p.next = max(p.next, r.Acked+1)
	}
	return r, e
}

func (p *pump) mustTell(live []string, events ...fleet.Event) fleet.Receipt {
	p.w.t.Helper()
	r, e := p.tell(live, events...)
	if e != nil {
		p.w.t.Fatal(e)
	}
	return r
}

// stream is a pump's event stream.
type stream struct {
	t      *testing.T
	reader *fleet.MessageReader
	close  func()
}

func (p *pump) listen(digest string) *stream {
	p.w.t.Helper()
	ctx, cancel := context.WithCancel(p.w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.at+fleet.PathEvents+"?digest="+digest, nil)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.bearer(r)
	resp, err := p.client.Do(r)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		p.w.t.Fatalf("events: %d", resp.StatusCode)
	}
	s := &stream{t: p.w.t, reader: fleet.NewMessageReader(resp.Body), close: func() { cancel(); _ = resp.Body.Close() }}
	p.w.t.Cleanup(s.close)
	return s
}

func (s *stream) next(name string, to any) {
	s.t.Helper()
	type result struct {
		m   fleet.Message
		err error
	}
	c := make(chan result, 1)
	go func() {
		m, err := s.reader.Next()
		for err == nil && name != fleet.EventCommand && m.Event == fleet.EventCommand {
			m, err = s.reader.Next() // children are told that a parent delivers, whatever the test is about
		}
		c <- result{m, err}
	}()
	select {
	case r := <-c:
		if r.err != nil || r.m.Event != name {
			s.t.Fatalf("%s %s, %v; want %s", r.m.Event, r.m.Data, r.err, name)
		}
		if err := json.Unmarshal(r.m.Data, to); err != nil {
			s.t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		s.t.Fatalf("no %s came", name)
	}
}

// config reads the next configuration and returns, of each stream, where it comes from.
func (s *stream) config(pump string) (fleet.Config, map[string][]string) {
	s.t.Helper()
	var c fleet.Config
	s.next(fleet.EventConfig, &c)
	if err := c.Check(pump); err != nil {
		s.t.Fatal(err)
	}
	return c, sources(s.t, c)
}

func sources(t *testing.T, c fleet.Config) map[string][]string {
	t.Helper()
	var settings struct {
		Streams []struct {
			Path, Type string
			Sources    []struct{ URL string }
		}
	}
	if err := json.Unmarshal(c.Settings, &settings); err != nil {
		t.Fatal(err)
	}
	m := map[string][]string{}
	for _, s := range settings.Streams {
		list := []string{s.Type}
		for _, x := range s.Sources {
			list = append(list, x.URL)
		}
		m[s.Path] = list
	}
	return m
}

func request(t *testing.T) (string, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), key
}
