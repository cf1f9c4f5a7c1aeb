package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

func newGate(t *testing.T, o access.GateOptions) *access.Gate {
	t.Helper()
	o.Stream = "x"
	g, err := access.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// passwordGate lets in one user, by Digest.
func passwordGate(t *testing.T, user, password string) *access.Gate {
	t.Helper()
	return newGate(t, access.GateOptions{Credentials: access.NewCredentials(user, password, access.CredentialsOptions{})})
}

// cameFrom makes the door's connections those of a client elsewhere.
func (d *door) cameFrom(address string, state *tls.ConnectionState) {
	d.push.opts.Client = func(netip.AddrPort, http.Header) netip.AddrPort { return netip.MustParseAddrPort(address) }
	d.addr = serve(d.t, func(ctx context.Context, conn net.Conn) {
		br := bufio.NewReader(conn)
		if req, err := http.ReadRequest(br); err == nil {
			req.RemoteAddr, req.TLS = address, state
			d.push.ServeConn(ctx, conn, br, req)
		}
	})
}

// What an encoder is let in with works in every way of pushing, and what is missing or
// wrong is answered before a byte of its body is read, with what would be right.
func TestPushGate(t *testing.T) {
	certificate := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "Camera 1"}}}}}
	users, err := access.NewUsers([]access.User{{Name: "jo", Password: "secret"}}, access.CredentialsOptions{AllowBasic: true})
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := access.ParseNetworks("203.0.113.0/24")
	if err != nil {
		t.Fatal(err)
	}
	private := access.GateOptions{Private: true, Hint: "set publish.users"}
	tokens := access.GateOptions{Tokens: []access.Token{{Name: "obs", Token: "0123456789abcdef"}}}
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("jo:secret"))
	wrong := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("jo:guess"))
	for _, x := range []struct {
		name    string
		options access.GateOptions
		from    string
		tls     *tls.ConnectionState
		query   string
		line    string
		status  int // 0: on the air
		text    string
	}{
		{name: "nothing set, from a private network", options: private, from: "192.168.1.7:1"},
		{name: "nothing set, from outside", options: private, from: "203.0.113.7:1", status: 403, text: "set publish.users"},
		{name: "an allowed network", options: access.GateOptions{Networks: access.Rules{Allow: allowed}}, from: "203.0.113.7:1"},
		{name: "another network", options: access.GateOptions{Networks: access.Rules{Allow: allowed}}, from: "192.168.1.7:1", status: 403, text: "not let in"},
		{name: "a token", options: tokens, from: "203.0.113.7:1", query: "?token=0123456789abcdef"},
		{name: "a wrong token", options: tokens, from: "203.0.113.7:1", query: "?token=0123456789abcdeF", status: 403, text: "token is wrong"},
		{name: "no token", options: tokens, from: "203.0.113.7:1", status: 403, text: "a token is wanted"},
		{name: "a certificate", options: access.GateOptions{Certificates: []string{"Camera 1"}}, from: "203.0.113.7:1", tls: certificate},
		{name: "another certificate", options: access.GateOptions{Certificates: []string{"Camera 2"}}, from: "203.0.113.7:1", tls: certificate, status: 403, text: "certificate"},
		{name: "a password", options: access.GateOptions{Credentials: users}, from: "203.0.113.7:1", line: basic},
		{name: "a wrong password", options: access.GateOptions{Credentials: users}, from: "203.0.113.7:1", line: wrong, status: 401, text: "wrong"},
	} {
		for _, way := range []string{mmsh.TypePushSetup, mmsh.TypePushStart, "video/x-ms-asf"} {
			t.Run(x.name+", "+way, func(t *testing.T) {
				d := newDoor(t)
				d.target.Gate = newGate(t, x.options)
				d.cameFrom(x.from, x.tls)
				e := d.dial()
				length := endless
				if way == mmsh.TypePushSetup {
					length = "Content-Length: 0"
				}
				lines := []string{"Content-Type: " + way, length}
				if x.line != "" {
					lines = append(lines, x.line)
				}
				e.request("POST", "/streams/x_push"+x.query, lines...)
				if x.status != 0 {
					body, _ := io.ReadAll(e.want(x.status).Body)
					if !strings.Contains(string(body), x.text) {
						t.Errorf("%q, want %q", body, x.text)
					}
					m := d.s.Metrics()
					if n := m.PushesRefused("network").Load() + m.PushesRefused("token").Load() + m.PushesRefused("credentials").Load(); n != 1 {
						t.Errorf("%d refusals counted", n)
					}
					return
				}
				if way == mmsh.TypePushSetup {
					id := mmsh.PushIDOf(e.want(204).Header)
					e.start(id, endless)
				}
				if way == "video/x-ms-asf" {
					e.send(plainBody(testHeader(320), packets(0, 3)...))
				} else {
					e.send(pushBody(testHeader(320), packets(0, 3)...))
				}
				d.slabs(3)
			})
		}
	}
}

