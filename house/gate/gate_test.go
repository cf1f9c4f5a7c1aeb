package gate

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

const pulled = `{"path": "studio", "type": "mmsh_pull", "source_options": {"host": "198.51.100.7", "path": "/live"}}`

func TestAPumpComesInWithItsKeyAndGetsItsConfiguration(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "ottawa", MaxViewers: 300, MaxBandwidth: 200e6})
	w.stream(pulled)
	p := w.pump("ottawa")
	p.mustHello()
	s := p.listen("")
	c, from := s.config("ottawa")
	if !slices.Equal(from["studio"], []string{"mmsh_pull"}) || !strings.Contains(string(c.Settings), `"limits":{"bandwidth":"200M","viewers":300}`) ||
		!strings.Contains(string(c.Settings), `"id_parameter":"id"`) || !strings.Contains(string(c.Settings), "198.51.100.7") {
		t.Errorf("%s", c.Settings)
	}
	if w.fleet.View().Pump("ottawa").URL() != "http://127.0.0.1:8086" {
		t.Errorf("it is reached at %s", w.fleet.View().Pump("ottawa").URL())
	}
	var once fleet.Config
	if e := p.do(http.MethodGet, fleet.PathConfig, nil, &once, p.auth); e != nil || once.Digest != c.Digest {
		t.Errorf("asked for with the key: %v, %s", e, once.Digest)
	}
	if e := p.do(http.MethodGet, fleet.PathConfig, nil, &once, p.bearer); e != nil || once.Digest != c.Digest {
		t.Errorf("asked for with the session: %v", e)
	}
}

// A change reaches every pump without being asked for; a pump that has it already is sent
// nothing.
func TestAChangeReachesPumps(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"}, roster.Pump{ID: "b"})
	p, q := w.pump("a"), w.pump("b")
	p.mustHello()
	q.mustHello()
	s := p.listen("")
	first, _ := s.config("a")
	r := q.listen("")
	r.config("b")
	w.stream(pulled)
	if _, from := s.config("a"); from["studio"] == nil {
		t.Error("a does not have it")
	}
	if _, from := r.config("b"); from["studio"] == nil {
		t.Error("b does not have it")
	}
	if err := w.registry.DeleteStream(within(t), "studio", 0); err != nil {
		t.Fatal(err)
	}
	c, from := s.config("a")
	if len(from) != 0 || c.Digest != first.Digest {
		t.Errorf("%v", from)
	}
	// Reconnecting with what it has: the next thing that comes is the next change.
	again := p.listen(c.Digest)
	if _, err := w.registry.PutPump(within(t), roster.Pump{ID: "a", Enabled: true, Draining: true}, 0); err != nil {
		t.Fatal(err)
	}
	if c, _ := again.config("a"); !c.Draining {
		t.Errorf("%+v", c)
	}
}

// The sources of a stream are the parents that are up; when one dies the next is taken, and
// when it is back and has something to give it is taken again.
func TestParents(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "top", URL: "http://192.0.2.1:8086"}, roster.Pump{ID: "mid", URL: "https://mid.example.org", Parents: []string{"top"}},
		roster.Pump{ID: "leaf", Parents: []string{"mid", "top"}})
	w.stream(pulled)
	w.stream(`{"path": "push", "type": "mmsh_push", "publish": {"user": "u", "password": "hush"}}`)
	w.stream(`{"path": "off", "type": "test_card", "enabled": false}`)
	const top, mid = "mmsh://192.0.2.1:8086/streams/studio", "https://mid.example.org/streams/studio"
	leaf := w.pump("leaf")
	leaf.mustHello()
	s := leaf.listen("")
	want := func(why string, list ...string) {
		t.Helper()
		c, from := s.config("leaf")
		if !slices.Equal(from["studio"], append([]string{"mmsh_pull"}, list...)) {
			t.Fatalf("%s: %v, want %v", why, from["studio"], list)
		}
		if strings.Contains(string(c.Settings), "hush") && len(list) > 0 {
			t.Errorf("%s: a pump that has parents knows who may push: %s", why, c.Settings)
		}
		if from["off"] != nil {
			t.Errorf("%s: a stream that is off", why)
		}
		for _, at := range list {
			if c.Parents[at] == "" {
				t.Errorf("%s: %s has no name in %v", why, at, c.Parents)
			}
		}
	}
	want("the house has just started: who was not heard of yet counts as up", mid, top)
	a, b := w.pump("top"), w.pump("mid")
	a.mustHello()
	b.mustHello()
	a.mustTell([]string{"studio"})
	b.mustTell([]string{"studio"})
	w.later(10 * time.Second) // both are silent for too long now, and the house has settled
	w.fleet.Sweep(false)
	want("no parent is up: the original")
	a.mustTell([]string{"studio"})
	want("the second one is up", top)
	b.mustTell(nil)
	b.mustTell([]string{"studio"})
	want("the first one is back, and delivers", mid, top)
	if _, err := w.registry.PutPump(within(t), roster.Pump{ID: "mid", URL: "https://mid.example.org", Parents: []string{"top"}, Enabled: true, Draining: true}, 0); err != nil {
		t.Fatal(err)
	}
	want("the first one is draining", top, mid)
	if _, err := w.registry.PutPump(within(t), roster.Pump{ID: "mid", Enabled: false, Parents: []string{"top"}}, 0); err != nil {
		t.Fatal(err)
	}
	want("the first one is off", top)
}

