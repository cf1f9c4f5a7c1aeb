package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

func TestKeepAlive(t *testing.T) {
	w, _ := describable(t)
	id := w.dial().ask(describe(newAgent)).clientID(t)
	for _, tc := range []struct {
		name, tokens string
		status       int
	}{
		{"MUST-K1 known", "xKeepAliveInPause=1, client-id=" + text(id), 200},
		{"MUST-K1 known, once more", "client-id=" + text(id) + ",xkeepaliveinpause=1", 200},
		{"MUST-K1 unknown", "xKeepAliveInPause=1, client-id=" + text(id+1), 400},
		{"MUST-K1 missing", "xKeepAliveInPause=1", 400},
		{"streams selected in a session", "stream-switch-entry=ffff:1:0, client-id=" + text(id), 200},
		{"streams selected without", "stream-switch-entry=ffff:1:0", 400},
		{"stop in a session", "xStopStrm=1, client-id=" + text(id), 200},
		{"stop without", "xStopStrm=1", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			r := c.ask(post("", agent(newAgent), pragma(tc.tokens)))
			c.ended()
			checkEvery(t, r)
			if r.status != tc.status {
				t.Fatalf("%d %s, want %d", r.status, r.reason, tc.status)
			}
			if r.status == 200 && (len(r.body) != 0 || r.clientID(t) != id) {
				t.Errorf("body %q, %q", r.body, r.header["Pragma"])
			}
		})
	}
	if n := countSessions(w.srv.sessions); n != 1 {
		t.Errorf("MUST-K1: %d sessions, want the one", n)
	}
}

func TestSelectStreamByGet(t *testing.T) {
	w, e := describable(t)
	id := w.dial().ask(describe(newAgent)).clientID(t)
	entry := pragma("stream-switch-entry=ffff:1:0")
	if r := w.dial().ask(describe(newAgent, entry, pragma("client-id="+text(id)))); r.status != 200 || len(r.body) != 0 {
		t.Errorf("in a session: %d with %d bytes", r.status, len(r.body))
	}
	r := w.dial().ask(describe(newAgent, entry, pragma("client-id="+text(id+1))))
	checkDescribe(t, r, e.raw)
}

func TestOptions(t *testing.T) {
	w, _ := describable(t)
	id := w.dial().ask(describe(newAgent)).clientID(t)
	for _, tc := range []struct {
		name, target, tokens string
		named                bool
	}{
		{"MUST-K2 asterisk, known session", "*", "client-id=" + text(id), true},
		{"MUST-K2 asterisk, unknown session", "*", "client-id=" + text(id+1), false},
		{"MUST-K2 asterisk, no session", "*", "no-cache", false},
		{"MUST-K2 a path", "/streams/x", "client-id=" + text(id), true},
		{"MUST-K2 a path that is not there", "/streams/y", "no-cache", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			r := c.ask(ask("OPTIONS "+tc.target+" HTTP/1.0", agent(newAgent), pragma(tc.tokens)))
			c.ended()
			if r.status != 200 || r.header.Get("Allow") == "" || r.header.Get("Public") == "" || len(r.body) != 0 {
				t.Fatalf("%d %v", r.status, r.header)
			}
			tokens := mmsh.ParseTokens(r.header)
			if got, named := tokens.Uint32("client-id"); named != tc.named || named && got != id {
				t.Errorf("client-id %d %v", got, named)
			}
			if !tokens.Has("timeout") {
				t.Error("no timeout")
			}
		})
	}
}