// Who guesses is slowed down, by every way of pushing together, and told for how long.
func TestPushGuessing(t *testing.T) {
	d := newDoor(t)
	d.target.Gate = newGate(t, access.GateOptions{
		Tokens: []access.Token{{Name: "obs", Token: "0123456789abcdef"}},
		Guards: access.NewGuards(access.GuardOptions{First: time.Hour, Most: time.Hour}),
	})
	for i := range 4 {
		e := d.dial()
		e.request("POST", "/streams/x_push?token=guess", "Content-Type: "+[]string{mmsh.TypePushSetup, mmsh.TypePushStart, "video/x-ms-asf"}[i%3], "Content-Length: 0")
		e.want(403)
	}
	for _, token := range []string{"guess", "0123456789abcdef"} {
		e := d.dial()
		e.request("POST", "/streams/x_push?token="+token, "Content-Type: "+mmsh.TypePushStart, endless)
		if resp := e.want(429); resp.Header.Get("Retry-After") != "3600" {
			t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
		}
	}
}

// A later encoder takes over from a silent one only if it is the same user.
func TestPushTakesOverFromItself(t *testing.T) {
	users, err := access.NewUsers([]access.User{{Name: "jo", Password: "a"}, {Name: "mo", Password: "b"}}, access.CredentialsOptions{AllowBasic: true})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, func(o *PushOptions) { o.SilentAfter = time.Nanosecond })
	d.target.Gate = newGate(t, access.GateOptions{Credentials: users})
	as := func(user, password string) *encoder {
		e := d.dial()
		e.request("POST", "/streams/x_push", "Content-Type: "+mmsh.TypePushStart, endless,
			"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		return e
	}
	e := as("jo", "a")
	e.send(pushBody(testHeader(320), packets(0, 3)...))
	d.slabs(3)
	as("mo", "b").want(409)
	e = as("jo", "a")
	e.send(pushBody(testHeader(320), packets(5, 3)...))
	d.slabs(3)
}

// hook is an operator's program as a push sees it.
type hook struct {
	mu     sync.Mutex
	denial *access.Denial
	begun  []Publication
	over   []Publication
}

func (h *hook) Publish(_ context.Context, p Publication) (string, *access.Denial) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun = append(h.begun, p)
	return "session " + string(rune('0'+len(h.begun))), h.denial
}

func (h *hook) Unpublish(p Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = append(h.over, p)
}

func (h *hook) now() (begun, over []Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(begun, h.begun...), append(over, h.over...)
}

func (h *hook) awaitOver(t *testing.T, n int) []Publication {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, over := h.now(); len(over) >= n {
			return over
		}
	}
	t.Fatalf("%d publications are not over", n)
	return nil
}

