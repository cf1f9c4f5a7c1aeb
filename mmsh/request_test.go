package mmsh

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"
)

const player = "User-Agent: NSPlayer/9.0.0.2980"

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name, method string
		headers      []string
		want         RequestKind
	}{
		{"row 1, MUST-K2 OPTIONS", "OPTIONS", []string{player}, Options},
		{"row 2 setup", "POST", []string{"Content-Type: application/x-wms-pushsetup"}, PushSetup},
		{"row 2 setup with charset, other agent", "POST", []string{"Content-Type: Application/X-WMS-PushSetup; charset=UTF-8", "User-Agent: curl/8"}, PushSetup},
		{"row 3 start", "POST", []string{"Content-Type: application/x-wms-pushstart;charset=UTF-8"}, PushStart},
		{"row 4, MUST-L1 XML log", "POST", []string{player, "Content-Type: application/x-wms-LogStats;charset=UTF-8"}, LogXML},
		{"row 4, MUST-L1 any case", "POST", []string{player, "Content-Type: APPLICATION/X-WMS-LOGSTATS"}, LogXML},
		{"row 5, MUST-L1 log line", "POST", []string{player, "Pragma: log-line=1.2.3.4 a, b", "Content-Type: text/plain"}, Log},
		{"row 5 no content type", "POST", []string{player, "Pragma: xStopStrm=1", "Pragma: log-line=x"}, Log},
		{"row 6, MUST-L1 SendEvent", "POST", []string{player, "Content-Type: application/x-wms-sendevent"}, SendEvent},
		{"row 7, MUST-L1 GetContentInfo", "POST", []string{"User-Agent: WMCacheProxy/9.0", "Content-Type: application/x-wms-getcontentinfo"}, ContentInfo},
		{"row 8 Stop", "POST", []string{player, "Pragma: xStopStrm=1"}, Stop},
		{"row 9, MUST-K1 KeepAlive", "POST", []string{player, "Pragma: xKeepAliveInPause=1, client-id=1"}, KeepAlive},
		{"row 10 SelectStream", "POST", []string{player, "Pragma: stream-switch-entry=ffff:1:0"}, SelectStream},
		{"row 11, MUST-R1 other POST", "POST", []string{player}, PushOther},
		{"FFmpeg's push", "POST", []string{"User-Agent: Lavf/59.27.100", "Transfer-Encoding: chunked"}, PushOther},
		{"PUT", "PUT", nil, PushOther},
		{"row 12 pipeline test", "GET", []string{player, "Pragma: pipeline-request=1"}, PipelineTest},
		{"row 13 PlayNextEntry", "GET", []string{player, "Pragma: xPlayNextEntry=1"}, PlayNext},
		{"row 14 Play", "GET", []string{player, "Pragma: XPLAYSTRM=1"}, Play},
		{"row 14, MUST-P5 nothing but Play", "GET", []string{"User-Agent: NSPlayer", "Pragma: xPlayStrm=1"}, Play},
		{"row 15 SelectStream, pipelined", "GET", []string{player, "Pragma: client-id=5, stream-switch-entry=ffff:1:0"}, SelectStream},
		{"row 16 selection without session", "GET", []string{player, "Pragma: stream-switch-entry=ffff:1:0"}, Describe},
		{"row 16, MUST-D1 Describe", "GET", []string{player}, Describe},
		{"row 16 xPlayStrm=0", "GET", []string{player, "Pragma: xPlayStrm=0"}, Describe},
		{"MUST-D6 sloppy Describe", "GET", []string{player, "Pragma: ,,\"=,x", "Range: bytes=0-", "Icy-Metadata: 1", "Pragma: xplaystrm=\"x"}, Describe},
		{"PeerCast's mistake", "GET", []string{player, "Pragma: stream-switch-count=2"}, Describe},
		{"row 16 cache", "GET", []string{"User-Agent: WMCacheProxy/9.0"}, Describe},
		{"row 17, MUST-P9 browser", "GET", []string{"User-Agent: Mozilla/5.0"}, Web},
		{"row 17 no agent", "GET", nil, Web},
		{"row 17 encoder's agent", "GET", []string{"User-Agent: WMEncoder/12.0"}, Web},
		{"row 17 HEAD", "HEAD", []string{player}, HeadWeb},
		{"other method", "DELETE", []string{player}, Bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Classify(c.method, header(c.headers...)); got.Kind != c.want {
				t.Errorf("got %v, want %v", got.Kind, c.want)
			}
		})
	}
}

