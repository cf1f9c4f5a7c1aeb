package gate

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// inside returns the house's own pump, which comes by the way within the program.
func (w *world) inside() *pump {
	w.t.Helper()
	s := httptest.NewServer(w.gate.Inside())
	w.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	p := w.pump(w.gate.opts.Own.ID)
	p.at, p.client, p.auth = s.URL, s.Client(), func(*http.Request) {}
	return p
}

// issued is a pump's certificate by an authority that no house has written down.
func issued(t *testing.T, a *pki.Authority, id string, now time.Time) (string, any) {
	t.Helper()
	csr, key := request(t)
	_, text, err := a.Issue([]byte(csr), id, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), key
}

// Nobody who comes from outside is the house's own pump, whatever else he may be.
func TestAnOutsiderIsNotTheHousesOwnPump(t *testing.T) {
	const own = "@house-1"
	other, err := pki.New(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		become func(*world, *pump)
		why    string // in the log
	}{
		"with the key of a pump of the roster": {func(_ *world, p *pump) {
			p.auth = func(r *http.Request) { r.SetBasicAuth("ottawa", "key of ottawa") }
		}, "the credentials are not those of @house-1"},
		"with that key under the house's name": {func(_ *world, p *pump) {
			p.auth = func(r *http.Request) { r.SetBasicAuth(own, "key of ottawa") }
		}, "the key is not that of @house-1"},
		"with no key": {func(_ *world, p *pump) {
			p.auth = func(r *http.Request) { r.SetBasicAuth(own, "") }
		}, "the key is not that of @house-1"},
		"with nothing": {func(_ *world, p *pump) { p.auth = func(*http.Request) {} }, "a key or a client certificate is wanted"},
		"with the certificate of a pump of the roster": {func(w *world, p *pump) {
			token, err := w.registry.Invite(within(t), "ottawa", 0, true)
			if err != nil {
				t.Fatal(err)
			}
			csr, key := request(t)
			var a fleet.CertificateAnswer
			if e := p.do(http.MethodPost, fleet.PathCertificate, fleet.CertificateRequest{Pump: "ottawa", CSR: csr}, &a, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }); e != nil {
				t.Fatal(e)
			}
			p.showing(t, a.Certificate, key)
		}, "the certificate is not that of @house-1"},
		"with a certificate of another house's authority": {func(w *world, p *pump) {
			text, key := issued(t, other, own, w.clock())
			p.showing(t, text, key)
		}, "not of this house's authority"},
		"with the certificate that a house shows to houses": {func(w *world, p *pump) {
			c, err := w.registry.State().Authority.Peer([]string{"house-2"}, w.clock())
			if err != nil {
				t.Fatal(err)
			}
			p.showing(t, string(pemOf(c)), c.PrivateKey)
		}, "the certificate is not a pump's"},
		"with a certificate in its name that the house did not give": {func(w *world, p *pump) {
			text, key := issued(t, w.registry.State().Authority, own, w.clock())
			p.showing(t, text, key)
		}, "the certificate is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.roster(roster.Pump{ID: "ottawa"})
			p := w.pump(own)
			c.become(w, p)
			if e := p.hello(); e == nil || e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
				t.Errorf("hello: %v", e)
			}
			w.logs("a pump was refused", "pump="+own, c.why)
			b := fleet.Batch{Pump: own, Boot: p.boot, Number: 1, First: 1, State: &fleet.State{Viewers: 77}}
			if e := p.do(http.MethodPost, fleet.PathTelemetry, b, nil, p.auth); e == nil || e.Status != http.StatusUnauthorized {
				t.Errorf("telemetry: %v", e)
			}
			w.untold(own)
		})
	}
}

func pemOf(c *tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
}

// logs wants these together in one line of the log, and no key in any.
func (w *world) logs(parts ...string) {
	w.t.Helper()
	all := w.log.String()
	if strings.Contains(all, "key of") {
		w.t.Errorf("a key is in the log:\n%s", all)
	}
	for line := range strings.Lines(all) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	w.t.Errorf("no line has %q:\n%s", parts, all)
}

// untold wants nothing to be taken for what a house's own pump has said.
func (w *world) untold(own string) {
	w.t.Helper()
	if p := w.fleet.View().Pump(own); p.Up() || p.Report().Viewers != 0 {
		w.t.Errorf("%s is up: %v, with %d viewers", own, p.Up(), p.Report().Viewers)
	}
}