// A house that was started again does not know where pumps are reached of which the roster does not say: it waits for
// them before it sends their children another list.
func TestAHouseThatHasJustStartedWaitsForParents(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "top"}, roster.Pump{ID: "mid"}, roster.Pump{ID: "leaf", Parents: []string{"mid", "top"}})
	w.stream(pulled)
	leaf, top := w.pump("leaf"), w.pump("top")
	leaf.mustHello()
	s := leaf.listen("0123")
	top.mustHello()
	top.mustTell([]string{"studio"})
	w.later(7 * time.Second) // settled: who was not heard of is down
	top.mustTell([]string{"studio"})
	w.gate.Changed()
	if _, from := s.config("leaf"); len(from["studio"]) != 2 {
		t.Errorf("the first list is %v, want the one pump that is there: no list was to come before", from["studio"])
	}
}

// Pumps below one that begins to deliver do not wait for the end of their pauses.
func TestChildrenAreToldThatAParentDelivers(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "top", URL: "http://192.0.2.1:8086"}, roster.Pump{ID: "has", Parents: []string{"top"}}, roster.Pump{ID: "lacks", Parents: []string{"top"}},
		roster.Pump{ID: "other"})
	w.stream(pulled)
	lines := map[string]*stream{}
	for _, id := range []string{"has", "lacks", "other"} {
		p := w.pump(id)
		p.mustHello()
		lines[id] = p.listen("")
		lines[id].config(id)
		if id == "has" {
			p.mustTell([]string{"studio"})
		}
	}
	top := w.pump("top")
	top.mustHello()
	top.mustTell([]string{"studio"})
	var c fleet.Command
	lines["lacks"].next(fleet.EventCommand, &c)
	if err := c.Check(); err != nil || c.Kind != fleet.CommandRetry || !slices.Equal(c.Streams, []string{"studio"}) {
		t.Errorf("%+v, %v", c, err)
	}
	w.gate.mu.Lock()
	defer w.gate.mu.Unlock()
	for _, id := range []string{"has", "other"} {
		if n := len(w.gate.lines[id].commands); n > 0 {
			t.Errorf("%s is told %d commands", id, n)
		}
	}
}

func TestAPumpThatIsOffHasNoStreams(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	w.stream(pulled)
	p := w.pump("a")
	p.mustHello()
	s := p.listen("")
	s.config("a")
	if _, err := w.registry.PutPump(within(t), roster.Pump{ID: "a"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, from := s.config("a"); len(from) != 0 {
		t.Errorf("%v", from)
	}
}

func TestWrongKeysAreRefusedSlowedDownAndLoggedWithoutTheKey(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"}, roster.Pump{ID: "b"})
	p := w.pump("a")
	p.auth = func(r *http.Request) { r.SetBasicAuth("a", "guess-hush") }
	for i := range 4 {
		if e := p.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
			t.Fatalf("guess %d: %v", i, e)
		}
	}
	if e := p.hello(); e == nil || e.Code != fleet.CodeTooMany || e.WaitS < 1 {
		t.Errorf("the fifth: %v", e)
	}
	w.later(time.Minute)
	p.auth = func(r *http.Request) { r.SetBasicAuth("a", "key of b") }
	if e := p.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("another pump's key: %v", e)
	}
	w.later(time.Minute)
	p.auth = func(r *http.Request) { r.SetBasicAuth("b", "key of b") }
	if e := p.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("in the name of another: %v", e)
	}
	p.auth = func(*http.Request) {}
	if e := p.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("without anything: %v", e)
	}
	if log := w.log.String(); strings.Contains(log, "hush") || strings.Contains(log, "key of") || !strings.Contains(log, "a pump was refused") {
		t.Errorf("the log:\n%s", log)
	}
	w.later(time.Minute)
	q := w.pump("nobody")
	if e := q.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("of no roster: %v", e)
	}
	w.later(time.Hour)
	w.pump("a").mustHello()
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"}, roster.Pump{ID: "b"})
	p := w.pump("a")
	p.mustHello()
	p.mustTell(nil)
	good := p.session
	text, mac, _ := strings.Cut(good, ".")
	claim, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claim), `"p":"a"`, `"p":"b"`, 1))) + "." + mac
	for name, session := range map[string]string{"none": "", "cut": good[:len(good)-2], "no signature": text, "another pump's": forged, "long": strings.Repeat("a", 2000)} {
		p.session = session
		if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeUnauthorized {
			t.Errorf("%s: %v", name, e)
		}
	}
	p.session = good
	if e := p.do(http.MethodPost, fleet.PathTelemetry, fleet.Batch{Pump: "b", Boot: p.boot, Number: 1, First: 1}, nil, p.bearer); e == nil || e.Code != fleet.CodeBadMessage {
		t.Errorf("a batch of another pump: %v", e)
	}
	if e := p.do(http.MethodPost, fleet.PathTelemetry, fleet.Batch{Pump: "a", Boot: fleet.NewBoot(), Number: 1, First: 1}, nil, p.bearer); e == nil || e.Code != fleet.CodeBadMessage {
		t.Errorf("a batch of another run: %v", e)
	}
	w.later(fleet.SessionFor + time.Second)
	if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("after its end: %v", e)
	}
}

