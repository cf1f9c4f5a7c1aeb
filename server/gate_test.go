package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/stream"
)

// doorman is a gate that does as a test says.
type doorman struct {
	slow  bool
	enter func(ctx context.Context, v *Visit) (access.Pass, *access.Denial)

	mu    sync.Mutex
	begin func(ctx context.Context, v *Visit, final bool) (string, *access.Denial)
	asked []string // kinds, with "final" behind those who are about to watch
	ended []Viewer
}

func (d *doorman) Slow(*stream.Stream) bool { return d.slow }

func (d *doorman) Enter(ctx context.Context, v *Visit) (access.Pass, *access.Denial) {
	if d.enter == nil {
		return access.Pass{By: access.ByNetwork}, nil
	}
	return d.enter(ctx, v)
}

func (d *doorman) Begin(ctx context.Context, v *Visit, final bool) (string, *access.Denial) {
	what := v.Kind
	if final {
		what += " final"
	}
	d.mu.Lock()
	d.asked = append(d.asked, what)
	begin := d.begin
	d.mu.Unlock()
	if begin == nil {
		return "visit of " + v.Query.ID, nil
	}
	return begin(ctx, v, final)
}

func (d *doorman) Ended(v Viewer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, v)
}

// questions returns what was asked.
func (d *doorman) questions() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.asked, ", ")
}

// ends returns the viewings that have ended.
func (d *doorman) ends() []Viewer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Viewer(nil), d.ended...)
}

func deny(reason access.Refusal, text string) *access.Denial {
	return &access.Denial{Reason: reason, Err: errors.New(text)}
}

// to makes a request for x one for another target.
func to(target, request string) string { return strings.Replace(request, "/streams/x ", target+" ", 1) }

// bothWays runs a test with a gate that answers at once and with one that may take time.
func bothWays(t *testing.T, f func(t *testing.T, slow bool)) {
	t.Run("at once", func(t *testing.T) { f(t, false) })
	t.Run("on a goroutine", func(t *testing.T) { f(t, true) })
}

// Whoever is not let in is told why, in every way of asking, and takes no place.
func TestGateRefuses(t *testing.T) {
	bothWays(t, func(t *testing.T, slow bool) {
		var refusal atomic.Pointer[access.Denial]
		d := &doorman{slow: slow, enter: func(context.Context, *Visit) (access.Pass, *access.Denial) { return access.Pass{}, refusal.Load() }}
		w := newWorld(t, plan{gate: d})
		e := w.onAir()
		e.send(1)
		for name, x := range map[string]struct {
			denial *access.Denial
			status int
		}{
			"network": {deny(access.RefusedNetwork, "not from there"), 403},
			"credentials": {&access.Denial{
				Reason: access.RefusedCredentials, Err: access.ErrCredentialsMissing, Challenges: []string{`Digest realm="x"`, `Basic realm="x"`},
			}, 401},
			"guessing": {&access.Denial{Reason: access.RefusedGuessing, Err: access.ErrGuessing, Wait: 1500 * time.Millisecond}, 429},
			"busy":     {deny(access.RefusedBusy, "come again"), 503},
		} {
			refusal.Store(x.denial)
			for kind, request := range map[string]string{
				"Describe": describe(newAgent), "Play": play(oldAgent), "ASF": to("/streams/x.asf", get(agent(webAgent))),
				"ASX": to("/streams/x.asx", get(agent(webAgent))), "web": get(agent(webAgent)), "page": get(agent("Mozilla/5.0")),
			} {
				for door, c := range map[string]*client{"plain": w.dial(), "TLS": w.dialTLS()} {
					r := c.ask(request)
					if r.status != x.status || !strings.Contains(string(r.body), x.denial.Error()) {
						t.Errorf("%s, %s, %s: %d %q, want %d %q", name, kind, door, r.status, r.body, x.status, x.denial.Error())
					}
					if got := r.header["Www-Authenticate"]; strings.Join(got, "|") != strings.Join(x.denial.Challenges, "|") {
						t.Errorf("%s, %s, %s: challenges %q", name, kind, door, got)
					}
					if wait := r.header.Get("Retry-After"); (wait == "2") != (x.status == 429) {
						t.Errorf("%s, %s, %s: Retry-After %q", name, kind, door, wait)
					}
					c.close()
				}
			}
		}
		if u := w.limits.Usage(); u.Viewers != 0 || d.questions() != "" || len(d.ends()) != 0 {
			t.Errorf("places %+v, asked %v, ended %v", u, d.questions(), d.ends())
		}
	})
}

