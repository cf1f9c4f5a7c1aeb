package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a [Steering] in memory.
type desk struct {
	fleet *live.Fleet

	mu        sync.Mutex
	roster    *roster.Roster
	revisions map[string]uint64
	streams   []StreamEntry
	keys      map[string]string
	certs     []Certificate
	tokens    map[string]Token // by text
	next      uint64
	broken    error // of everything that is kept
	away      map[string]error
	kicks     []string
	planning  func() // called once while a plan is made
	now       func() time.Time
}

func (d *desk) put(ctx context.Context) (uint64, error) {
	if d.broken != nil {
		return 0, d.broken
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	d.next++
	return d.next, nil
}

func (d *desk) set(pumps []roster.Pump) error {
	r := &roster.Roster{Pumps: pumps}
	if err := r.Problems(); err != nil {
		return err
	}
	d.roster = r
	d.fleet.SetRoster(r)
	return nil
}

func (d *desk) PutPump(ctx context.Context, p roster.Pump, revision uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if revision != 0 && d.revisions[p.ID] != revision {
		return 0, ErrChanged
	}
	now, err := d.put(ctx)
	if err != nil {
		return 0, err
	}
	pumps := slices.Clone(d.roster.Pumps)
	if i := d.roster.Index(p.ID); i >= 0 {
		pumps[i] = p
	} else {
		pumps = append(pumps, p)
	}
	if err := d.set(pumps); err != nil {
		return 0, err
	}
	d.revisions[p.ID] = now
	return now, nil
}

func (d *desk) DeletePump(ctx context.Context, id string, revision uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.roster.Index(id)
	if i < 0 {
		return fmt.Errorf("pump %s: %w", id, ErrNotFound)
	}
	if revision != 0 && d.revisions[id] != revision {
		return ErrChanged
	}
	if _, err := d.put(ctx); err != nil {
		return err
	}
	return d.set(slices.Delete(slices.Clone(d.roster.Pumps), i, i+1))
}

func (d *desk) PumpRevision(id string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revisions[id]
}

func (d *desk) SetKey(ctx context.Context, id, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.roster.Index(id) < 0 {
		return fmt.Errorf("pump %s: %w", id, ErrNotFound)
	}
	d.keys[id] = key
	_, err := d.put(ctx)
	return err
}

func (d *desk) Streams() []StreamEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.streams)
}

func (d *desk) show() {
	var list []live.Stream
	for _, s := range d.streams {
		var x struct{ Name, Type string }
		_ = json.Unmarshal(s.Settings, &x)
		list = append(list, live.Stream{Path: s.Path, Name: x.Name, Type: x.Type, Enabled: true})
	}
	d.fleet.SetStreams(list)
}

func (d *desk) PutStream(ctx context.Context, settings json.RawMessage, revision uint64) (string, uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var x struct{ Path, Type string }
	if err := json.Unmarshal(settings, &x); err != nil || x.Path == "" || x.Type == "" {
		return "", 0, errors.New("no stream")
	}
	i := slices.IndexFunc(d.streams, func(s StreamEntry) bool { return strings.EqualFold(s.Path, x.Path) })
	if revision != 0 && (i < 0 || d.streams[i].Revision != revision) {
		return "", 0, ErrChanged
	}
	now, err := d.put(ctx)
	if err != nil {
		return "", 0, err
	}
	e := StreamEntry{x.Path, now, settings}
	if i < 0 {
		d.streams = append(d.streams, e)
	} else {
		d.streams[i] = e
	}
	d.show()
	return x.Path, now, nil
}

func (d *desk) DeleteStream(ctx context.Context, path string, revision uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.streams, func(s StreamEntry) bool { return strings.EqualFold(s.Path, path) })
	if i < 0 {
		return fmt.Errorf("stream %s: %w", path, ErrNotFound)
	}
	if revision != 0 && d.streams[i].Revision != revision {
		return ErrChanged
	}
	d.streams = slices.Delete(d.streams, i, i+1)
	d.show()
	_, err := d.put(ctx)
	return err
}

func (d *desk) ImportRoster(ctx context.Context, name string, text []byte) error {
	f, err := roster.Parse(name, text)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.put(ctx); err != nil {
		return err
	}
	return d.set(f.Roster.Pumps)
}

func (d *desk) ExportRoster() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.roster.JSON(nil)
}

// Plan is the house's own, with the viewers that the fleet knows.
func (d *desk) Plan(name string, text []byte) (*roster.Plan, error) {
	f, err := roster.Parse(name, text)
	if err != nil {
		return nil, err
	}
	if f := d.planning; f != nil {
		d.planning = nil
		f()
	}
	v := d.fleet.View()
	watchers, _ := d.fleet.Watchers(func(w *live.Watcher) bool { return !fleet.ValidHouseID(w.Pump) }, math.MaxInt)
	seats := make([]roster.Seat, len(watchers))
	for i, w := range watchers {
		seats[i] = roster.Seat{Pump: w.Pump, Stream: w.Stream, Address: w.Address}
	}
	return roster.PlanFor(v.Roster, f.Roster, seats, func(pump, stream string) bool { return v.Pump(pump).Delivers(stream) }), nil
}

func (d *desk) Invite(ctx context.Context, id string, valid time.Duration) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.roster.Index(id) < 0 {
		return "", fmt.Errorf("pump %s: %w", id, ErrNotFound)
	}
	_, err := d.put(ctx)
	return fmt.Sprintf("ph1.%s.%v", id, valid), err
}

func (d *desk) Certificates() []Certificate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.certs)
}

