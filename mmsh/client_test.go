package mmsh

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"testing"
)

func TestOurRequestsToTheByte(t *testing.T) {
	p := ClientParams{Path: "/streams/x", Host: "host:8086", Streams: []uint8{1, 2, 27}, ClientID: 7, HasClientID: true, GUID: "{1}"}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"Describe", AppendDescribeRequest(nil, ClientParams{Path: "/a b\r\nX: y", Host: "h:1\n", Agent: AgentOld}), `GET /a%20bX:%20y HTTP/1.0
Accept: */*
User-Agent: NSPlayer/4.1.0.3856
Host: h:1
Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0
Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}
Connection: Close

`},
		{"Play", AppendPlayRequest(nil, p), `GET /streams/x HTTP/1.0
Accept: */*
User-Agent: NSPlayer/12.0.7601.17514
Host: host:8086
Pragma: no-cache,rate=1.000,request-context=2
Pragma: xPlayStrm=1
Pragma: client-id=7
Pragma: stream-switch-count=3
Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ffff:1b:0
Pragma: xClientGUID={1}
Connection: Close

`},
		{"Play without Describe, further header", AppendPlayRequest(nil, ClientParams{Host: "h", GUID: "{1}", Header: [][2]string{{"Authorization", "Basic x"}}}), `GET / HTTP/1.0
Accept: */*
User-Agent: NSPlayer/12.0.7601.17514
Host: h
Pragma: no-cache,rate=1.000,request-context=2
Pragma: xPlayStrm=1
Pragma: xClientGUID={1}
Authorization: Basic x
Connection: Close

`},
		{"Play by way of a proxy that keeps one line of a name", AppendPlayRequest(nil, ClientParams{Host: "h", GUID: "{1}", Joined: true, Streams: []uint8{1, 2}}), `GET / HTTP/1.0
Accept: */*
User-Agent: NSPlayer/12.0.7601.17514
Host: h
Pragma: no-cache,rate=1.000,request-context=2,xPlayStrm=1,stream-switch-count=2,stream-switch-entry=ffff:1:0 ffff:2:0,xClientGUID={1}
Connection: Close

`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := string(c.got), crlf(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What we send is what we understand, whether by hand or through net/http.
func TestOurRequestsAreClassified(t *testing.T) {
	p := ClientParams{Path: "/x", Host: "h", Streams: []uint8{1, 2}, ClientID: 7, HasClientID: true, Header: [][2]string{{"Via", "x"}}}
	joined := p
	joined.Joined = true
	for _, wire := range [][]byte{AppendDescribeRequest(nil, p), AppendPlayRequest(nil, p), AppendDescribeRequest(nil, joined), AppendPlayRequest(nil, joined)} {
		name := "describe"
		if bytes.Contains(wire, []byte("xPlayStrm")) {
			name = "play"
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			t.Fatal(err)
		}
		h := DescribeHeader(p)
		if name == "play" {
			h = PlayHeader(p)
		}
		byHand, byMap := Classify("GET", req.Header), Classify("GET", h)
		if byHand.Kind.String() != name || !reflect.DeepEqual(byHand, byMap) {
			t.Errorf("%s: by hand %+v\nby map %+v", name, byHand, byMap)
		}
		if byHand.Chunked || byHand.Tokens.Has("packet-pair-experiment") || byHand.Tokens.Has("pipeline-experiment") {
			t.Errorf("%s offers what a puller must not", name)
		}
	}
}

func TestPushHeaders(t *testing.T) {
	setup := Classify("POST", PushSetupHeader(""))
	if setup.Kind != PushSetup || setup.PushID != "0" || !setup.Agent.Encoder {
		t.Errorf("%+v", setup)
	}
	start := Classify("POST", PushStartHeader("abc"))
	if start.Kind != PushStart || start.PushID != "abc" {
		t.Errorf("%+v", start)
	}
	reply, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendPushSetupReply(nil, PushReply{PushID: "xyz"}))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if id := PushIDOf(reply.Header); id != "xyz" {
		t.Errorf("push-id %q", id)
	}
	if id := PushIDOf(header("Set-Cookie: a=1; push-id=2")); id != "" {
		t.Errorf("an attribute was taken for a cookie: %q", id)
	}
}

func TestReplyKind(t *testing.T) {
	for in, want := range map[string]ReplyKind{
		"application/vnd.ms.wms-hdr.asfv1": ReplyFramed, "Application/X-MMS-Framed; charset=x": ReplyFramed,
		"application/octet-stream": ReplyFramed, "video/x-ms-asf": ReplyFramed, "video/x-ms-wmv": ReplyFramed,
		"audio/x-ms-asx": ReplyPlaylist, "VIDEO/x-ms-asx": ReplyPlaylist, "text/html": ReplyUnknown, "": ReplyUnknown,
	} {
		t.Run("MUST-C1 "+in, func(t *testing.T) {
			if got := ReplyKindOf(in); got != want {
				t.Errorf("got %v", got)
			}
		})
	}
}