func TestSelectionOfAnUnknownSession(t *testing.T) {
	r := Classify("GET", header(player, "Pragma: client-id=5, stream-switch-entry=ffff:1:0"))
	if r.ForSession("GET", true) != SelectStream || r.ForSession("GET", false) != Describe || r.ForSession("POST", false) != SelectStream {
		t.Error("a GET that selects for no session is a Describe, a POST an error")
	}
	r = Classify("GET", header("Pragma: client-id=5, stream-switch-entry=ffff:1:0"))
	if r.ForSession("GET", false) != Web {
		t.Error("MUST-P9: another agent got framed bytes")
	}
}

func TestKindsThatNeedASession(t *testing.T) {
	for k := Bad; k <= HeadWeb; k++ {
		want := k == KeepAlive || k == SelectStream || k == Stop || k == PlayNext || k == PipelineTest
		if k.NeedsSession() != want {
			t.Errorf("MUST-K1 %v: NeedsSession %v", k, !want)
		}
		if k.HasBody() && (k == Play || k == Describe || k == Log || k == Options) {
			t.Errorf("%v has a body", k)
		}
	}
}

func TestRequestFields(t *testing.T) {
	r := Classify("GET", header("User-Agent: NSPlayer/12.0.7601.17514", "Pragma: no-cache, client-id=4294967295,request-context=2",
		"Pragma: xClientGUID={C77E7400-738A-11D2-9ADD-0020AF0A3278}", "Pragma: version11-enabled=11, xPlayStrm=1", "Pragma: client-lag=90000"))
	if r.Kind != Play || !r.HasClientID || r.ClientID != 1<<32-1 || r.Context != 2 || !r.Chunked || !r.V9() {
		t.Errorf("%+v", r)
	}
	if r.PlayerGUID != "{C77E7400-738A-11D2-9ADD-0020AF0A3278}" || r.ClientLag != 15*time.Second {
		t.Errorf("%+v", r)
	}
	r = Classify("GET", header("User-Agent: NSPlayer/4.1", "Pragma: version11-enabled=0, client-id=x"))
	if r.Chunked || r.HasClientID || r.V9() {
		t.Errorf("%+v", r)
	}
}

func TestPushIDCookie(t *testing.T) {
	for cookie, want := range map[string]string{
		"push-id=0": "0", "push-id=7Qm3ZkV0aT9sWc1x": "7Qm3ZkV0aT9sWc1x", "a=2 ; push-id=123": "123", "Push-ID=9;b=1": "9", "a=1": "", "": "",
	} {
		if got := Classify("POST", header("Cookie: "+cookie)).PushID; got != want {
			t.Errorf("%q: %q, want %q", cookie, got, want)
		}
	}
}

func TestIsMMST(t *testing.T) {
	for _, c := range []struct {
		in         string
		yes, maybe bool
	}{
		{"", false, true}, {"01", false, true}, {"01000000cefa0b", false, true}, {"01000000cefa0bb0", true, false},
		{"01000000cefa0bb0d0000000", true, false}, {"01000001", false, false}, {"47455420", false, false},
	} {
		t.Run("MUST-R2 first bytes "+c.in, func(t *testing.T) {
			if yes, maybe := IsMMST(unhex(c.in)); yes != c.yes || maybe != c.maybe {
				t.Errorf("got %v, %v", yes, maybe)
			}
		})
	}
}

