package pump

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/passhash"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/server"
)

// request sends one request to the public port and returns the answer; lines are headers.
func (w *world) request(method, target string, lines ...string) answer {
	w.Helper()
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s %s HTTP/1.0\r\nHost: pump\r\n%s\r\n\r\n", method, target, strings.Join(append(lines, "X: y"), "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.Fatal(err)
	}
	var body []byte
	if resp.ContentLength > 0 {
		body, _ = io.ReadAll(resp.Body)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

const playLine = "Pragma: xPlayStrm=1"

func agentLine(a string) string { return "User-Agent: " + a }

// status asks to play, and returns what the answer is.
func (w *world) status(target string, lines ...string) int {
	w.Helper()
	return w.request("GET", target, append(lines, agentLine(mmsh.AgentOld), playLine)...).status
}

// login answers the challenge that a target gives.
func (w *world) login(method, target, user, password string, lines ...string) answer {
	w.Helper()
	first := w.request(method, target, lines...)
	if first.status != 401 {
		w.Fatalf("%d to who has not logged in", first.status)
	}
	a, err := access.Authorization(first.header["Www-Authenticate"], method, target, user, password)
	if err != nil {
		w.Fatal(err)
	}
	return w.request(method, target, append(lines, "Authorization: "+a)...)
}

// What is configured for encoders is in force, also after a reload; and without anything,
// only loopback and private networks may push, and others are told which key to set.
func TestWhoMayPush(t *testing.T) {
	const proxy = "trusted_proxies: [127.0.0.1]\n"
	stream := func(publish string) string {
		return proxy + "streams: [{path: studio, type: mmsh_push, publish: {" + publish + "}}]\n"
	}
	setup := []string{"Content-Type: application/x-wms-pushsetup", "Content-Length: 0"}
	from := func(a string) []string { return append([]string{"X-Forwarded-For: " + a}, setup...) }
	w := newWorld(t, proxy+"streams: [{path: studio, type: mmsh_push}]\n")
	for _, private := range []string{"127.0.0.1", "10.1.2.3", "::1", "fd00::1"} {
		if a := w.request("POST", "/streams/studio_push", from(private)...); a.status != 204 {
			t.Errorf("from %s: %d %s", private, a.status, a.body)
		}
	}
	a := w.request("POST", "/streams/studio_push", from("203.0.113.7")...)
	if a.status != 403 || !strings.Contains(string(a.body), "set publish.users, publish.tokens, publish.certificates or publish.allow") {
		t.Errorf("from outside: %d %s", a.status, a.body)
	}
	w.eventually("the log says which key to set", func() bool {
		return strings.Contains(w.log.String(), "push refused") && strings.Contains(w.log.String(), "address=203.0.113.7") && strings.Contains(w.log.String(), "set publish.users")
	})
	for _, step := range []struct {
		publish, what string
		ask           func() answer
		status        int
	}{
		{"allow: [203.0.113.0/24]", "an allowed network", func() answer { return w.request("POST", "/streams/studio_push", from("203.0.113.7")...) }, 204},
		{"allow: [203.0.113.0/24]", "another network", func() answer { return w.request("POST", "/streams/studio_push", from("10.0.0.1")...) }, 403},
		{"user: jo, password: sesame", "the one user", func() answer { return w.login("POST", "/streams/studio_push", "jo", "sesame", setup...) }, 204},
		{"user: jo, password: sesame", "a wrong password", func() answer { return w.login("POST", "/streams/studio_push", "jo", "guess", setup...) }, 401},
		{"users: [{name: ha, ha1: " + ha1Of("ha", "sesame") + "}], user: jo, password: sesame", "one of several", func() answer {
			return w.login("POST", "/streams/studio_push", "ha", "sesame", setup...)
		}, 204},
		{"allow_basic: true, users: [{name: bc, password_hash: " + bcryptOfSesame + "}]", "a hashed password", func() answer {
			return w.login("POST", "/streams/studio_push", "bc", "sesame", setup...)
		}, 204},
		{"tokens: [{name: obs, token: 0123456789abcdef}]", "a token", func() answer {
			return w.request("POST", "/streams/studio_push?token=0123456789abcdef", from("203.0.113.7")...)
		}, 204},
		{"tokens: [{name: obs, token: 0123456789abcdef}]", "no token", func() answer { return w.request("POST", "/streams/studio_push", setup...) }, 403},
		{"tokens: [{name: obs, token: another-0123456789abcdef}]", "a token of before", func() answer {
			return w.request("POST", "/streams/studio_push?token=0123456789abcdef", setup...)
		}, 403},
	} {
		w.rewrite(stream(step.publish))
		if info, err := w.ReloadFile(false); err != nil || info.Disturbed != 0 {
			t.Fatalf("%s: %+v, %v", step.what, info, err)
		}
		if a := step.ask(); a.status != step.status {
			t.Errorf("%s: %d %s, want %d", step.what, a.status, a.body, step.status)
		}
	}
	if s := w.log.String(); strings.Contains(s, "sesame") || strings.Contains(s, "0123456789abcdef") {
		t.Error("a secret is in the log")
	}
}

// A reload forgives nobody who guesses.
func TestReloadKeepsTheGuard(t *testing.T) {
	text := func(name string) string {
		return "streams: [{path: card, type: test_card, name: " + name + ", play: {users: [{name: jo, password: sesame}], allow_basic: true}}]\n"
	}
	w := newWorld(t, text("a"))
	w.awaitLive("card")
	guess := func() int { return w.status("/streams/card", "Authorization: Basic am86Z3Vlc3M=") } // jo:guess
	for i := range 4 {
		if got := guess(); got != 401 {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	w.rewrite(text("b"))
	if _, err := w.ReloadFile(false); err != nil {
		t.Fatal(err)
	}
	if got := guess(); got != 429 {
		t.Errorf("%d", got)
	}
}

// bcryptOfSesame is a cheap hash of "sesame".
const bcryptOfSesame = `"$2a$04$6fM7PKAJYmMfhMrhqkydX.HnDhThdfGKn8gY5En1Sq5VvBHhCQbey"`

func ha1Of(user, password string) string { return passhash.HA1(user, access.Realm, password) }

const (
	oldSecret = "correct horse battery staple"
	newSecret = "0123456789abcdef"
)

func signed(t testing.TB, secret string, g access.Grant) string {
	t.Helper()
	q, err := access.Key{Name: "x", Secret: secret}.Sign(g, access.IDKey)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// What is configured for viewers is in force, for every way of asking, also after a
// reload; who watches goes on.
func TestWhoMayWatch(t *testing.T) {
	config := func(play string) string {
		return "trusted_proxies: [127.0.0.1]\n" +
			"signing: {keys: [{name: old, secret: " + oldSecret + "}, {name: new, secret: " + newSecret + "}]}\n" +
			"streams: [{path: card, type: test_card, play: {" + play + "}}]\n"
	}
	w := newWorld(t, config("")+"")
	w.awaitLive("card")
	watching := w.play("card")
	watching.packets(1)
	soon := time.Now().Add(time.Hour)
	good := "?" + signed(t, newSecret, access.Grant{Stream: "card", Expires: soon, ID: "alice"})
	basic := "Authorization: Basic am86c2VzYW1l" // jo:sesame
	from := func(a string) string { return "X-Forwarded-For: " + a }
	const users = "users: [{name: jo, password: sesame}, {name: bc, password_hash: " + bcryptOfSesame + "}], allow_basic: true"
	for i, x := range []struct {
		play, what, query string
		lines             []string
		status            int
	}{
		{"", "everyone", "", nil, 200},
		{"deny: [203.0.113.0/24]", "a denied network", "", []string{from("203.0.113.7")}, 403},
		{"deny: [203.0.113.0/24]", "another network", "", []string{from("198.51.100.7")}, 200},
		{"allow: [203.0.113.0/24], deny: [203.0.113.7]", "denied in an allowed network", "", []string{from("203.0.113.7")}, 403},
		{"allow: [203.0.113.0/24]", "not allowed", "", []string{from("198.51.100.7")}, 403},
		{users, "no credentials", "", nil, 401},
		{users, "a password", "", []string{basic}, 200},
		{users, "a hashed password", "", []string{"Authorization: Basic YmM6c2VzYW1l"}, 200}, // bc:sesame
		{users, "a wrong one", "", []string{"Authorization: Basic YmM6Z3Vlc3M="}, 401},       // bc:guess
		{"signed: true", "a signed address", good, nil, 200},
		{"signed: true", "by the old key", "?" + signed(t, oldSecret, access.Grant{Stream: "card", Expires: soon}), nil, 200},
		{"signed: true", "not signed", "?id=alice", nil, 403},
		{"signed: true", "for another stream", "?" + signed(t, newSecret, access.Grant{Stream: "other", Expires: soon}), nil, 403},
		{"signed: true", "expired", "?" + signed(t, newSecret, access.Grant{Stream: "card", Expires: time.Now().Add(-time.Second)}), nil, 403},
		{"signed: true, " + users, "a password instead", "", []string{basic}, 200},
		{"signed: true, deny: [203.0.113.7]", "signed, but denied", good, []string{from("203.0.113.7")}, 403},
	} {
		w.rewrite(config(x.play))
		if info, err := w.ReloadFile(false); err != nil || info.Disturbed != 0 {
			t.Fatalf("%s: %+v, %v", x.what, info, err)
		}
		if !strings.Contains(strings.Join(x.lines, " "), "X-Forwarded-For") {
			x.lines = append(x.lines, from(fmt.Sprint("192.0.2.", i))) // nobody is slowed down for the others' guesses
		}
		for way, ask := range map[string][]string{
			"/streams/card": {agentLine(mmsh.AgentOld)}, "/streams/CARD/": {agentLine(mmsh.AgentOld), playLine},
			"/streams/card.asx": nil, "/streams/card.asf": nil,
		} {
			if a := w.request("GET", way+x.query, append(ask, x.lines...)...); a.status != x.status {
				t.Errorf("%s: %s: %d %s, want %d", x.what, way, a.status, a.body, x.status)
			}
		}
	}
	watching.packets(1)
	page := string(w.ask("GET", "/metrics").body)
	for _, reason := range []string{"network", "credentials", "signature", "expired"} {
		if !strings.Contains(page, `stream_pump_viewers_refused_total{stream="card",reason="`+reason+`"}`) {
			t.Errorf("no refusal for %s is counted", reason)
		}
	}
	if s := w.log.String(); strings.Contains(s, "sesame") || strings.Contains(s, "sig=") || !strings.Contains(s, "viewer refused") {
		t.Errorf("log: %s", s)
	}
}

// When a signed address has expired the viewing ends, in order and with its reason, and
// the id that it names is known everywhere.
func TestSignedViewingEnds(t *testing.T) {
	w := newWorld(t, "signing: {keys: [{name: new, secret: "+newSecret+"}]}\nstreams: [{path: card, type: test_card, play: {signed: true}}]\n")
	w.awaitLive("card")
	v := w.play("card?" + signed(t, newSecret, access.Grant{Stream: "card", Expires: time.Now().Add(5 * time.Second), ID: "alice"}))
	v.packets(1)
	var viewers []ViewerInfo
	w.ask("GET", "/api/v1/viewers").decode(t, &viewers)
	if len(viewers) != 1 || viewers[0].ClientID != "alice" || viewers[0].User != "" || viewers[0].SessionID == 0 {
		t.Errorf("%+v", viewers)
	}
	if !strings.Contains(string(w.ask("GET", "/").body), "alice") {
		t.Error("the id is not on the page")
	}
	v.end()
	w.ask("GET", "/api/v1/viewers?state=closed").decode(t, &viewers)
	if len(viewers) != 1 || viewers[0].ClientID != "alice" || viewers[0].Reason != "expired" {
		t.Errorf("%+v", viewers)
	}
}

// operator is an operator's program.
type operator struct {
	*httptest.Server
	mu     sync.Mutex
	events []map[string]any
	answer int
}

func newOperator(t testing.TB) *operator {
	o := &operator{answer: 200}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		_ = json.NewDecoder(r.Body).Decode(&e)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.events = append(o.events, e)
		w.WriteHeader(o.answer)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *operator) say(status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = status
}

func (o *operator) told(action string) (list []map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if e["action"] == action {
			list = append(list, e)
		}
	}
	return list
}

func hooks(url string) string {
	text := "hook:\n"
	for _, action := range []string{"on_publish", "on_unpublish", "on_play", "on_stop"} {
		text += "  " + action + ": {url: \"" + url + "\", timeout: 5s}\n"
	}
	return text
}

// The hook is asked and told about encoders and viewers, once each, with their ids.
func TestHook(t *testing.T) {
	o := newOperator(t)
	w := newWorld(t, hooks(o.URL)+"streams: [{path: studio, type: mmsh_push}, {path: card, type: test_card}]\n")
	w.awaitLive("card")
	if got := w.request("GET", "/streams/card?id=alice&x=y", agentLine(mmsh.AgentOld)).status; got != 200 {
		t.Fatalf("Describe: %d", got)
	}
	v := w.play("card?id=alice&x=y")
	v.packets(1)
	if n := len(o.told("on_play")); n != 1 {
		t.Errorf("asked %d times for Describe and Play", n)
	}
	_ = v.conn.Close()
	w.eventually("the end is told", func() bool { return len(o.told("on_stop")) == 1 })
	asked, told := o.told("on_play")[0], o.told("on_stop")[0]
	for key, want := range map[string]any{"stream": "card", "id": "alice", "address": "127.0.0.1", "kind": "mmsh", "by": "network", "tls": false} {
		if asked[key] != want || told[key] != want {
			t.Errorf("%s: asked %v, told %v, want %v", key, asked[key], told[key], want)
		}
	}
	if asked["session"] != told["session"] || asked["session"] == "" || asked["query"] != "id=alice&x=y" || told["reason"] != "left" || told["bytes"] == 0.0 {
		t.Errorf("asked %v, told %v", asked, told)
	}

	push := w.push("studio?id=van", 0)
	w.awaitLive("studio")
	push.reset()
	w.eventually("the end of the push is told", func() bool { return len(o.told("on_unpublish")) == 1 })
	asked, told = o.told("on_publish")[0], o.told("on_unpublish")[0]
	if asked["stream"] != "studio" || asked["id"] != "van" || asked["session"] != told["session"] || told["reason"] != "lost" || asked["kind"] != "push" {
		t.Errorf("asked %v, told %v", asked, told)
	}

	o.say(403)
	if got := w.status("/streams/card?id=bob"); got != 403 {
		t.Errorf("refused viewer: %d", got)
	}
	if a := w.request("POST", "/streams/studio_push", "Content-Type: application/x-wms-pushstart", "Content-Length: 2147483647"); a.status != 403 {
		t.Errorf("refused encoder: %d %s", a.status, a.body)
	}
	if n := len(o.told("on_stop")) + len(o.told("on_unpublish")); n != 2 {
		t.Errorf("%d ends told", n)
	}
	if s := w.log.String(); !strings.Contains(s, `msg="viewer refused" stream=card`) || !strings.Contains(s, "client_id=bob") {
		t.Errorf("log: %s", s)
	}
}

// A hook that takes connections and never answers holds nobody: who watches goes on, who
// comes is let in or not, as is set, after the time-out and soon at once.
func TestDeadHookFreezesNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	text := func(fail string) string {
		return "event_loops: 1\nhook: {on_play: {url: \"http://" + ln.Addr().String() + "\", timeout: 300ms, fail: " + fail + "}}\n" + card
	}
	w := newWorld(t, "event_loops: 1\n"+card)
	w.awaitLive("card")
	watching := w.play("card")
	watching.packets(1)
	for fail, want := range map[string]int{"open": 200, "closed": 503} {
		w.rewrite(text(fail))
		if _, err := w.ReloadFile(false); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got := w.status("/streams/card"); got != want {
					t.Errorf("fail: %s: %d, want %d", fail, got, want)
				}
			})
		}
		watching.packets(3)
		all.Wait()
	}
	w.eventually("those who came have left", func() bool { return w.Watching() == 1 })
	watching.packets(3)
}