func (d *desk) Revoke(ctx context.Context, serial string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.certs {
		if d.certs[i].Serial == serial {
			d.certs[i].Revoked = d.now()
			_, err := d.put(ctx)
			return err
		}
	}
	return fmt.Errorf("certificate %s: %w", serial, ErrNotFound)
}

func (d *desk) Tokens() []Token {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []Token
	for _, t := range d.tokens {
		list = append(list, t)
	}
	return list
}

func (d *desk) CreateToken(ctx context.Context, name, role string, valid time.Duration) (Token, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.put(ctx)
	if err != nil {
		return Token{}, "", err
	}
	t := Token{ID: fmt.Sprint(n), Name: name, Role: role, Created: d.now()}
	if valid > 0 {
		t.Expires = d.now().Add(valid)
	}
	text := fmt.Sprintf("pht_%d_secret", n)
	d.tokens[text] = t
	return t, text, nil
}

func (d *desk) DeleteToken(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for text, t := range d.tokens {
		if t.ID == id {
			delete(d.tokens, text)
			_, err := d.put(ctx)
			return err
		}
	}
	return fmt.Errorf("token: %w", ErrNotFound)
}

func (d *desk) CheckToken(text string) (Token, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.tokens[text]
	return t, ok && (t.Expires.IsZero() || d.now().Before(t.Expires))
}

func (d *desk) Sign(stream, id string, valid time.Duration, network netip.Prefix) (string, time.Time, error) {
	if stream != "studio" {
		return "", time.Time{}, fmt.Errorf("stream %s: %w", stream, ErrNotFound)
	}
	if id == "nokeys" {
		return "", time.Time{}, ErrNoKeys
	}
	return "/streams/studio?id=" + id + "&ip=" + network.String() + "&sig=x", d.now().Add(valid), nil
}

func (d *desk) act(pump, what string, viewers, clients []string) ([]fleet.Viewer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.away[pump]; err != nil {
		return nil, err
	}
	d.kicks = append(d.kicks, fmt.Sprintf("%s %s %v %v", what, pump, viewers, clients))
	return []fleet.Viewer{{ID: "v", Stream: "studio", Address: "192.0.2.1", Health: "good"}}, nil
}

func (d *desk) Kick(_ context.Context, pump string, viewers, clients []string, reason string) ([]fleet.Viewer, error) {
	return d.act(pump, "kick ("+reason+")", viewers, clients)
}

func (d *desk) Inspect(_ context.Context, pump string, viewers, clients []string) ([]fleet.Viewer, error) {
	return d.act(pump, "inspect", viewers, clients)
}

func (d *desk) done() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.kicks, "\n")
}

// Users of the tests: the password of each is his name and "'s password".
var testUsers = []User{
	{"anna", "$2a$04$bIUrSspRdzQ3p.HnYCuu7.xZGJjPryE10JOHGiXK3wJuwt2Oku71.", RoleSteer},
	{"ben", "$2a$04$hN8FMfWEp4YtjFNRUTj0Wu.gIh6rRgO0mZIGnMS4EzrGQ0./eT7Qy", RoleLook},
}

// world is the page and the API over a fleet that the test moves.
type world struct {
	t      *testing.T
	fleet  *live.Fleet
	desk   *desk
	server *httptest.Server
	client *http.Client // with a jar, and anna's session when she has logged in
	log    *worldtest.Log
	opts   Options

	mu    sync.Mutex
	now   time.Time
	users []User
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) setUsers(list ...User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users = list
}

// newWorld serves over TLS; change may alter the options before.
func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().Truncate(time.Second), users: testUsers, log: &worldtest.Log{}}
	w.fleet = live.New(live.Options{Now: w.clock})
	w.desk = &desk{
		fleet: w.fleet, roster: &roster.Roster{}, revisions: map[string]uint64{}, keys: map[string]string{},
		tokens: map[string]Token{}, away: map[string]error{}, now: w.clock,
	}
	w.opts = Options{
		Fleet: w.fleet, Steering: w.desk, House: "house-1", Version: "1.2.3", Now: w.clock,
		Users: func() []User {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.users
		},
		Hasher: access.NewHasher(access.HasherOptions{Now: w.clock}),
		Sign: func(b []byte) []byte {
			m := hmac.New(sha256.New, []byte("the houses' key"))
			m.Write(b)
			return m.Sum(nil)
		},
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if change != nil {
		change(&w.opts)
	}
	w.server = httptest.NewTLSServer(New(w.opts))
	t.Cleanup(func() {
		w.server.CloseClientConnections()
		w.server.Close()
	})
	w.client = w.newClient()
	return w
}

// plain serves without TLS from now on.
func (w *world) plain() {
	w.server.CloseClientConnections()
	w.server.Close()
	w.server = httptest.NewServer(New(w.opts))
	w.client = w.newClient()
}

// newClient is a browser that nobody has used before.
func (w *world) newClient() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	tr := w.server.Client().Transport.(*http.Transport).Clone()
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is what came back.
type reply struct {
	status int
	body   string
	header http.Header
}

func (w *world) do(c *http.Client, method, path, body string, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, string(b), resp.Header}
}

// logIn gives a client a session.
func (w *world) logIn(c *http.Client, name string) {
	w.t.Helper()
	if r := w.do(c, http.MethodPost, "/api/v1/session", fmt.Sprintf(`{"name": %q, "password": %q}`, name, name+"'s password")); r.status != http.StatusOK {
		w.t.Fatalf("logging in: %d %s", r.status, r.body)
	}
}

// steer does something as anna.
func (w *world) steer(method, path, body string, headers ...string) reply {
	w.t.Helper()
	if len(w.client.Jar.Cookies(mustURL(w.t, w.server.URL))) == 0 {
		w.logIn(w.client, "anna")
	}
	return w.do(w.client, method, path, body, headers...)
}
