package server

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

const plainGUID = "xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}"

// player is one player's way of asking.
type player struct {
	name, agent    string
	v9             bool
	describe, play []string // request lines; "#" stands for the client-id of the Describe reply
}

// players ask as they were seen to ask.
var players = []player{
	{"FFmpeg", oldAgent, false,
		[]string{"GET /streams/x HTTP/1.1", "Range: bytes=0-", "Icy-MetaData: 1", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0", "Pragma: " + plainGUID, "Connection: Close"},
		[]string{"GET /streams/x HTTP/1.1", "Range: bytes=0-", "Connection: close", "Icy-MetaData: 1", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,request-context=2", "Pragma: xPlayStrm=1", "Pragma: " + plainGUID, "Pragma: stream-switch-count=2",
			"Pragma: stream-switch-entry=ffff:1:0 ffff:2:0", "Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close"}},
	{"libmms", oldAgent, false,
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0", "Pragma: " + plainGUID, "Connection: Close"},
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=4294967295:4294967295,request-context=2,max-duration=0", "Pragma: " + plainGUID,
			"Pragma: xPlayStrm=1", "Pragma: stream-switch-count=2", "Pragma: stream-switch-entry=ffff:1:0 ffff:2:2 ", "Connection: Close"}},
	{"VLC", vlcAgent, false,
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + vlcAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0",
			"Pragma: xClientGUID={0xbabac001-0x1234-0x5678-0x1020304050607080}", "Connection: Close"},
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + vlcAgent, "Host: h:8086",
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=4294967295:4294967295,request-context=2,max-duration=0",
			"Pragma: xPlayStrm=1", "Pragma: xClientGUID={0xbabac001-0x1234-0x5678-0x1020304050607080}", "Pragma: stream-switch-count=2",
			"Pragma: stream-switch-entry=ffff:1:0 ffff:2:2", "Connection: Close"}},
	{"MPlayer", oldAgent, false,
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086", "Pragma: " + plainGUID,
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0", "Connection: Close"},
		[]string{"GET /streams/x HTTP/1.0", "Accept: */*", "User-Agent: " + oldAgent, "Host: h:8086", "Pragma: " + plainGUID,
			"Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=4294967295:4294967295,request-context=2,max-duration=0",
			"Pragma: xPlayStrm=1", "Pragma: stream-switch-entry=ffff:2:0 ffff:1:0", "Pragma: stream-switch-count=2", "Connection: Close"}},
	{"the program of 2011 as a puller", "NSPlayer", false,
		[]string{"GET /streams/x HTTP/1.1", "User-Agent: NSPlayer", "Host: h:8086", "Connection: close"},
		[]string{"GET /streams/x HTTP/1.1", "User-Agent: NSPlayer", "Pragma: xPlayStrm=1", "Host: h:8086", "Connection: close"}},
	{"Windows Media Player 12", newAgent, true,
		[]string{"GET /streams/x?MSWMExt=.asf HTTP/1.0", "Accept: */*", "User-Agent: " + newAgent, "Host: h:8086",
			"X-Accept-Authentication: Negotiate, NTLM, Digest, Basic", "Pragma: version11-enabled=1",
			"Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0", "Pragma: packet-pair-experiment=1",
			"Pragma: pipeline-experiment=1", "Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile",
			"Pragma: xClientGUID={3300AD50-2C39-46C0-AE0A-AC7B8159E203}", "Accept-Language: en-US, *;q=0.1"},
		[]string{"GET /streams/x?MSWMExt=.asf HTTP/1.0", "Accept: */*", "User-Agent: " + newAgent, "Host: h:8086",
			"X-Accept-Authentication: Negotiate, NTLM, Digest, Basic", "Pragma: version11-enabled=1", "Pragma: no-cache,rate=1.000,stream-time=0",
			"Pragma: xPlayStrm=1", "Pragma: client-id=#", "Pragma: LinkBW=2147483647, AccelBW=2147483647, AccelDuration=18000",
			"Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile",
			"Pragma: playlist-seek-id=1", "Pragma: stream-switch-count=2", "Pragma: stream-switch-entry=ffff:1:0 ffff:2:0",
			"Pragma: xClientGUID={3300AD50-2C39-46C0-AE0A-AC7B8159E203}"}},
}

const commonHead = "HTTP/1.0 200 OK\r\nServer: Rex/12.0.7600.16385\r\nCache-Control: no-cache\r\nPragma: no-cache, client-id=N, features=\"broadcast,playlist\", timeout=60000\r\n"

const supportedLine = "Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache\r\n"

var idToken = regexp.MustCompile(`client-id=(\d+)`)

// rawHead reads the head of an answer as it stands; the client-id is returned apart.
func (c *client) rawHead() (head, id string) {
	c.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := c.br.ReadString('\n')
		if head += line; err != nil {
			c.Fatalf("%v behind %q", err, head)
		}
	}
	if m := idToken.FindStringSubmatch(head); m != nil {
		id = m[1]
	}
	return idToken.ReplaceAllString(head, "client-id=N"), id
}