func TestASessionEndsWithWhatItBeganWith(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	p.mustHello()
	s := p.listen("")
	s.config("a")
	if err := w.registry.SetKey(within(t), "a", "$2a$04$"+strings.Repeat("a", 53)); err != nil {
		t.Fatal(err)
	}
	w.gate.Changed()
	var bye fleet.Goodbye
	s.next(fleet.EventGoodbye, &bye)
	if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("with the old key's session: %v", e)
	}
	if err := w.registry.DeletePump(within(t), "a", 0); err != nil {
		t.Fatal(err)
	}
	if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeDisabled {
		t.Errorf("off the roster: %v", e)
	}
}

// Of two programs with one pump's id the later one is heard, and the earlier one is told.
func TestTwoRunsOfOnePump(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p, q := w.pump("a"), w.pump("a")
	p.mustHello()
	p.mustTell(nil)
	w.later(time.Second)
	q.mustHello()
	q.mustTell(nil)
	if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeSuperseded {
		t.Errorf("the first: %v", e)
	}
	w.later(time.Second)
	p.mustHello()
	if _, e := q.tell(nil); e == nil || e.Code != fleet.CodeSuperseded {
		t.Errorf("the second, after the first said hello again: %v", e)
	}
}

func TestANewerEventStreamEndsTheOlderOne(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	p.mustHello()
	old := p.listen("")
	old.config("a")
	fresh := p.listen("")
	fresh.config("a")
	if _, err := old.reader.Next(); err == nil {
		t.Error("the older one goes on")
	}
	w.stream(pulled)
	fresh.config("a")
}

func TestTelemetryThatLiesIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	p.mustHello()
	p.mustTell([]string{"studio"})
	bad := []byte(`{"pump":"a","boot":"` + p.boot + `","number":9,"first":1,"state":{"viewers":-5}}`)
	e := p.do(http.MethodPost, fleet.PathTelemetry, bad, nil, p.bearer)
	if e == nil || e.Code != fleet.CodeBadMessage || !strings.Contains(e.Text, "state.viewers") || !e.Permanent() {
		t.Errorf("%v", e)
	}
	if !w.fleet.View().Pump("a").Delivers("studio") {
		t.Error("what it said truthfully before is gone")
	}
	for name, body := range map[string][]byte{"no JSON": []byte("hello"), "too long": make([]byte, fleet.MaxBody+1)} {
		if e := p.do(http.MethodPost, fleet.PathTelemetry, body, nil, p.bearer); e == nil || !e.Permanent() {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestPlainHTTPIsRefused(t *testing.T) {
	w := newWorld(t)
	plain := httptest.NewServer(w.gate)
	defer plain.Close()
	resp, err := http.Post(plain.URL+fleet.PathHello, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var e fleet.Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || resp.StatusCode != http.StatusForbidden || e.Code != fleet.CodeInsecure {
		t.Errorf("%d %v, %v", resp.StatusCode, e, err)
	}
}

func TestUnknownAddresses(t *testing.T) {
	w := newWorld(t)
	p := w.pump("a")
	for _, path := range []string{"/fleet/v1/", "/fleet/v2/hello", "/fleet/v1/hello/x"} {
		if e := p.do(http.MethodPost, path, nil, nil, p.auth); e == nil || e.Code != fleet.CodeNotFound {
			t.Errorf("%s: %v", path, e)
		}
	}
}

func TestAClockThatIsAnHourOff(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	h := fleet.Hello{Pump: "a", Boot: p.boot, Clock: w.clock().Add(time.Hour)}
	var welcome fleet.Welcome
	if e := p.do(http.MethodPost, fleet.PathHello, h, &welcome, p.auth); e != nil {
		t.Fatal(e)
	}
	if !welcome.Clock.Equal(w.clock()) {
		t.Errorf("it is not told the time: %v", welcome.Clock)
	}
	notes := w.fleet.Recent()
	if last := notes[len(notes)-1]; !strings.Contains(last.Text, "off by 1h0m0s") {
		t.Errorf("%+v", last)
	}
}

// An invite lets a pump join, its certificate is its key from then on, is renewed, and ends
// when it is taken back: at once, also the stream that is open.
func TestJoinRenewRevoke(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "calgary"}, roster.Pump{ID: "other"})
	if err := w.registry.SetKey(within(t), "calgary", ""); err != nil {
		t.Fatal(err)
	}
	token, err := w.registry.Invite(within(t), "calgary", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	p := w.pump("calgary")
	csr, key := request(t)
	invite := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	var a fleet.CertificateAnswer
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "other", CSR: csr}, nil, invite); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("for another pump: %v", e)
	}
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "calgary", CSR: csr}, &a, invite); e != nil {
		t.Fatal(e)
	}
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "calgary", CSR: csr}, &a, invite); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("the invite a second time: %v", e)
	}
	if strings.Contains(w.log.String(), token) {
		t.Error("the invite is in the log")
	}
	p.showing(t, a.Certificate, key)
	p.mustHello()
	p.mustTell(nil)
	s := p.listen("")
	s.config("calgary")
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "other", CSR: csr}, nil, p.bearer); e == nil || e.Code != fleet.CodeBadMessage {
		t.Errorf("a renewal for another pump: %v", e)
	}
	csr2, key2 := request(t)
	var b fleet.CertificateAnswer
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "calgary", CSR: csr2}, &b, p.bearer); e != nil {
		t.Fatal(e)
	}
	renewed := w.pump("calgary")
	renewed.boot = p.boot
	renewed.showing(t, b.Certificate, key2)
	renewed.mustHello()

	thief := w.pump("other")
	thief.showing(t, a.Certificate, key)
	if e := thief.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("the certificate of another pump: %v", e)
	}
	first := w.registry.State().Certificates
	for serial, c := range first {
		if c.By == "invite" {
			if err := w.registry.Revoke(within(t), serial); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.gate.Changed()
	var bye fleet.Goodbye
	s.next(fleet.EventGoodbye, &bye)
	if !strings.Contains(bye.Reason, "revoked") {
		t.Errorf("%+v", bye)
	}
	if _, e := p.tell(nil); e == nil || e.Code != fleet.CodeRevoked {
		t.Errorf("a session of the revoked one: %v", e)
	}
	if e := p.hello(); e == nil || e.Code != fleet.CodeRevoked {
		t.Errorf("the revoked one itself: %v", e)
	}
	if _, e := renewed.tell(nil); e != nil {
		t.Errorf("the renewed one is good: %v", e)
	}
	w.later(31 * 24 * time.Hour)
	if e := renewed.hello(); e == nil || e.Code != fleet.CodeUnauthorized || !strings.Contains(e.Text, "ended") {
		t.Errorf("after its end: %v", e)
	}
}

// showing lets the pump come with a client certificate instead of its key.
func (p *pump) showing(t *testing.T, certificate string, key any) {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		t.Fatal("no certificate")
	}
	transport := p.w.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Transport: transport}
	p.auth = func(*http.Request) {}
}

func TestBadCertificateRequests(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	p.mustHello()
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "a", CSR: "nonsense"}, nil, p.bearer); e == nil || e.Code != fleet.CodeBadMessage {
		t.Errorf("%v", e)
	}
	csr, _ := request(t)
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "a", CSR: csr}, nil, func(*http.Request) {}); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("%v", e)
	}
	w.store.Fail(store.ErrFull)
	if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "a", CSR: csr}, nil, p.bearer); e == nil || e.Code != fleet.CodeUnavailable || !strings.Contains(e.Text, "disk is full") {
		t.Errorf("the disk is full: %v", e)
	}
}

