package mmsh

import (
	"net/http"
	"strings"
	"time"
)

// Request is a request as the protocol sees it. Strings come from the client and are never to be trusted.
type Request struct {
	Kind         RequestKind
	Agent        Agent
	ClientID     uint32
	HasClientID  bool
	PlayerGUID   string // xClientGUID as sent; often a constant, never a key
	Tokens       Tokens
	StreamSwitch []SwitchEntry
	Chunked      bool // the client asked for chunked coding of a Play (version11-enabled is not 0)
	Context      uint32
	ClientLag    time.Duration // how long a stream change may be held back, at most 15 s
	Relay        bool          // the client is a Stream Pump, see TokenRelay
	From         uint32        // LocationId that a relay wants to go on with, where HasFrom
	HasFrom      bool
	PushID       string // push-id of the Cookie header, "" when there is none
}

// Classify tells what a request is by its method and headers, and collects what the answer depends on. It never errs:
// what is not understood is [Bad], [PushOther] or [Web].
func Classify(method string, h http.Header) Request {
	r := Request{Agent: ParseAgent(h.Get("User-Agent")), Tokens: ParseTokens(h)}
	r.ClientID, r.HasClientID = r.Tokens.Uint32("client-id")
	r.PlayerGUID, _ = r.Tokens.Get("xclientguid")
	r.StreamSwitch = switchEntries(r.Tokens)
	r.Chunked = r.Tokens.set("version11-enabled")
	r.Context, _ = r.Tokens.Uint32("request-context")
	lag, _ := r.Tokens.Uint32("client-lag")
	r.ClientLag = time.Duration(min(lag, maxClientLagMS)) * time.Millisecond
	r.Relay = r.Tokens.set(TokenRelay)
	r.From, r.HasFrom = r.Tokens.Uint32(tokenPacketNum)
	r.HasFrom = r.HasFrom && r.Relay && r.From != anyPacket
	r.PushID = pushID(h)
	r.Kind = r.kind(method, mediaType(h.Get("Content-Type")))
	return r
}

func (r *Request) kind(method, contentType string) RequestKind {
	switch method {
	case http.MethodOptions:
		return Options
	case http.MethodPost:
		return r.post(contentType)
	case http.MethodPut:
		return PushOther
	case http.MethodGet:
		return r.get()
	case http.MethodHead:
		return HeadWeb
	}
	return Bad
}

// Content types of requests and replies.
const (
	TypePushSetup   = "application/x-wms-pushsetup"
	TypePushStart   = "application/x-wms-pushstart"
	TypeLogStats    = "application/x-wms-LogStats"
	TypeSendEvent   = "application/x-wms-sendevent"
	TypeContentInfo = "application/x-wms-getcontentinfo"
	TypeDescribe    = "application/vnd.ms.wms-hdr.asfv1"
	TypeFramed      = "application/x-mms-framed"
	TypePlaylist    = "video/x-ms-asf" // ASX and [Reference] text alike
	TypeASF         = "video/x-ms-asf"
)

func (r *Request) post(contentType string) RequestKind {
	switch {
	case strings.EqualFold(contentType, TypePushSetup):
		return PushSetup
	case strings.EqualFold(contentType, TypePushStart):
		return PushStart
	case strings.EqualFold(contentType, TypeLogStats):
		return LogXML
	case r.Tokens.Has("log-line"):
		return Log
	case strings.EqualFold(contentType, TypeSendEvent):
		return SendEvent
	case strings.EqualFold(contentType, TypeContentInfo):
		return ContentInfo
	case r.Tokens.one("xstopstrm"):
		return Stop
	case r.Tokens.one("xkeepaliveinpause"):
		return KeepAlive
	case r.hasSwitch():
		return SelectStream
	}
	return PushOther
}

func (r *Request) get() RequestKind {
	switch {
	case r.Tokens.one("pipeline-request"):
		return PipelineTest
	case r.Tokens.one("xplaynextentry"):
		return PlayNext
	case r.Tokens.one("xplaystrm"):
		return Play
	case r.hasSwitch() && r.HasClientID:
		return SelectStream
	case r.Agent.MMSH:
		return Describe
	}
	return Web
}

// ForSession is the kind of a request once it is known whether its client-id names a session: a GET that selects
// streams for no session is an ordinary Describe, or the Web's.
func (r *Request) ForSession(method string, known bool) RequestKind {
	if r.Kind != SelectStream || method != http.MethodGet || known {
		return r.Kind
	}
	if r.Agent.MMSH {
		return Describe
	}
	return Web
}

// V9 reports whether the reply may use what came with version 9.
func (r *Request) V9() bool { return !r.Agent.Old() }

func mediaType(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(name)
}

// pushID finds push-id among the cookies; encoders write `a=2 ; push-id=123`.
func pushID(h http.Header) string {
	for _, line := range h["Cookie"] {
		for part := range strings.SplitSeq(line[:min(len(line), maxCookieLength)], ";") {
			name, value, _ := strings.Cut(part, "=")
			if strings.EqualFold(strings.TrimSpace(name), "push-id") {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}

// mmstMark is what a player sends first when it tries the older TCP protocol: 1, then 0xB00BFACE. [MS-MMSP] 2.2.3.
var mmstMark = []byte{0x01, 0, 0, 0, 0xCE, 0xFA, 0x0B, 0xB0}

// IsMMST reports whether a connection's first bytes are the older TCP protocol (yes) or may still turn out to be
// (maybe). Such a connection is answered by shutting down the write side; the player then falls back to HTTP.
func IsMMST(first []byte) (yes, maybe bool) {
	if len(first) == 0 {
		return false, true
	}
	if !partOf(first, mmstMark) {
		return false, false
	}
	return len(first) >= len(mmstMark), len(first) < len(mmstMark)
}