// Begin is asked last, when nothing else is in the way, and once for who watches; what it
// refuses has taken no place.
func TestGateIsAskedLast(t *testing.T) {
	bothWays(t, func(t *testing.T, slow bool) {
		d := &doorman{slow: slow}
		w := newWorld(t, plan{gate: d, bounds: access.Bounds{Streams: map[string]access.StreamBounds{"x": {Viewers: 2}}}})
		if r := w.dial().ask(play(oldAgent)); r.status != 503 {
			t.Errorf("not on air: %d", r.status)
		}
		e := w.onAir()
		e.send(1)
		if asked := d.questions(); asked != "" {
			t.Errorf("asked %v while nothing is on air", asked)
		}
		if r := w.dial().ask(describe(oldAgent)); r.status != 200 {
			t.Errorf("%d", r.status)
		}
		first, second := w.watch(e, play(oldAgent)), w.dial().plain(e)
		second.awaitPacket(t, 0)
		if r := w.dial().ask(play(oldAgent)); r.status != 453 {
			t.Errorf("full: %d", r.status)
		}
		if r := w.dial().ask(to("/streams/x.asx", get(agent(webAgent)))); r.status != 200 {
			t.Errorf("%d", r.status)
		}
		if r := w.dial().ask(to("/streams/x.asf", ask("HEAD /streams/x HTTP/1.0", agent(webAgent)))); r.status != 200 {
			t.Errorf("%d", r.status)
		}
		if got := d.questions(); got != "mmsh, mmsh final, asf final" {
			t.Errorf("asked %s", got)
		}
		first.close()
		worldtest.Eventually(t, "the place is given back", func() bool { return w.limits.Usage().Viewers == 1 })
		d.mu.Lock()
		d.begin = func(context.Context, *Visit, bool) (string, *access.Denial) {
			return "", deny(access.RefusedHook, "no")
		}
		d.mu.Unlock()
		for _, request := range []string{describe(oldAgent), play(oldAgent), get(agent(webAgent))} {
			if r := w.dial().ask(request); r.status != 403 {
				t.Errorf("%d", r.status)
			}
		}
		if u := w.limits.Usage(); u.Viewers != 1 || len(d.ends()) != 1 {
			t.Errorf("places %+v, ends %v", u, d.ends())
		}
	})
}

// A viewer's outside id, and who he is, stay with him: while he watches, among those who
// have left, and in what the gate is told of his end.
func TestViewerKeepsHisID(t *testing.T) {
	d := &doorman{enter: func(_ context.Context, v *Visit) (access.Pass, *access.Denial) {
		return access.Pass{By: access.ByPassword, Name: "jo"}, nil
	}}
	w := newWorld(t, plan{gate: d, settings: Settings{IDKey: "viewer"}})
	e := w.onAir()
	e.send(1)
	const id, escaped = "Zoë <b>&co", "Zo%C3%AB+%3Cb%3E%26co"
	target := "/streams/x?id=other&viewer=" + escaped
	clients := map[string]*client{
		"loop": w.dial().watch(e, to(target, play(oldAgent))), "TLS": w.dialTLS().watch(e, to(target, play(newAgent))),
	}
	plain := w.dial()
	plain.write(to(target, get(agent(webAgent))))
	clients["plain"] = plain
	worldtest.Eventually(t, "all watch", func() bool { return len(w.srv.Viewers(t.Context())) == 3 })
	same := func(where string, list []Viewer) {
		t.Helper()
		for _, v := range list {
			if v.ClientID != id || v.User != "jo" || v.By != access.ByPassword || v.Visit != "visit of "+id {
				t.Errorf("%s: %+v", where, v)
			}
		}
	}
	same("watching", w.srv.Viewers(t.Context()))
	for _, c := range clients {
		c.close()
	}
	worldtest.Eventually(t, "all have left", func() bool { return len(d.ends()) == 3 })
	same("left", w.srv.Closed())
	same("told", d.ends())
	for _, v := range d.ends() {
		if v.Reason != ReasonLeft || v.Left.IsZero() || v.BytesOut == 0 {
			t.Errorf("%+v", v)
		}
	}
	for _, bad := range []string{"a%0ab", "%ff", "%1b[31m", strings.Repeat("x", access.MaxID+1)} {
		if r := w.dial().ask(to("/streams/x?viewer="+bad, play(oldAgent))); r.status != 400 || !strings.Contains(string(r.body), "id") {
			t.Errorf("%q: %d %s", bad, r.status, r.body)
		}
	}
}

