package server

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

func TestPlay(t *testing.T) {
	w, e := describable(t) // packets 0 to 24, key frames at 0, 10 and 20
	for _, tc := range []struct{ name, request string }{
		{"MUST-P1 below version 9", play(oldAgent)},
		{"MUST-P1 version 12", play(newAgent)},
		{"MUST-P1 offered chunks, sent identity", strings.Replace(play(newAgent, pragma("version11-enabled=1")), "1.0", "1.1", 1)},
		{"MUST-P5 nothing but xPlayStrm", ask("GET /streams/x HTTP/1.0", pragma("xPlayStrm=1"))},
		{"MUST-P5 streams chosen in hexadecimal", play(vlcAgent, pragma("stream-switch-count=2"), pragma("stream-switch-entry=ffff:1:0 ffff:1b:2"))},
		{"MUST-P5 streams chosen, misspelt", play(vlcAgent, pragma("switch-stream-entry=ffff:1:2"))},
		{"start positions are ignored", play(oldAgent, pragma("stream-time=5000,packet-num=7,stream-offset=1:1,max-duration=1"))},
		{"rate is ignored", play(oldAgent, pragma("rate=-5"))},
		{"HTTP/1.1", strings.Replace(play(oldAgent), "1.0", "1.1", 1)},
		{"next entry", get(agent(newAgent), pragma("xPlayNextEntry=1"))},
		{"with a body, which is passed over", strings.Replace(play(oldAgent), "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			defer c.close()
			r := c.ask(tc.request)
			checkPlay(t, r)
			described := w.dial().ask(describe(oldAgent))
			if h := c.header(e); !bytes.Equal(h.raw, described.body) {
				t.Error("MUST-P2: $H is not that of Describe")
			}
			f, s := c.data()
			if !s.key || s.number != 20 {
				t.Errorf("MUST-P2: begins with packet %d, key frame: %v", s.number, s.key)
			}
			for want := s.number + 1; want < 25; want++ {
				next, s := c.data()
				if next.location != f.location+1 || s.number != want {
					t.Errorf("MUST-P4: packet %d at location %d behind %d", s.number, next.location, f.location)
				}
				f = next
			}
		})
	}
}

func checkPlay(t *testing.T, r reply) {
	t.Helper()
	if r.status != 200 || r.reason != "OK" {
		t.Fatalf("%d %s", r.status, r.reason)
	}
	if got := r.header.Get("Content-Type"); got != "application/x-mms-framed" {
		t.Errorf("MUST-P1: Content-Type %q", got)
	}
	if _, there := r.header["Content-Length"]; there {
		t.Error("MUST-P1: Content-Length")
	}
	checkPragma(t, r)
	checkEvery(t, r)
}

func TestPlayPacketsAreTheSource(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	full, stripped := stampedPacket(t, 0, stamp{0, 1, true}), stampedPacket(t, 200, stamp{1, 1, false})
	e.size = 200
	e.send(1)
	c := w.watch(e, play(newAgent))
	for _, want := range [][]byte{full, stripped} {
		f, _ := c.data()
		if !bytes.Equal(f.payload, want) {
			t.Errorf("MUST-P7: %d bytes, not the %d of the source", len(f.payload), len(want))
		}
		if info, err := asf.ParsePacket(f.payload, packetSize, asf.StreamSet{}); err != nil || info.PacketLength != len(want) {
			t.Errorf("MUST-P7: announces %d of %d bytes, %v", info.PacketLength, len(want), err)
		}
	}
}

func TestPlayLocationWraps(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.location = 0xFFFFFFFE
	e.send(4)
	tape := w.watchTape(e, play(oldAgent))
	tape.awaitPacket(t, 3)
	if at := tape.now(); at.location != 1 {
		t.Errorf("MUST-P4: location %d behind 0xFFFFFFFF and 0", at.location)
	}
}

// watchTape plays and records from the header on.
func (w *world) watchTape(e *encoder, request string) *tape {
	w.Helper()
	return w.dial().tape(request)
}

