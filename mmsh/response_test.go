package mmsh

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRepliesToTheByte(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string // line ends as LF
		body string
	}{
		{"MUST-D1 MUST-D2 MUST-D4 MUST-D8 Describe, old client", AppendDescribeHead(nil, ReplyParams{ClientID: 2718281828, ContentLength: 5499}), `HTTP/1.0 200 OK
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=2718281828, features="broadcast,playlist", timeout=60000
Content-Type: application/vnd.ms.wms-hdr.asfv1
Content-Length: 5499
Connection: close

`, ""},
		{"MUST-P1 Play, old client", AppendPlayHead(nil, ReplyParams{ClientID: 3141592653}), `HTTP/1.0 200 OK
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=3141592653, features="broadcast,playlist", timeout=60000
Content-Type: application/x-mms-framed
Connection: close

`, ""},
		{"MUST-D7 Describe, 9.0, unknown session, kept open",
			AppendDescribeHead(nil, ReplyParams{ClientID: 1, ContentLength: 1, Reset: true, V9: true, KeepAlive: true, Timeout: 30 * time.Second}), `HTTP/1.0 200 OK
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=1, xResetStrm=1, features="broadcast,playlist", timeout=30000
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache
Content-Type: application/vnd.ms.wms-hdr.asfv1
Content-Length: 1
Connection: Keep-Alive

`, ""},
		{"MUST-P1 Play, chunked on request", AppendPlayHead(nil, ReplyParams{ClientID: 1, V9: true, Chunked: true}), `HTTP/1.1 200 OK
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=1, features="broadcast,playlist", timeout=60000
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache
Content-Type: application/x-mms-framed
Transfer-Encoding: chunked
Connection: close

`, ""},
		{"MUST-L1 Log", AppendEmptyHead(nil, 204, ReplyParams{ClientID: 9, HasClientID: true}), `HTTP/1.0 204 No Content
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=9, timeout=60000
Content-Length: 0
Connection: close

`, ""},
		{"MUST-K1 KeepAlive, shortest time-out", AppendEmptyHead(nil, 200, ReplyParams{V9: true, Timeout: time.Millisecond}), `HTTP/1.0 200 OK
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, timeout=1000
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache
Content-Length: 0
Connection: close

`, ""},
		{"MUST-K2 OPTIONS", AppendOptionsReply(nil, ReplyParams{ClientID: 9, HasClientID: true}), `HTTP/1.0 200 OK
Allow: OPTIONS, GET, HEAD, POST
Public: OPTIONS, GET, HEAD, POST
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Pragma: no-cache, client-id=9, timeout=60000
Content-Length: 0
Connection: close

`, ""},
		{"MUST-S1 PushSetup", AppendPushSetupReply(nil, PushReply{PushID: "7Qm3ZkV0aT9sWc1x"}), `HTTP/1.1 204 No Content
Server: Cougar/9.6.7600.16564
Content-Length: 0
Pragma: no-cache, timeout=60000
Cache-Control: no-cache
Set-Cookie: push-id=7Qm3ZkV0aT9sWc1x
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache
Connection: Keep-Alive

`, ""},
		{"PushStart, ended", AppendPushStartReply(nil, PushReply{Close: true}), `HTTP/1.1 204 No Content
Server: Cougar/9.6.7600.16564
Content-Length: 0
Pragma: no-cache, timeout=60000
Cache-Control: no-cache
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache
Connection: close

`, ""},
		{"MUST-R1 no source", AppendError(nil, ErrorParams{Status: 503, Text: "no source", RetryAfter: 9500 * time.Millisecond}), `HTTP/1.0 503 Service Unavailable
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Retry-After: 10
Content-Type: text/plain; charset=utf-8
Content-Length: 10
Connection: close

`, "no source\n"},
		{"redirect, header injection, HEAD", AppendError(nil, ErrorParams{Status: 302, Location: "http://a/\r\nX: y", HeadOnly: true}), `HTTP/1.0 302 Found
Server: Rex/12.0.7600.16385
Cache-Control: no-cache
Location: http://a/X: y
Content-Type: text/plain; charset=utf-8
Content-Length: 6
Connection: close

`, ""},
		{"MUST-S9 challenge to an encoder", AppendError(nil, ErrorParams{Status: 401, Push: true, HeadOnly: true, Allow: "GET",
			Challenges: []string{`Digest realm="x"`, `Basic realm="x"`}}), `HTTP/1.1 401 Unauthorized
Server: Cougar/9.6.7600.16564
Cache-Control: no-cache
WWW-Authenticate: Digest realm="x"
WWW-Authenticate: Basic realm="x"
Allow: GET
Content-Type: text/plain; charset=utf-8
Content-Length: 13
Connection: close

`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := string(c.got), crlf(c.want)+c.body; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

var serverPattern = regexp.MustCompile(`^(Rex|Cougar)/\d+\.\d+`)

func TestEveryReplyIsHTTP(t *testing.T) {
	r := ReplyParams{ClientID: 1, HasClientID: true}
	for name, wire := range map[string][]byte{
		"describe": AppendDescribeHead(nil, r), "play": AppendPlayHead(nil, r), "empty": AppendEmptyHead(nil, 204, r),
		"options": AppendOptionsReply(nil, r), "setup": AppendPushSetupReply(nil, PushReply{}),
		"404": AppendError(nil, ErrorParams{Status: 404}), "453": AppendError(nil, ErrorParams{Status: 453}), "599": AppendError(nil, ErrorParams{Status: 599}),
		"503": AppendError(nil, ErrorParams{Status: 503, RetryAfter: time.Second}),
	} {
		t.Run("MUST-D3 MUST-D8 MUST-R1 "+name, func(t *testing.T) {
			reply, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			if !serverPattern.MatchString(reply.Header.Get("Server")) || reply.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("MUST-D3: %v", reply.Header)
			}
			if !regexp.MustCompile(`^\d{3} \S`).MatchString(reply.Status) {
				t.Errorf("MUST-D8: status %q has no reason phrase", reply.Status)
			}
			if reply.StatusCode < 400 {
				return
			}
			body, err := io.ReadAll(reply.Body)
			if err != nil || int64(len(body)) != reply.ContentLength || len(body) == 0 || !reply.Close {
				t.Errorf("MUST-R1: body %q, length %d, %v", body, reply.ContentLength, err)
			}
		})
	}
}

func TestFeaturesOfALiveStream(t *testing.T) {
	reply, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendDescribeHead(nil, ReplyParams{ClientID: 5}))), nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := ParseTokens(reply.Header)
	f, _ := tokens.Get("features")
	if !strings.HasPrefix(f, "broadcast") || strings.Contains(f, "seekable") {
		t.Errorf("MUST-D2: features %q", f)
	}
	if ms, _ := tokens.Uint32("timeout"); ms < 1000 {
		t.Errorf("MUST-D2: timeout %d", ms)
	}
	if tokens.Has("pipeline-experiment") || tokens.Has("packet-pair-experiment") || tokens.Has("xresetstrm") {
		t.Errorf("MUST-D5: %q", tokens)
	}
	if id, ok := ClientIDOf(reply.Header); !ok || id != 5 {
		t.Errorf("client-id %d, %v", id, ok)
	}
}

func TestSetupOptions(t *testing.T) {
	for body, want := range map[string]SetupOptions{
		"":                   {},
		"AutoDestroy: 1\r\n": {AutoDestroy: true},
		"Template-URL: \"/pub\"\r\nautodestroy:0\r\nOther: x\r\nnonsense": {TemplateURL: "/pub"},
	} {
		t.Run("MUST-S2 "+body, func(t *testing.T) {
			if got := ParseSetupOptions([]byte(body)); got != want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestValidPushID(t *testing.T) {
	for id, want := range map[string]bool{
		"7Qm3ZkV0aT9sWc1x": true, "": false, "0": false, "00": true, "a b": false, "a;b": false, "é": false, "@": false, "`": false,
		strings.Repeat("a", 255): true, strings.Repeat("a", 256): false,
	} {
		if ValidPushID(id) != want {
			t.Errorf("ValidPushID(%q) = %v", id, !want)
		}
	}
}