// A metafile sends the viewer on with what his address said of him.
func TestASXKeepsTheQuery(t *testing.T) {
	w := newWorld(t, plan{})
	w.onAir().send(1)
	for query, want := range map[string][2]string{
		"":                           {"?MSWMExt=.asf", ""},
		"?MSWMExt=.asf":              {"?MSWMExt=.asf", ""},
		"?id=a&expires=1&sig=0f":     {"?expires=1&amp;id=a&amp;sig=0f&amp;MSWMExt=.asf", "?expires=1&amp;id=a&amp;sig=0f"},
		"?id=%22%3E%3Cb%3E&x=%0d%0a": {"?id=%22%3E%3Cb%3E&amp;x=%0D%0A&amp;MSWMExt=.asf", "?id=%22%3E%3Cb%3E&amp;x=%0D%0A"},
	} {
		r := w.dial().ask(to("/streams/x.asx"+query, get(agent(webAgent))))
		body := string(r.body)
		for _, ref := range []string{`HREF="http://pump.example:8086/streams/x` + want[0] + `"`, `HREF="mms://pump.example:8086/streams/x` + want[1] + `"`} {
			if !strings.Contains(body, ref) {
				t.Errorf("%s: no %s in\n%s", query, ref, body)
			}
		}
	}
}

// Whoever waits to be let in holds nobody: not those who watch by way of the same event
// loop, nor those who join.
func TestSlowGateHoldsNobody(t *testing.T) {
	held, release := make(chan context.Context, 64), make(chan struct{})
	d := &doorman{slow: true, enter: func(ctx context.Context, v *Visit) (access.Pass, *access.Denial) {
		if v.Query.ID == "slow" {
			held <- ctx
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return access.Pass{}, nil
	}}
	w := newWorld(t, plan{gate: d, loops: 1})
	e := w.onAir()
	e.send(1)
	before := w.dial().tape(play(oldAgent))
	before.awaitPacket(t, 0)
	slow := to("/streams/x?id=slow", play(oldAgent))
	var waiting []*client
	for range 20 {
		c := w.dial()
		c.write(slow)
		waiting = append(waiting, c)
	}
	first := <-held
	for range len(waiting) - 1 {
		<-held
	}
	e.send(20)
	before.awaitPacket(t, 20)
	w.dial().tape(play(oldAgent)).awaitPacket(t, 20)
	if u := w.limits.Usage(); u.Viewers != 2 {
		t.Errorf("%d viewers while others wait", u.Viewers)
	}
	t.Run("who leaves is not looked at any more", func(t *testing.T) {
		gone := w.dial()
		gone.write(slow)
		ctx := <-held
		if ctx.Err() != nil || first.Err() != nil {
			t.Error("called off")
		}
		gone.close()
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			t.Error("still looked at")
		}
	})
	t.Run("who sends and does not wait is sent away", func(t *testing.T) {
		pushy := w.dial()
		pushy.write(slow)
		<-held
		go func() { _, _ = io.Copy(pushy.conn, zeros{}) }()
		_ = pushy.conn.SetReadDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(pushy.conn); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, %v", b, err)
		}
	})
	close(release)
	for _, c := range waiting {
		if r := c.reply(); r.status != 200 {
			t.Errorf("%d", r.status)
		}
		c.header(e)
	}
	worldtest.Eventually(t, "those who have waited watch", func() bool { return w.limits.Usage().Viewers == 2+len(waiting) })
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What a client has sent behind a request that takes time is answered as well, in order.
func TestRequestsBehindASlowDecision(t *testing.T) {
	w := newWorld(t, plan{gate: &doorman{slow: true}})
	e := w.onAir()
	e.send(1)
	c := w.dial()
	c.write(describe(newAgent, "Connection: Keep-Alive") + describe(newAgent, "Connection: Keep-Alive") + play(newAgent))
	for range 2 {
		if r := c.reply(); r.status != 200 || r.header.Get("Content-Length") == "" {
			t.Fatalf("%d %v", r.status, r.header)
		}
	}
	if r := c.reply(); r.status != 200 {
		t.Fatalf("%d", r.status)
	}
	c.header(e)
	if _, s := c.data(); s.number != 0 {
		t.Errorf("begins at %d", s.number)
	}
	logged := w.dial().ask(post("log", agent(newAgent), "Content-Type: application/x-wms-LogStats"))
	if logged.status != 204 {
		t.Errorf("%d", logged.status)
	}
}