// A session is its owner's: who has one of his own does not speak for the house, and the house's own is of no use
// outside.
func TestTelemetryInTheNameOfTheHouse(t *testing.T) {
	const own = "@house-1"
	w := newWorld(t)
	w.roster(roster.Pump{ID: "ottawa"})
	p := w.pump("ottawa")
	p.mustHello()
	b := fleet.Batch{Pump: own, Boot: p.boot, Number: 1, First: 1, State: &fleet.State{Viewers: 77}}
	send := func(why string, auth func(*http.Request), status int) {
		t.Helper()
		if e := p.do(http.MethodPost, fleet.PathTelemetry, b, nil, auth); e == nil || e.Status != status {
			t.Errorf("%s: %v", why, e)
		}
		w.untold(own)
	}
	send("by a pump's session", p.bearer, http.StatusBadRequest)
	w.logs("telemetry of a pump was refused", "pump=ottawa", own)

	text, mac, _ := strings.Cut(p.session, ".")
	claim, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	claim = []byte(strings.Replace(string(claim), `"p":"ottawa"`, `"p":"`+own+`"`, 1))
	send("by a session that was altered", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+base64.RawURLEncoding.EncodeToString(claim)+"."+mac)
	}, http.StatusUnauthorized)
	w.logs("a pump without a session was refused", "pump="+own, "address=127.0.0.1")

	q := w.inside()
	q.mustHello()
	b.Boot = q.boot
	send("by the house's own session, from outside", q.bearer, http.StatusUnauthorized)
	if strings.Contains(w.log.String(), q.session) || strings.Contains(w.log.String(), p.session) {
		t.Error("a session is in the log")
	}
	q.mustTell(nil)
	if !w.fleet.View().Pump(own).Up() {
		t.Error("the own pump itself is not heard")
	}
}

