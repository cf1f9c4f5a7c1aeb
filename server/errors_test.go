package server

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

func TestErrors(t *testing.T) {
	w, _ := describable(t)
	w.addStream("silent", ringbuf.Limits{}, 0)
	other := func(request, path string) string { return strings.Replace(request, "/streams/x", path, 1) }
	for _, tc := range []struct {
		name, request string
		status        int
		retry         string
	}{
		{"MUST-R1 unknown path, player", other(describe(oldAgent), "/streams/y"), 404, ""},
		{"MUST-R1 unknown path, play", other(play(oldAgent), "/streams/y"), 404, ""},
		{"MUST-R1 unknown path, browser", other(get(agent("Mozilla/5.0")), "/"), 404, ""},
		{"MUST-R1 unknown path, post", other(post(""), "/streams/y"), 404, ""},
		{"MUST-R1 a path too deep", other(describe(oldAgent), "/streams/x/y"), 404, ""},
		{"MUST-R1 nobody takes pushes", other(post("", "Content-Type: application/x-wms-pushsetup"), "/streams/x_push"), 404, ""},
		{"MUST-R1 no source, Describe", other(describe(oldAgent), "/streams/silent"), 503, "10"},
		{"MUST-R1 no source, Play", other(play(oldAgent), "/streams/silent"), 503, "10"},
		{"MUST-R1 no source, browser", other(get(agent("Mozilla/5.0")), "/streams/silent"), 503, "10"},
		{"MUST-R1 no source, plain", other(get(), "/streams/silent.asf"), 503, "10"},
		{"MUST-R1 unknown POST", post("x=y", "Content-Type: application/x-www-form-urlencoded"), 400, ""},
		{"MUST-R1 pushed to the viewers' path", post("", "Content-Type: application/x-wms-pushstart"), 400, ""},
		{"MUST-R1 PUT", ask("PUT /streams/x HTTP/1.0"), 400, ""},
		{"MUST-R1 pipeline test", describe(newAgent, pragma("pipeline-request=1")), 400, ""},
		{"MUST-R1 method", ask("BREW /streams/x HTTP/1.0"), 400, ""},
		{"MUST-R1 POST to the page", other(post(""), "/streams/x.asx"), 405, ""},
		{"MUST-R1 POST to plain ASF", other(post(""), "/streams/x.asf"), 405, ""},
		{"MUST-R3 garbage that looks like a method", "GET the stream please\r\n\r\n", 400, ""},
		{"MUST-R3 garbage", "\x16\x03\x01\x02\x00\x01\x00\x01", 400, ""},
		{"MUST-R3 zeros", strings.Repeat("\x00", 300), 400, ""},
		{"MUST-R3 an empty head", "\r\n\r\n", 400, ""},
		{"MUST-R3 head of 16 KiB without an end", "GET / HTTP/1.0\r\nA: " + strings.Repeat("a", 17<<10), 431, ""},
		{"MUST-R3 head larger than 16 KiB", describe(oldAgent, "A: "+strings.Repeat("a", 16<<10)), 431, ""},
		{"MUST-R3 oversized body", ask("POST /streams/x HTTP/1.0", "Content-Length: 9223372036854775807"), 413, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			defer c.close()
			r := c.ask(tc.request)
			if r.status != tc.status {
				t.Fatalf("%d %s, want %d", r.status, r.reason, tc.status)
			}
			checkEvery(t, r)
			if len(r.body) == 0 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
				t.Errorf("body %q of type %q", r.body, r.header.Get("Content-Type"))
			}
			if got := r.header.Get("Retry-After"); got != tc.retry {
				t.Errorf("Retry-After %q, want %q", got, tc.retry)
			}
			c.ended()
		})
	}
}

func TestRedirect(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{Redirect404: "https://example.org/"}})
	for _, request := range []string{ask("GET / HTTP/1.0"), ask("GET /streams/y HTTP/1.0", agent(newAgent)), ask("HEAD /y HTTP/1.0")} {
		c := w.dial()
		c.write(request)
		r, err := c.readHead()
		if err != nil || r.status != 302 || r.header.Get("Location") != "https://example.org/" {
			t.Errorf("MUST-R1: %v %d %v", err, r.status, r.header)
		}
		checkEvery(t, r)
		c.close()
	}
	set := *w.srv.settings.Load()
	set.Redirect404 = ""
	w.srv.Update(set)
	if r := w.dial().ask(ask("GET / HTTP/1.0")); r.status != 404 {
		t.Errorf("after the setting is taken back: %d", r.status)
	}
}