func (c *client) tape(request string) *tape {
	c.Helper()
	if r := c.ask(request); r.status != 200 {
		c.Fatalf("%d %s", r.status, r.reason)
	}
	return c.record()
}

func TestPlayOnAStreamingSession(t *testing.T) {
	w, e := describable(t)
	id := w.dial().ask(describe(newAgent)).clientID(t)
	named := pragma("client-id=" + text(id))
	first := w.dial()
	if got := first.ask(play(newAgent, named)).clientID(t); got != id {
		t.Fatalf("client-id %d became %d", id, got)
	}
	for _, request := range []string{play(newAgent, named), describe(newAgent, named)} {
		r := w.dial().ask(request)
		if r.status != 400 {
			t.Errorf("MUST-P6: %d %s", r.status, r.reason)
		}
		checkEvery(t, r)
	}
	tape := first.record()
	e.send(5)
	tape.awaitPacket(t, 29)
	if u := w.limits.Usage(); u.Viewers != 1 {
		t.Errorf("MUST-P6: the refused attempt holds a place: %+v", u)
	}
	first.close()
	worldtest.Eventually(t, "the session may play again", func() bool {
		c := w.dial()
		defer c.close()
		return c.ask(play(newAgent, named)).status == 200
	})
}

func TestPlayOfAnUnknownSession(t *testing.T) {
	w, e := describable(t)
	c := w.dial()
	r := c.ask(play(newAgent, pragma("client-id=4711")))
	if v, _ := r.pragma("xresetstrm"); v != "1" || r.clientID(t) == 4711 {
		t.Errorf("MUST-D7: %q", r.header["Pragma"])
	}
	c.header(e)
}

func TestPlayJoinsWhereItCan(t *testing.T) {
	t.Run("no key frame yet: everything of the epoch", func(t *testing.T) {
		w := newWorld(t, plan{})
		e := w.onAir()
		e.next = 1
		e.send(5)
		_, s := w.watch(e, play(oldAgent)).data()
		if s.number != 1 {
			t.Errorf("begins with packet %d", s.number)
		}
	})
	t.Run("no packet yet: header at once, then what comes", func(t *testing.T) {
		w := newWorld(t, plan{})
		e := w.onAir()
		c := w.watch(e, play(oldAgent))
		e.send(1)
		if _, s := c.data(); s.number != 0 {
			t.Errorf("begins with packet %d", s.number)
		}
	})
	t.Run("a stream without key frames: the burst's length back", func(t *testing.T) {
		w := newWorld(t, plan{settings: Settings{BurstMax: time.Nanosecond}})
		e := w.encoder(w.stream)
		e.noKeys = true
		e.open()
		e.setHeader(0)
		e.send(30)
		_, s := w.watch(e, play(oldAgent)).data()
		if s.number < 28 {
			t.Errorf("begins with packet %d of 30", s.number)
		}
	})
	t.Run("the key frame has left the ring", func(t *testing.T) {
		w := newWorld(t, plan{ring: ringbuf.Limits{Slots: 4}})
		e := w.onAir()
		e.send(9)
		_, s := w.watch(e, play(oldAgent)).data()
		if s.number < 4 || s.key {
			t.Errorf("begins with packet %d", s.number)
		}
	})
}

func TestPlainAgentsNeverGetFrames(t *testing.T) {
	w, e := describable(t)
	for _, tc := range []struct {
		name, request string
		page          bool
	}{
		{"curl", get(agent(webAgent)), false},
		{"nobody", get(), false},
		{"ffmpeg without mmsh", get(agent("Lavf/60.3.100")), false},
		{"a browser", get(agent("Mozilla/5.0 (X11)")), true},
		{"a browser by its wishes", get("Accept: text/html,*/*"), true},
		{"Windows Media Player's web client", get(agent("Windows-Media-Player/12.0")), true},
		{"asked for .asx", strings.Replace(get(agent(webAgent)), "/x ", "/x.asx ", 1), true},
		{"asked for .asx as a player", strings.Replace(describe(newAgent), "/x ", "/x.asx ", 1), true},
		{"asked for .asf", strings.Replace(get(agent("Mozilla/5.0")), "/x ", "/X.ASF/ ", 1), false},
		{"asked for .asf as a player", strings.Replace(describe(newAgent), "/x ", "/x.asf ", 1), false},
	} {
		t.Run("MUST-P9 "+tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			defer c.close()
			r := c.ask(tc.request)
			checkEvery(t, r)
			if got := r.header.Get("Content-Type"); r.status != 200 || got != "video/x-ms-asf" {
				t.Fatalf("%d, Content-Type %q", r.status, got)
			}
			if tc.page {
				checkPage(t, r, "pump.example:8086")
				c.ended()
				return
			}
			tape := recordPlain(c.br, e.raw)
			tape.awaitPacket(t, 24)
			if at := tape.now(); at.first.number != 20 {
				t.Errorf("begins with packet %d", at.first.number)
			}
		})
	}
}

