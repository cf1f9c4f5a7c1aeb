package mmsh

import "fmt"

// RequestKind is what a request asks for.
type RequestKind uint8

// Kinds of requests, with the answer each wants.
const (
	Bad          RequestKind = iota // 400
	Describe                        // the header, then close
	Play                            // the stream
	PlayNext                        // PlayNextEntry, pipelined: as Play
	KeepAlive                       // POST xKeepAliveInPause=1: empty 200, needs a client-id
	Options                         // KeepAlive, pipelined: empty 200
	SelectStream                    // empty 200, needs a client-id
	Log                             // W3C line in a token: empty 204
	LogXML                          // XML in the body: empty 204
	SendEvent                       // event text in the body: empty 200
	ContentInfo                     // asked by a cache: empty 200
	Stop                            // pipelined: empty 200, needs a client-id
	PipelineTest                    // 400 unless pipelining was offered
	PushSetup                       // [MS-WMHTTP] 2.2.2.1
	PushStart                       // [MS-WMHTTP] 2.2.2.2
	PushOther                       // POST or PUT of something else: a push if the path is a push path, else 400
	Web                             // GET by another agent: a playlist or plain ASF, never framed bytes
	HeadWeb                         // HEAD
)

var requestNames = [...]string{
	"bad", "describe", "play", "play-next", "keep-alive", "options", "select-stream", "log", "log-xml", "send-event",
	"content-info", "stop", "pipeline-test", "push-setup", "push-start", "push-other", "web", "head",
}

// String names the kind in one lower-case word.
func (k RequestKind) String() string {
	if int(k) < len(requestNames) {
		return requestNames[k]
	}
	return fmt.Sprintf("request %d", uint8(k))
}

// NeedsSession reports whether a request of this kind without a known client-id is to be refused with 400.
func (k RequestKind) NeedsSession() bool {
	switch k {
	case KeepAlive, SelectStream, Stop, PlayNext, PipelineTest:
		return true
	}
	return false
}

// HasBody reports whether a request of this kind may carry bytes that have to be read.
func (k RequestKind) HasBody() bool {
	switch k {
	case LogXML, SendEvent, ContentInfo, PushSetup, PushStart, PushOther:
		return true
	}
	return false
}

// Largest bodies of requests, in bytes.
const (
	MaxRequestHead  = 16 << 10
	MaxLogBody      = 64 << 10
	MaxPushSetup    = 4 << 10
	MaxSmallBody    = 4 << 10 // everything else but a PushStart
	maxClientLagMS  = 15_000
	maxSwitchEntry  = 128 // streams have seven bits
	maxCookieLength = 4 << 10
)