func TestCommandsAreAnswered(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	if _, err := w.gate.Do(within(t), "a", fleet.Command{Kind: fleet.CommandKick, Clients: []string{"anna"}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("it is not connected: %v", err)
	}
	p := w.pump("a")
	p.mustHello()
	s := p.listen("")
	s.config("a")
	type result struct {
		list []fleet.Viewer
		err  error
	}
	ask := func() chan result {
		c := make(chan result, 1)
		go func() {
			list, err := w.gate.Do(within(t), "a", fleet.Command{Kind: fleet.CommandInspect, Viewers: []string{"7"}})
			c <- result{list, err}
		}()
		return c
	}
	c := ask()
	var command fleet.Command
	s.next(fleet.EventCommand, &command)
	v := fleet.Viewer{ID: "7", Stream: "studio", Address: "192.0.2.1", Health: fleet.HealthGood, Bytes: 77}
	p.mustTell(nil, fleet.Event{Kind: fleet.KindAnswer, Answer: &fleet.Answer{Command: command.ID, Viewers: []fleet.Viewer{v}}})
	if r := <-c; r.err != nil || len(r.list) != 1 || r.list[0].Bytes != 77 {
		t.Errorf("%+v", r)
	}
	c = ask()
	s.next(fleet.EventCommand, &command)
	p.mustTell(nil, fleet.Event{Kind: fleet.KindAnswer, Answer: &fleet.Answer{Command: command.ID, Fault: "no such viewer"}})
	if r := <-c; r.err == nil || !strings.Contains(r.err.Error(), "no such viewer") {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.gate.Do(ctx, "a", fleet.Command{Kind: fleet.CommandInspect, Viewers: []string{"7"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	if _, err := w.gate.Do(within(t), "a", fleet.Command{Kind: "dance"}); err == nil {
		t.Error("an unknown command is sent")
	}
}

// What a pump tells one house, the others know too; and whoever missed something asks.
func TestTwoHousesKnowTheSame(t *testing.T) {
	s := store.NewMemory(nil)
	one, two := newHouse(t, "house-1", s), newHouse(t, "house-2", s)
	one.roster(roster.Pump{ID: "a"})
	worldtest.Eventually(t, "the roster is at both", func() bool { return two.fleet.View().Pump("a") != nil })
	p := one.pump("a")
	p.mustHello()
	v := fleet.Viewer{ID: "7", Client: "anna", Stream: "studio", Address: "192.0.2.1", Health: fleet.HealthGood}
	p.mustTell([]string{"studio"}, fleet.Event{Kind: fleet.KindJoin, Viewer: &v})
	worldtest.Eventually(t, "the other house knows the viewer", func() bool { return len(two.fleet.ByClient("anna")) == 1 })
	if q := two.fleet.View().Pump("a"); !q.Delivers("studio") || q.URL() != "http://127.0.0.1:8086" {
		t.Errorf("up %v, at %s", q.Up(), q.URL())
	}
	// A third one comes later.
	three := newHouse(t, "house-3", s)
	w := v
	w.ID, w.Client = "8", "ben"
	p.mustTell(nil, fleet.Event{Kind: fleet.KindJoin, Viewer: &w})
	worldtest.Eventually(t, "the third house has asked", func() bool { return three.fleet.Watching() == 2 })
	// A session is good at every house, and commands find their way.
	q := two.pump("a")
	q.session, q.boot, q.number, q.next = p.session, p.boot, p.number, p.next
	line := q.listen("")
	line.config("a")
	done := make(chan error, 1)
	go func() {
		_, err := one.gate.Do(within(t), "a", fleet.Command{Kind: fleet.CommandKick, Clients: []string{"anna"}})
		done <- err
	}()
	var command fleet.Command
	line.next(fleet.EventCommand, &command)
	q.mustTell(nil, fleet.Event{Kind: fleet.KindLeave, Viewer: &v, Reason: "kicked"}, fleet.Event{Kind: fleet.KindAnswer, Answer: &fleet.Answer{Command: command.ID}})
	if err := <-done; err != nil {
		t.Error(err)
	}
	worldtest.Eventually(t, "all know that she left", func() bool {
		return one.fleet.Watching() == 1 && two.fleet.Watching() == 1 && three.fleet.Watching() == 1
	})
}

func TestAHouseThatStopsSaysGoodbye(t *testing.T) {
	w := newWorld(t)
	w.roster(roster.Pump{ID: "a"})
	p := w.pump("a")
	p.mustHello()
	s := p.listen("")
	s.config("a")
	w.gate.Close()
	var bye fleet.Goodbye
	s.next(fleet.EventGoodbye, &bye)
	if bye.WaitMS <= 0 {
		t.Errorf("%+v", bye)
	}
}