// checkPage sees that a metafile names the stream, in the order that players want.
func checkPage(t *testing.T, r reply, host string) {
	t.Helper()
	refs, err := mmsh.ParsePlaylist(r.body)
	if err != nil || len(refs) != 2 || refs[0] != "http://"+host+"/streams/x?MSWMExt=.asf" || refs[1] != "mms://"+host+"/streams/x" {
		t.Errorf("%v %q", err, refs)
	}
}

// A metafile that came over TLS names addresses behind TLS only: mms:// knows none, and nothing else is at that port.
func TestASXOverTLSNamesNothingWithoutIt(t *testing.T) {
	w, _ := describable(t)
	w.serveTLS()
	for query, want := range map[string]string{
		"":                       "https://pump.example:8089/streams/x?MSWMExt=.asf",
		"?id=a&expires=1&sig=0f": "https://pump.example:8089/streams/x?expires=1&id=a&sig=0f&MSWMExt=.asf",
	} {
		r := w.dialTLS().ask("GET /streams/x.asx" + query + " HTTP/1.0\r\nHost: pump.example:8089\r\n\r\n")
		refs, err := mmsh.ParsePlaylist(r.body)
		if err != nil || !slices.Equal(refs, []string{want}) {
			t.Errorf("%q: %q %v, want %q alone", query, refs, err, want)
		}
	}
}

func TestPageNamesOnlyRealHosts(t *testing.T) {
	w, _ := describable(t)
	for _, host := range []string{`x"><script>`, "a b", "x/../y", "x%22", "[x", "a:b:c", ""} {
		r := w.dial().ask("GET /streams/x.asx HTTP/1.0\r\nHost: " + host + "\r\n\r\n")
		if r.status != 400 || bytes.Contains(r.body, []byte("script")) {
			t.Errorf("Host %q: %d %q", host, r.status, r.body)
		}
	}
	for _, host := range []string{"[::1]:8086", "10.0.0.1"} {
		checkPage(t, w.dial().ask("GET /streams/x.asx HTTP/1.0\r\nHost: "+host+"\r\n\r\n"), host)
	}
}

func TestHead(t *testing.T) {
	w, _ := describable(t)
	for _, tc := range []struct {
		name, first, agent string
		status             int
		length             bool
	}{
		{"a player's", "HEAD /streams/x HTTP/1.0", newAgent, 200, false},
		{"a browser's", "HEAD /streams/x HTTP/1.0", "Mozilla/5.0", 200, true},
		{"of the page", "HEAD /streams/x.asx HTTP/1.1", webAgent, 200, true},
		{"of plain ASF", "HEAD /streams/x.asf HTTP/1.1", webAgent, 200, false},
		{"of nothing", "HEAD /streams/y HTTP/1.1", webAgent, 404, true},
	} {
		c := w.dial()
		c.write(ask(tc.first, agent(tc.agent)))
		r, err := c.readHead()
		if err != nil || r.status != tc.status || (r.header.Get("Content-Length") != "") != tc.length {
			t.Errorf("%s: %v %d %v", tc.name, err, r.status, r.header)
		}
		c.ended()
		c.close()
	}
	worldtest.Eventually(t, "HEAD leaves no viewer", func() bool { return w.limits.Usage().Viewers == 0 })
}