// When too many are being looked at, who comes is told so.
func TestDecisionsAreBounded(t *testing.T) {
	w := newWorld(t, plan{gate: &doorman{slow: true}})
	e := w.onAir()
	e.send(1)
	for range decideMost {
		w.srv.deciding <- struct{}{}
	}
	if r := w.dial().ask(play(oldAgent)); r.status != 503 {
		t.Errorf("%d", r.status)
	}
	for range decideMost {
		<-w.srv.deciding
	}
	w.dial().watch(e, play(oldAgent))
}

func TestPanicInADecisionEndsOneConnection(t *testing.T) {
	var armed atomic.Bool
	w := newWorld(t, plan{gate: &doorman{slow: true, enter: func(context.Context, *Visit) (access.Pass, *access.Denial) {
		if armed.Load() {
			panic("a mistake in the gate")
		}
		return access.Pass{}, nil
	}}})
	e := w.onAir()
	e.send(1)
	watching := w.dial().tape(play(oldAgent))
	watching.awaitPacket(t, 0)
	armed.Store(true)
	for _, c := range []*client{w.dial(), w.dialTLS()} {
		c.write(play(oldAgent))
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(c.br); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered %.60q, %v; want a closed connection", b, err)
		}
	}
	armed.Store(false)
	e.send(5)
	watching.awaitPacket(t, 5)
	w.dial().watch(e, play(oldAgent))
}

// expiring is a gate that lets everyone in for so long.
func expiring(d time.Duration, slow bool) *doorman {
	return &doorman{slow: slow, enter: func(_ context.Context, v *Visit) (access.Pass, *access.Denial) {
		if v.Query.ID == "" {
			return access.Pass{}, nil
		}
		return access.Pass{By: access.BySignature, Expires: time.Now().Add(d)}, nil
	}}
}

// When a viewer's time is over his stream ends, in order, with that reason; the others
// watch on.
func TestExpiry(t *testing.T) {
	d := expiring(2*time.Second, false)
	w := newWorld(t, plan{gate: d})
	e := w.onAir()
	e.send(1)
	short := to("/streams/x?id=a", play(oldAgent))
	ending := map[string]*tape{"loop": w.dial().tape(short), "TLS": w.dialTLS().tape(short)}
	plain := w.dial()
	if r := plain.ask(to("/streams/x?id=a", get(agent(webAgent)))); r.status != 200 {
		t.Fatalf("%d", r.status)
	}
	rest := make(chan []byte)
	go func() { b, _ := io.ReadAll(plain.br); rest <- b }()
	forever := w.dial().tape(play(oldAgent))
	for name, tape := range ending {
		select {
		case <-tape.done:
		case <-time.After(patience):
			t.Fatalf("%s goes on", name)
		}
		if at := tape.now(); at.packets == 0 || len(at.ends) != 1 || at.ends[0] != 0 || !errors.Is(at.err, io.EOF) {
			t.Errorf("%s: %+v", name, at)
		}
	}
	select {
	case b := <-rest:
		if (len(b)-len(e.raw))%packetSize != 0 {
			t.Errorf("plain ASF ends in a torn packet: %d bytes", len(b))
		}
	case <-time.After(patience):
		t.Fatal("plain ASF goes on")
	}
	worldtest.Eventually(t, "the gate is told", func() bool { return len(d.ends()) == 3 })
	for _, v := range d.ends() {
		if v.Reason != ReasonExpired {
			t.Errorf("%s: %s", v.Kind, v.Reason)
		}
	}
	e.send(5)
	forever.awaitPacket(t, 5)
}

// One that is in the middle of a packet and takes no more is cut off soon after its time.
func TestExpiryOfABlockedViewer(t *testing.T) {
	d := expiring(time.Second, false)
	w := newWorld(t, plan{gate: d, ring: roomy})
	e := w.onAir()
	e.send(1)
	for _, c := range []*client{w.dialBuffer(4096), w.dialTLS()} {
		c.write(to("/streams/x?id=a", play(oldAgent)))
	}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				e.send(20)
			}
		}
	})
	defer sending.Wait()
	defer close(stop)
	worldtest.Eventually(t, "both are gone", func() bool { return len(d.ends()) == 2 })
	for _, v := range d.ends() {
		if v.Reason != ReasonExpired {
			t.Errorf("%s", v.Reason)
		}
	}
}