// A pump pulls from one that asks for credentials, or for a signed address.
func TestPullFromAProtectedPump(t *testing.T) {
	above := newWorld(t, "signing: {keys: [{name: new, secret: "+newSecret+"}]}\n"+
		"streams: [{path: card, type: test_card, play: {users: [{name: pump, password: sesame}], signed: true}}]\n")
	above.awaitLive("card")
	query := signed(t, newSecret, access.Grant{Stream: "card", Expires: time.Now().Add(time.Hour), ID: "below"})
	url := "mmsh://" + above.Addr().String() + "/streams/card"
	below := newWorld(t, "streams:\n"+
		"  - {path: password, type: mmsh_pull, source_options: {url: \""+url+"\", user: pump, password: sesame}}\n"+
		"  - {path: signature, type: mmsh_pull, source_options: {url: \""+url+"?"+query+"\"}}\n")
	below.awaitLive("password")
	below.awaitLive("signature")
	by := map[string]string{}
	for _, v := range above.server.Viewers(t.Context()) {
		by[v.By] = v.User + v.ClientID
	}
	if by["password"] != "pump" || by["signature"] != "below" {
		t.Errorf("%v", by)
	}
	if s := below.log.String(); strings.Contains(s, query[strings.Index(query, "sig="):]) || strings.Contains(s, "sesame") {
		t.Error("a secret is in the log")
	}
}