// Each player's two requests get the answers that the worked exchanges list, to the
// byte, and the stream to its end.
func TestExchanges(t *testing.T) {
	for _, p := range players {
		t.Run(p.name, func(t *testing.T) {
			w, e := describable(t)
			lines := func(l []string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }
			more := ""
			if p.v9 {
				more = supportedLine
			}
			c := w.dial()
			c.write(lines(p.describe))
			head, id := c.rawHead()
			if want := commonHead + more + "Content-Type: application/vnd.ms.wms-hdr.asfv1\r\nContent-Length: " + text(uint32(len(e.raw)+12)) + "\r\nConnection: close\r\n\r\n"; head != want {
				t.Errorf("Describe\n%s\nwant\n%s", head, want)
			}
			c.header(e)
			c.ended()

			c = w.dial()
			c.write(strings.ReplaceAll(lines(p.play), "#", id))
			head, again := c.rawHead()
			if want := commonHead + more + "Content-Type: application/x-mms-framed\r\nConnection: close\r\n\r\n"; head != want {
				t.Errorf("Play\n%s\nwant\n%s", head, want)
			}
			if p.v9 && again != id {
				t.Errorf("client-id %s becomes %s", id, again)
			}
			tape := c.record()
			e.send(15)
			e.pub.End()
			tape.finished(t)
			if at := tape.now(); at.first.number != 20 || at.last.number != 39 || at.missing != 0 || at.changes != 0 {
				t.Errorf("%+v", at)
			}
			if p.v9 {
				log := w.dial().ask(post("<XML></XML>", agent(newAgent), "Content-Type: application/x-wms-LogStats;charset=UTF-8", pragma("client-id="+id)))
				if log.status != 204 || text(log.clientID(t)) != id {
					t.Errorf("log behind the end: %d %q", log.status, log.header["Pragma"])
				}
			}
		})
	}
}

// Requests arrive in two pieces, cut at every byte.
func TestRequestsCutAnywhere(t *testing.T) {
	w, e := describable(t)
	request := describe(newAgent, pragma("no-cache"), "Content-Length: 3") + "abc"
	for i := 1; i < len(request); i++ {
		c := w.dial()
		c.write(request[:i])
		c.write(request[i:])
		if r := c.reply(); r.status != 200 || len(r.body) != len(e.raw)+mmsh.DataHeadSize {
			t.Fatalf("cut at %d: %d", i, r.status)
		}
		c.close()
	}
	c := w.dial()
	for i := range len(request) {
		c.write(request[i : i+1])
	}
	checkDescribe(t, c.reply(), e.raw)
}

// Requests that follow each other on one connection, sent at once.
func TestPipelinedRequests(t *testing.T) {
	w, e := describable(t)
	id := text(w.dial().ask(describe(newAgent)).clientID(t))
	keep := "Connection: Keep-Alive"
	all := ask("OPTIONS * HTTP/1.1", agent(newAgent), pragma("client-id="+id)) +
		post("<XML/>\r\n\r\n", agent(newAgent), "Content-Type: application/x-wms-LogStats", keep) +
		post("", agent(newAgent), pragma("xKeepAliveInPause=1"), pragma("client-id="+id), keep) +
		describe(newAgent, keep) +
		play(newAgent, pragma("client-id="+id)) +
		ask("OPTIONS * HTTP/1.1") // behind a Play nothing is answered any more
	for name, c := range map[string]*client{"loop": w.dial(), "TLS": w.dialTLS()} {
		c.write(all)
		for i, want := range []int{200, 204, 200, 200} {
			if r := c.reply(); r.status != want {
				t.Fatalf("%s: answer %d is %d %s, want %d", name, i, r.status, r.reason, want)
			}
		}
		r, err := c.readHead()
		if err != nil || r.status != 200 {
			t.Fatalf("%s: Play: %v %d", name, err, r.status)
		}
		c.header(e)
		if _, s := c.data(); s.number != 20 {
			t.Errorf("%s: begins with %d", name, s.number)
		}
		c.close()
		worldtest.Eventually(t, name+": the session is free", func() bool { return w.limits.Usage().Viewers == 0 })
	}
}

func TestConnectionsThatMayStay(t *testing.T) {
	w, _ := describable(t)
	for _, tc := range []struct {
		name, request string
		stays         bool
	}{
		{"OPTIONS in HTTP/1.1", ask("OPTIONS * HTTP/1.1"), true},
		{"OPTIONS in HTTP/1.1, to be closed", ask("OPTIONS * HTTP/1.1", "Connection: close"), false},
		{"OPTIONS in HTTP/1.0", ask("OPTIONS * HTTP/1.0"), false},
		{"OPTIONS in HTTP/1.0, asked to keep", ask("OPTIONS * HTTP/1.0", "Connection: keep-alive"), true},
		{"log, asked to keep among others", post("", pragma("log-line=x"), "Connection: TE, Keep-Alive"), true},
		{"log in HTTP/1.1 without a word", strings.Replace(post("", pragma("log-line=x")), "1.0", "1.1", 1), false},
		{"Describe of an old client", describe(oldAgent, "Connection: keep-alive"), false},
	} {
		c := w.dial()
		r := c.ask(tc.request)
		if got := strings.EqualFold(r.header.Get("Connection"), "keep-alive"); got != tc.stays {
			t.Errorf("%s: Connection: %q", tc.name, r.header.Get("Connection"))
		}
		if !tc.stays {
			c.ended()
		} else if r := c.ask(ask("OPTIONS * HTTP/1.0")); r.status != 200 {
			t.Errorf("%s: then %d", tc.name, r.status)
		}
	}
}