func TestOverLimit(t *testing.T) {
	w := newWorld(t, plan{bounds: access.Bounds{Viewers: 1}})
	e := w.onAir()
	e.send(1)
	w.watch(e, play(newAgent))
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"MUST-R1 Describe", describe(oldAgent), 453},
		{"MUST-R1 Play", play(newAgent), 453},
		{"MUST-R1 Play without an agent", get(pragma("xPlayStrm=1")), 453},
		{"MUST-R1 plain ASF", get(agent(webAgent)), 503},
		{"MUST-R1 a browser gets its page", get(agent("Mozilla/5.0")), 200},
	} {
		c := w.dial()
		r := c.ask(tc.request)
		if r.status != tc.status {
			t.Errorf("%s: %d, want %d", tc.name, r.status, tc.status)
		}
		if (r.header.Get("Retry-After") != "") != (tc.status == 503) {
			t.Errorf("%s: Retry-After %q", tc.name, r.header.Get("Retry-After"))
		}
		checkEvery(t, r)
		c.ended()
	}
	if u := w.limits.Usage(); u.Viewers != 1 {
		t.Errorf("refusals hold places: %+v", u)
	}
}

func TestOlderProtocol(t *testing.T) {
	w, e := describable(t)
	tape := w.watchTape(e, play(oldAgent))
	hello := "\x01\x00\x00\x00\xce\xfa\x0b\xb0\xa0\x00\x00\x00MMS \x14\x00\x00\x00" + strings.Repeat("\x00", 180)
	clients := map[string]*client{}
	for name, first := range map[string]int{"at once": len(hello), "byte by byte": 1, "cut in its mark": 6} {
		c := w.dial()
		for rest := hello; rest != ""; {
			n := min(first, len(rest))
			c.write(rest[:n])
			rest = rest[n:]
		}
		clients[name] = c
	}
	for name, c := range clients {
		t.Run("MUST-R2 "+name, func(t *testing.T) {
			c.TB = t
			c.ended()
			c.write(hello) // what it says meanwhile is read, so that it is not killed by a reset
			c.gone()
		})
	}
	e.send(1)
	tape.awaitPacket(t, 25)
}

func TestSlowHead(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{HeadTimeout: never}})
	e := w.onAir()
	e.send(1)
	tape := w.watchTape(e, play(oldAgent))
	tape.awaitPacket(t, 0)
	cases := []struct {
		name, first string
		status      int
	}{
		{"MUST-R3 nothing at all", "", 0},
		{"MUST-R3 half a head", "GET /streams/x HTTP/1.0\r\nUser-Agent: NSP", 408},
		{"MUST-R3 half a mark of the older protocol", "\x01\x00", 408},
		{"MUST-R3 half a body", ask("POST /streams/x HTTP/1.0", "Content-Type: application/x-wms-logstats", "Content-Length: 10") + "12345", 0},
	}
	var clients []*client
	said := 0
	for i, tc := range cases {
		clients = append(clients, w.dial())
		clients[i].write(tc.first)
		said += len(tc.first)
	}
	body := len(cases[3].first) - len("12345") // of which the head has been read
	worldtest.Eventually(t, "the server waits for more of all of them", func() bool {
		n, heard := 0, body
		w.onLoops(func(l *loop) {
			for c := range l.conns {
				n++
				heard += c.gc.InboundBuffered()
				if c.phase == readingBody {
					heard += 10 - c.skip
				}
			}
		})
		return n == len(cases) && heard == said
	})
	w.elapse(never)
	for i, tc := range cases {
		c := clients[i]
		r, err := c.readReply()
		if tc.status == 0 && err != io.EOF || tc.status != 0 && (err != nil || r.status != tc.status) {
			t.Errorf("%s: %v %d", tc.name, err, r.status)
		}
		c.close()
	}
	e.send(1)
	tape.awaitPacket(t, 1)
}

// A client that trickles its head must not get a new term with every byte.
func TestTrickledHead(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{HeadTimeout: 100 * time.Millisecond}})
	c := w.dial()
	c.write("GET / HTTP/1.0\r\nA: ")
	started := time.Now()
	for time.Since(started) < patience {
		if _, err := c.conn.Write([]byte("a")); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("MUST-R3: still there")
}

// A client that sends requests and never reads the answers must not fill the memory.
func TestAnswersThatNobodyReads(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{StallTimeout: 2 * time.Second}})
	e := w.onAir()
	e.send(1)
	c := w.dialBuffer(4096)
	request := describe(newAgent, "Connection: Keep-Alive")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	flood := strings.Repeat(request, 100)
	for range 400 { // 40,000 requests of 170 bytes, whose answers are five times as long
		_ = c.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err := io.WriteString(c.conn, flood); err != nil {
			break
		}
	}
	runtime.GC() // what is garbage is not kept
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("%d MiB for one client that does not read", grown>>20)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	n, _ := io.Copy(io.Discard, c.br)
	if n > 16<<20 {
		t.Errorf("%d MiB of answers were kept for a client that did not read", n>>20)
	}
}

func TestBodyThatNeverComesGivesItsPlaceBack(t *testing.T) {
	w, _ := describable(t)
	for name, request := range map[string]string{
		"framed": play(newAgent, "Content-Length: 5"),
		"TLS":    play(newAgent, "Content-Length: 5"),
	} {
		c := w.dial()
		if name == "TLS" {
			c = w.dialTLS()
		}
		c.write(request)
		worldtest.Eventually(t, name+": the place is taken", func() bool { return w.limits.Usage().Viewers == 1 })
		c.close()
		worldtest.Eventually(t, name+": the place is given back", func() bool { return w.limits.Usage().Viewers == 0 })
	}
}