func TestLogs(t *testing.T) {
	w, e := describable(t)
	id := text(w.dial().ask(describe(newAgent)).clientID(t))
	tape := w.watchTape(e, play(newAgent))
	xml := "<XML><Summary>0.0.0.0 2011-01-01</Summary></XML>"
	line := pragma("log-line=0.0.0.0 2011-01-01 00:00:00 - /x 0 1, 200 {,} \"open")
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"MUST-L1 line", post("", "Content-Type: text/plain", line, pragma("client-id="+id)), 204},
		{"MUST-L1 line without a session", post("", line), 204},
		{"MUST-L1 empty line", post("", pragma("log-line=")), 204},
		{"MUST-L1 XML", post(xml, "Content-Type: application/x-wms-LogStats", pragma("client-id="+id)), 204},
		{"MUST-L1 XML, other case and a character set", post(xml, "content-type: APPLICATION/X-WMS-LOGSTATS;charset=UTF-8"), 204},
		{"MUST-L1 malformed XML", post("<XML><\x00\xff", "Content-Type: application/x-wms-logstats"), 204},
		{"MUST-L1 empty XML", post("", "Content-Type: application/x-wms-logstats"), 204},
		{"MUST-L1 64 KiB", post(strings.Repeat("x", 64<<10), "Content-Type: application/x-wms-logstats"), 204},
		{"MUST-L1 more than 64 KiB", post(strings.Repeat("x", 64<<10+1), "Content-Type: application/x-wms-logstats"), 413},
		{"MUST-L1 of no announced length", ask("POST /streams/x HTTP/1.1", "Content-Type: application/x-wms-logstats", "Transfer-Encoding: chunked") + "0\r\n\r\n", 413},
		{"MUST-L1 event", post("remote-open", "Content-Type: application/x-wms-sendevent"), 200},
		{"MUST-L1 content info", post("x", "Content-Type: application/x-wms-getcontentinfo", agent("WMCacheProxy/9.0")), 200},
		{"MUST-L1 a bare line in a kept connection's form", post("", line, "Connection: Keep-Alive"), 204},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			defer c.close()
			r := c.ask(tc.request)
			if r.status != tc.status {
				t.Fatalf("%d %s, want %d", r.status, r.reason, tc.status)
			}
			if r.status < 300 && (len(r.body) != 0 || r.header.Get("Content-Length") != "0") {
				t.Errorf("body of %s bytes", r.header.Get("Content-Length"))
			}
			if !serverProduct.MatchString(r.header.Get("Server")) || r.header.Get("Cache-Control") != "no-cache" {
				t.Errorf("MUST-D3: %v", r.header)
			}
		})
	}
	e.send(3)
	if tape.awaitPacket(t, 27); tape.now().missing != 0 {
		t.Error("MUST-L1: the stream has a gap")
	}
}

func TestSessions(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSessions(func() time.Time { return now })
	old, playing, fresh := s.create(), s.create(), s.create()
	if !s.stream(playing) || s.stream(playing) {
		t.Fatal("MUST-P6: a session plays once")
	}
	now = now.Add(100 * time.Second)
	s.touch(fresh.id)
	now = now.Add(50 * time.Second)
	s.sweep(120 * time.Second)
	if s.known(old.id) || !s.known(playing.id) || !s.known(fresh.id) {
		t.Errorf("MUST-K3: known: idle %v, playing %v, fresh %v", s.known(old.id), s.known(playing.id), s.known(fresh.id))
	}
	s.release(playing)
	now = now.Add(110 * time.Second)
	s.sweep(120 * time.Second)
	if countSessions(s) != 1 || s.touch(fresh.id) != nil {
		t.Errorf("MUST-K3: %d sessions; the idle time of one that played begins at its end", countSessions(s))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions(time.Now)
	first := s.create()
	playing := s.create()
	s.stream(playing)
	for range maxSessions + 10 {
		s.create()
	}
	if n := countSessions(s); n != maxSessions+1 || s.known(first.id) || !s.known(playing.id) {
		t.Errorf("MUST-K3: %d sessions, oldest known: %v", n, s.known(first.id))
	}
	s.stream(first) // forgotten between its look-up and its play
	if !s.known(first.id) {
		t.Error("a session that plays is not known")
	}
}

func TestSessionsAreSwept(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{SessionTimeout: 50 * time.Millisecond}})
	w.onAir().send(1)
	w.dial().ask(describe(oldAgent))
	worldtest.Eventually(t, "MUST-K3: the session is forgotten", func() bool { return countSessions(w.srv.sessions) == 0 })
}

// A session's state is asked by requests on one event loop while its play begins and
// ends on another.
func TestSessionUsedOnSeveralConnectionsAtOnce(t *testing.T) {
	w, _ := describable(t)
	named := pragma("client-id=" + text(w.dial().ask(describe(newAgent)).clientID(t)))
	var wg sync.WaitGroup
	for _, request := range []string{describe(newAgent, named), play(newAgent, named), play(newAgent, named)} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 30 {
				status, err := w.status(request)
				if err != nil || status != 200 && status != 400 {
					t.Errorf("%d %v", status, err)
				}
			}
		}()
	}
	wg.Wait()
}

// status asks on a connection of its own and returns the status. Any goroutine.
func (w *world) status(request string) (int, error) {
	conn, err := dialBuffer(w.addr, 0)
	if err != nil {
		return 0, err
	}
	c := newClient(w.TB, conn)
	defer c.close()
	if _, err := fmt.Fprint(conn, request); err != nil {
		return 0, err
	}
	r, err := c.readHead()
	return r.status, err
}

func countSessions(s *sessions) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}