// The hook is asked once for an encoder's time on the air, and told once of its end,
// however many requests that is and however it ends.
func TestPushHook(t *testing.T) {
	begin := func(t *testing.T, change ...func(*PushOptions)) (*door, *hook) {
		h := &hook{}
		d := newDoor(t, append(change, func(o *PushOptions) { o.Hook = h })...)
		return d, h
	}
	body := func() []byte { return pushBody(testHeader(320), packets(0, 3)...) }
	end := []byte{0x24, 0x45, 4, 0, 0, 0, 0, 0}
	t.Run("an end in order", func(t *testing.T) {
		d, h := begin(t)
		d.target.Gate = newGate(t, access.GateOptions{Tokens: []access.Token{{Name: "obs", Token: "0123456789abcdef"}}})
		d.cameFrom("203.0.113.7:4711", &tls.ConnectionState{})
		e := d.dial()
		e.request("POST", "/streams/x_push?token=0123456789abcdef&a=b", "Content-Type: "+mmsh.TypePushStart, endless)
		e.send(body(), end)
		e.want(204)
		over := h.awaitOver(t, 1)
		begun, _ := h.now()
		want := Publication{
			Stream: "x", Peer: netip.MustParseAddrPort("203.0.113.7:4711"), Pass: access.Pass{By: access.ByToken, Name: "obs"},
			Agent: "WMEncoder/12.0.7600.16385", Query: "token=0123456789abcdef&a=b", TLS: true,
		}
		if len(begun) != 1 || begun[0] != want {
			t.Errorf("asked %+v, want %+v", begun, want)
		}
		want.Session, want.Reason, want.Packets, want.Took = "session 1", PublishEnded, 3, over[0].Took
		if over[0] != want || over[0].Took <= 0 {
			t.Errorf("told %+v, want %+v", over[0], want)
		}
	})
	t.Run("several requests", func(t *testing.T) {
		d, h := begin(t)
		e := d.dial()
		id := e.setup()
		first := body()
		e.start(id, "Content-Length: "+strconv.Itoa(len(first)))
		e.send(first)
		e.want(204)
		e.start(id, endless)
		e.send(pushData(packets(3, 3)...))
		d.slabs(6)
		if begun, over := h.now(); len(begun) != 1 || len(over) != 0 {
			t.Errorf("asked %d times, told %d times", len(begun), len(over))
		}
		e.conn.Close()
		if over := h.awaitOver(t, 1); over[0].Reason != PublishLost || over[0].Packets != 6 {
			t.Errorf("%+v", over[0])
		}
	})
	t.Run("a session that nobody comes back to", func(t *testing.T) {
		d, h := begin(t, func(o *PushOptions) { o.ParkTimeout = 10 * time.Millisecond })
		e := d.dial()
		first := body()
		e.start(e.setup(), "Content-Length: "+strconv.Itoa(len(first)))
		e.send(first)
		e.want(204)
		if over := h.awaitOver(t, 1); over[0].Reason != PublishLost {
			t.Errorf("%+v", over[0])
		}
	})
	t.Run("back after a break", func(t *testing.T) {
		d, h := begin(t)
		e := d.dial()
		id := e.setup()
		e.start(id, endless)
		e.send(body())
		d.slabs(3)
		e.conn.Close()
		h.awaitOver(t, 1)
		e = d.dial()
		e.start(id, endless)
		e.send(pushData(packets(5, 3)...))
		d.slabs(3)
		if begun, _ := h.now(); len(begun) != 2 {
			t.Errorf("asked %d times", len(begun))
		}
	})
	t.Run("garbage", func(t *testing.T) {
		d, h := begin(t)
		e := d.dial()
		e.start(e.setup(), endless)
		e.send([]byte("nothing of the kind, and long enough for any magic number to be found"))
		e.want(400)
		h.awaitOver(t, 1)
	})
	for name, x := range map[string]struct {
		denial *access.Denial
		status int
	}{
		"refused":   {&access.Denial{Reason: access.RefusedHook, Err: errors.New("not now")}, 403},
		"no answer": {&access.Denial{Reason: access.RefusedHookFailed, Err: errors.New("not now"), Wait: 5 * time.Second}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			d, h := begin(t)
			h.denial = x.denial
			e := d.dial()
			e.start(e.setup(), endless)
			if wait := e.want(x.status).Header.Get("Retry-After"); (wait == "5") != (x.status == 503) {
				t.Errorf("Retry-After %q", wait)
			}
			if begun, over := h.now(); len(begun) != 1 || len(over) != 0 || d.s.State() != stream.Offline || d.push.Sessions() != 0 {
				t.Errorf("asked %d, told %d, %s, %d sessions", len(begun), len(over), d.s.State(), d.push.Sessions())
			}
		})
	}
	t.Run("nobody is asked who is not let in", func(t *testing.T) {
		d, h := begin(t)
		d.target.Gate = passwordGate(t, "jo", "secret")
		e := d.dial()
		e.start("0", endless)
		e.want(401)
		if begun, _ := h.now(); len(begun) != 0 {
			t.Errorf("asked %+v", begun)
		}
	})
}

// The end of a publication is told once, whoever notices it: the connection, a timer, or
// another encoder.
func TestPublicationEndsOnce(t *testing.T) {
	d := newDoor(t)
	var told []string
	f := &pushFeed{Feed: d.feed(), tell: func(reason string, _ uint64) { told = append(told, reason) }}
	f.End()
	f.Lost()
	f.finish(PublishRefused)
	if len(told) != 1 || told[0] != PublishEnded {
		t.Errorf("told %v", told)
	}
}