// Requests as the players in the field send them.
var exchanges = []struct {
	name, text string
	kind       RequestKind
	check      func(r Request) bool
}{
	{"FFmpeg Describe", `GET /live HTTP/1.1
Range: bytes=0-
Icy-MetaData: 1
Accept: */*
User-Agent: NSPlayer/4.1.0.3856
Host: host:8086
Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0
Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}
Connection: Close

`, Describe, func(r Request) bool { return r.Agent.Old() && !r.HasClientID && r.Context == 1 }},
	{"FFmpeg Play", `GET /live HTTP/1.1
Range: bytes=0-
Connection: close
Icy-MetaData: 1
Accept: */*
User-Agent: NSPlayer/4.1.0.3856
Host: host:8086
Pragma: no-cache,rate=1.000000,request-context=2
Pragma: xPlayStrm=1
Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}
Pragma: stream-switch-count=2
Pragma: stream-switch-entry=ffff:1:0 ffff:2:0
Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close

`, Play, func(r Request) bool { return len(r.StreamSwitch) == 2 && !r.Chunked && r.Context == 2 }},
	{"VLC Describe", `GET /live HTTP/1.0
Accept: */*
User-Agent: NSPlayer/7.10.0.3059
Host: host:8086
Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0
Pragma: xClientGUID={0xbabac001-0x1234-0x5678-0x9abcdef0}
Connection: Close

`, Describe, func(r Request) bool { return r.Agent.Old() && strings.HasPrefix(r.PlayerGUID, "{0xbaba") }},
	{"VLC Play", `GET /live HTTP/1.0
Accept: */*
User-Agent: NSPlayer/7.10.0.3059
Host: host:8086
Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=4294967295:4294967295,packet-num=4294967295,request-context=2,max-duration=0
Pragma: xPlayStrm=1
Pragma: xClientGUID={0xbabac001-0x1234-0x5678-0x9abcdef0}
Pragma: stream-switch-count=3
Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ffff:a:2
Connection: Close

`, Play, func(r Request) bool { return r.StreamSwitch[2] == SwitchEntry{0xFFFF, 10, 10, SwitchOff} }},
	{"libmms Play", `GET /live HTTP/1.0
Accept: */*
User-Agent: NSPlayer/4.1.0.3856
Host: host:8086
Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=2,max-duration=0
Pragma: xPlayStrm=1
Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}
Pragma: stream-switch-count=2
Pragma: stream-switch-entry=ffff:10:0 ffff:27:2
Connection: Close

`, Play, func(r Request) bool { return r.StreamSwitch[1].Decimal == 27 }},
	{"MPlayer Play", `GET /live HTTP/1.0
Accept: */*
User-Agent: NSPlayer/4.1.0.3856
Host: host:8086
Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}
Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=2,max-duration=0
Pragma: xPlayStrm=1
Pragma: stream-switch-entry=ffff:2:0 ffff:1:0
Pragma: stream-switch-count=2
Connection: Close

`, Play, func(r Request) bool { return r.StreamSwitch[0].Stream == 2 }},
	{"WMP 12 Describe", `GET /live?MSWMExt=.asf HTTP/1.1
Accept: */*
User-Agent: NSPlayer/12.0.7601.17514
Host: host:8086
X-Accept-Authentication: Negotiate, NTLM, Digest, Basic
Pragma: version11-enabled=1
Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0
Pragma: packet-pair-experiment=1
Pragma: pipeline-experiment=1
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile
Accept-Language: en-US, *;q=0.1

`, Describe, func(r Request) bool { return r.V9() && r.Chunked }},
	{"WMP 12 Play", `GET /live HTTP/1.0
Accept: */*
User-Agent: NSPlayer/12.0.7601.17514
Host: host:8086
Pragma: no-cache,rate=1.000,stream-offset=4294967295:4294967295,packet-num=4294967295,max-duration=0
Pragma: xPlayStrm=1
Pragma: client-id=2718281828
Pragma: LinkBW=2147483647, AccelBW=2147483647, AccelDuration=18000
Pragma: playlist-seek-id=2
Pragma: stream-switch-count=2
Pragma: stream-switch-entry=ffff:1:0 ffff:2:0

`, Play, func(r Request) bool { return r.V9() && r.ClientID == 2718281828 }},
	{"Push setup", `POST /streams/x_push HTTP/1.1
Content-Type: application/x-wms-pushsetup
X-Accept-Authentication: Negotiate, NTLM, Digest
User-Agent: WMEncoder/12.0.7600.16385
Host: host:8086
Content-Length: 16
Cache-Control: no-cache
Cookie: push-id=0

AutoDestroy: 1
`, PushSetup, func(r Request) bool { return r.Agent.Encoder && r.PushID == "0" }},
	{"Push start", `POST /streams/x_push HTTP/1.1
Content-Type: application/x-wms-pushstart
User-Agent: WMEncoder/12.0.7600.16385
Host: host:8086
Content-Length: 2147483647
Cookie: push-id=7Qm3ZkV0aT9sWc1x

`, PushStart, func(r Request) bool { return r.PushID == "7Qm3ZkV0aT9sWc1x" }},
}

func TestWorkedExchanges(t *testing.T) {
	for _, c := range exchanges {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(crlf(c.text))))
			if err != nil {
				t.Fatal(err)
			}
			got := Classify(req.Method, req.Header)
			if got.Kind != c.kind || !c.check(got) {
				t.Errorf("got %v: %+v", got.Kind, got)
			}
		})
	}
}