// Nothing that may take time is done for who cannot wait, even if a reload comes between
// the question whether it would and the thing itself.
func TestNothingIsAskedOnAnEventLoop(t *testing.T) {
	o := newOperator(t)
	w := newWorld(t, hooks(o.URL)+"streams: [{path: card, type: test_card, play: {users: [{name: jo, password: sesame}]}}, {path: open, type: test_card}]\n")
	k := gatekeeper{w.Pump}
	for path, enters := range map[string]bool{"card": false, "open": true} {
		st := w.registry.Lookup(path)
		v := &server.Visit{Stream: st, Request: httptest.NewRequest("GET", "/streams/"+path, nil), Remote: netip.MustParseAddrPort("192.0.2.7:1")}
		if !k.Slow(st) {
			t.Errorf("%s: not slow", path)
		}
		if _, denied := k.Enter(t.Context(), v); (denied == nil) != enters || denied != nil && denied.Reason != access.RefusedBusy {
			t.Errorf("%s: %v", path, denied)
		}
		if _, denied := k.Begin(t.Context(), v, true); denied == nil || denied.Reason != access.RefusedBusy || len(o.told("on_play")) != 0 {
			t.Errorf("%s: %v", path, denied)
		}
	}
}

// A herd with one hashed password, from one address, is let in, all of it, while the
// others watch on.
func TestHerdWithOnePassword(t *testing.T) {
	w := newWorld(t, "event_loops: 1\nstreams: [{path: open, type: test_card}, {path: card, type: test_card, "+
		"play: {users: [{name: bc, password_hash: "+bcryptOfSesame+"}], allow_basic: true}}]\n")
	w.awaitLive("card")
	w.awaitLive("open")
	watching := w.play("open")
	watching.packets(1)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if got := w.status("/streams/card", "Authorization: Basic YmM6c2VzYW1l"); got != 200 { // bc:sesame
				t.Errorf("%d", got)
			}
		})
	}
	watching.packets(3)
	all.Wait()
}

// Encoders show little of an answer: who pushes to a stream that is not there is in the log too, with what he asked for,
// and however many there are, it is one line with a count.
func TestUnknownPushIsLogged(t *testing.T) {
	w := newWorld(t, "streams: [{path: studio, type: mmsh_push}]\n")
	const lines = 20
	for i := range lines {
		if a := w.request("POST", fmt.Sprintf("/streams/studi%d_push", i), "Content-Type: application/x-wms-pushsetup", "Content-Length: 0"); a.status != 404 {
			t.Fatalf("status %d", a.status)
		}
	}
	if err := w.end("the end of the test"); err != nil {
		t.Fatal(err)
	}
	log := w.log.String()
	if !strings.Contains(log, "push refused") || !strings.Contains(log, "path=/streams/studi0_push") || !strings.Contains(log, "status=404") {
		t.Errorf("the log says:\n%s", log)
	}
	if n := strings.Count(log, "push refused"); n > 3 {
		t.Errorf("%d pushes are %d lines in the log", lines, n)
	}
}