// Two houses know each other's own pumps, by name; neither can be, steer or speak of the other's by mistake.
func TestTheOwnPumpsOfTwoHousesAreTwo(t *testing.T) {
	s := store.NewMemory(nil)
	houses := []*world{newHouse(t, "house-1", s), newHouse(t, "house-2", s)}
	houses[0].stream(pulled)
	houses[0].stream(`{"path": "second", "type": "mmsh_pull", "source_options": {"host": "198.51.100.8", "path": "/live"}}`)
	for _, w := range houses {
		worldtest.Eventually(t, "both houses have the streams", func() bool { return len(w.registry.State().Streams) == 2 })
	}
	var pumps []*pump
	var lines []*stream
	for i, w := range houses {
		w.mu.Lock()
		w.wanted = map[string][]Parent{[]string{"studio", "second"}[i]: {{ID: "ottawa", URL: fmt.Sprintf("http://192.0.2.%d:8086", i+1)}}}
		w.mu.Unlock()
		p := w.inside()
		p.mustHello()
		p.mustTell(nil, fleet.Event{Kind: fleet.KindJoin, Viewer: &fleet.Viewer{ID: "7", Client: p.id + " anna", Stream: "studio", Address: "192.0.2.1", Health: fleet.HealthGood}})
		l := p.listen("")
		c, from := l.config(p.id)
		at := fmt.Sprintf("mmsh://192.0.2.%d:8086/streams/%s", i+1, []string{"studio", "second"}[i])
		if len(from) != 1 || c.Parents[at] != "ottawa" {
			t.Errorf("%s has %v, %v; want %s alone", p.id, from, c.Parents, at)
		}
		pumps, lines = append(pumps, p), append(lines, l)
	}
	for _, w := range houses {
		worldtest.Eventually(t, "each knows the viewers of both, with the same number at each", func() bool { return w.fleet.Watching() == 2 })
		for _, p := range pumps {
			if list := w.fleet.ByClient(p.id + " anna"); len(list) != 1 || list[0].Pump != p.id {
				t.Errorf("%+v; want one of %s", list, p.id)
			}
		}
	}

	// A session and a name are good in their own house only.
	stray := *pumps[1]
	stray.at, stray.client = pumps[0].at, pumps[0].client
	if _, e := stray.tell(nil); e == nil || e.Code != fleet.CodeDisabled {
		t.Errorf("with its session in the other house: %v", e)
	}
	if e := stray.hello(); e == nil || e.Code != fleet.CodeUnauthorized {
		t.Errorf("hello in the other house: %v", e)
	}

	// A command for one of them goes to that one, from either house.
	for i, p := range pumps {
		done := make(chan error, 1)
		go func() {
			_, err := houses[0].gate.Do(within(t), p.id, fleet.Command{Kind: fleet.CommandKick, Clients: []string{p.id + " anna"}})
			done <- err
		}()
		var c fleet.Command
		lines[i].next(fleet.EventCommand, &c)
		if !slices.Equal(c.Clients, []string{p.id + " anna"}) {
			t.Errorf("%s was told %v", p.id, c.Clients)
		}
		p.mustTell(nil, fleet.Event{Kind: fleet.KindAnswer, Answer: &fleet.Answer{Command: c.ID}})
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// What another house says of a house's own pump that is not its own counts for nothing.
func TestAHouseSpeaksOfItsOwnPumpOnly(t *testing.T) {
	w := newWorld(t)
	q := w.inside()
	q.mustHello()
	q.mustTell(nil)
	for name, of := range map[string]string{"of the one here": "@house-1", "of a third house's": "@house-3"} {
		b := &fleet.Batch{Pump: of, Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{Viewers: 77}}
		data, err := json.Marshal(relayed{House: "house-2", Batch: b})
		if err != nil {
			t.Fatal(err)
		}
		w.gate.hear("telemetry."+of, data)
		if p := w.fleet.View().Pump(of); p != nil && p.Report().Viewers != 0 {
			t.Errorf("%s: it is believed", name)
		}
	}
	if p := w.fleet.View().Pump("@house-3"); p != nil {
		t.Error("a house that nobody has heard is known")
	}
	data, err := json.Marshal(relayed{House: "house-2", Batch: &fleet.Batch{Pump: "@house-2", Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{Viewers: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	w.gate.hear("telemetry.@house-2", data)
	if p := w.fleet.View().Pump("@house-2"); p == nil || p.Report().Viewers != 5 {
		t.Error("what a house says of its own is not heard")
	}
}

// The own pump comes to a stream that demands signatures with a signed address, as any pump below another does; the
// original source knows nothing of them.
func TestWhatTheOwnPumpShowsToOtherPumps(t *testing.T) {
	const plain, signed, original = "mmsh://192.0.2.1:8086/streams/studio", "mmsh://192.0.2.1:8086/streams/studio?sig=studio", "mmsh://198.51.100.7/live"
	sign := func(stream string) string { return "sig=" + stream }
	users := []config.User{{Name: "hashed"}, {Name: "anna", Password: "hush"}}
	for name, c := range map[string]struct {
		play    config.Play
		sign    func(string) string
		parents bool
		want    []string
		user    string
	}{
		"signatures are demanded":              {config.Play{Signed: true}, sign, true, []string{signed, original}, ""},
		"signatures or users":                  {config.Play{Signed: true, Users: users}, sign, true, []string{signed, original}, ""},
		"the house has no key to sign with":    {config.Play{Signed: true}, nil, true, []string{plain, original}, ""},
		"everybody may watch":                  {config.Play{}, sign, true, []string{plain, original}, ""},
		"a user's name is demanded":            {config.Play{Users: users}, sign, true, []string{plain, original}, "anna"},
		"no pump has it: the original, as was": {config.Play{Signed: true}, sign, false, []string{original}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := config.Stream{Path: "studio", Type: config.TypePull, Play: c.play, Sources: []config.Source{{Type: config.TypePull, URL: original}}}
			var parents []Parent
			if c.parents {
				parents = []Parent{{ID: "ottawa", URL: "http://192.0.2.1:8086"}}
			}
			names := map[string]string{}
			if !fromWhomever(&s, parents, names, c.sign) {
				t.Fatal("it cannot be had")
			}
			var at []string
			for _, o := range s.Sources {
				at = append(at, o.URL)
			}
			if !slices.Equal(at, c.want) || s.Sources[0].User != c.user || len(names) != len(parents) {
				t.Errorf("from %v as %q, names %v; want %v", at, s.Sources[0].User, names, c.want)
			}
		})
	}
}
