package mmsh

import (
	"net/http"
	"strconv"
	"strings"
)

// Agents and GUID of the requests we send.
const (
	AgentV9   = "NSPlayer/12.0.7601.17514" // handles every packet type
	AgentOld  = "NSPlayer/4.1.0.3856"      // what the common free players call themselves
	GUIDPlain = "{c77e7400-738a-11d2-9add-0020af0a3278}"
)

// TokenRelay is a Pragma token of our own, which other servers ignore: the client is a Stream Pump that serves viewers
// itself. It may be further behind than a player, and when it lost the connection it asks with packet-num
// ([MS-WMSP] 3.2.5.6) for the LocationId to go on with, which a live server need not honour and players do not mean.
const TokenRelay = "stream-pump-relay" // #nosec G101 -- a name, the same for everybody

const (
	tokenPacketNum = "packet-num"
	anyPacket      = 0xFFFFFFFF // packet-num of a client that does not care
)

// ClientParams is what our requests as a player depend on. Control characters in strings are dropped.
type ClientParams struct {
	Path        string // request target: a path, or an absolute URL towards a proxy; spaces are escaped
	Host        string // with port
	Agent       string // "" is AgentV9
	GUID        string // "" is GUIDPlain; random for each session by recommendation
	ClientID    uint32
	HasClientID bool
	Streams     []uint8 // Play: the streams to switch on; none leaves the choice to the server
	Relay       bool    // Play: we are a Stream Pump ourselves, see [TokenRelay]
	From        uint32  // Play: LocationId to begin with, where HasFrom
	HasFrom     bool
	// Joined puts all tokens into one Pragma line: some HTTP proxies (tinyproxy) pass on only
	// one line of a name.
	Joined bool
	Header [][2]string // further lines, such as Authorization
}

// AppendDescribeRequest appends a Describe request in HTTP/1.0, so that no server chunks or keeps the connection.
func AppendDescribeRequest(dst []byte, p ClientParams) []byte {
	return appendRequest(dst, p, []string{describePragma})
}

// AppendPlayRequest appends a Play request for p.Streams, in HTTP/1.0.
func AppendPlayRequest(dst []byte, p ClientParams) []byte {
	return appendRequest(dst, p, append([]string{playPragma, "xPlayStrm=1"}, sessionPragmas(p)...))
}

const (
	describePragma = "no-cache,rate=1.000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0"
	playPragma     = "no-cache,rate=1.000,request-context=2"
)

func appendRequest(dst []byte, p ClientParams, pragmas []string) []byte {
	dst = append(appendTarget(append(dst, "GET "...), p.Path), " HTTP/1.0\r\nAccept: */*\r\n"...)
	dst = appendField(dst, "User-Agent", p.agent())
	dst = appendField(dst, "Host", p.Host)
	pragmas = append(pragmas, "xClientGUID="+p.guid())
	if p.Joined {
		pragmas = []string{strings.Join(pragmas, ",")}
	}
	for _, line := range pragmas {
		dst = appendField(dst, "Pragma", line)
	}
	for _, f := range p.Header {
		dst = appendField(dst, f[0], f[1])
	}
	return append(dst, "Connection: Close\r\n\r\n"...)
}

func appendTarget(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == ' ':
			dst = append(dst, "%20"...)
		case c > ' ' && c != 0x7F:
			dst = append(dst, c)
		}
	}
	return dst
}

// sessionPragmas are the lines of a Play that depend on the Describe before it.
func sessionPragmas(p ClientParams) []string {
	var lines []string
	if p.HasClientID {
		lines = append(lines, "client-id="+strconv.FormatUint(uint64(p.ClientID), 10))
	}
	if p.Relay {
		lines = append(lines, TokenRelay+"=1")
	}
	if p.HasFrom {
		lines = append(lines, tokenPacketNum+"="+strconv.FormatUint(uint64(p.From), 10))
	}
	if len(p.Streams) == 0 {
		return lines
	}
	entries := []byte("stream-switch-entry=")
	for i, s := range p.Streams {
		if i > 0 {
			entries = append(entries, ' ')
		}
		entries = strconv.AppendUint(append(entries, "ffff:"...), uint64(s), 16)
		entries = append(entries, ":0"...)
	}
	return append(lines, "stream-switch-count="+strconv.Itoa(len(p.Streams)), string(entries))
}

func (p *ClientParams) agent() string {
	if p.Agent == "" {
		return AgentV9
	}
	return p.Agent
}

func (p *ClientParams) guid() string {
	if p.GUID == "" {
		return GUIDPlain
	}
	return p.GUID
}

// DescribeHeader is the header of [AppendDescribeRequest] for callers that send with net/http; Host is not in it.
func DescribeHeader(p ClientParams) http.Header {
	return clientHeader(p, []string{describePragma})
}

// PlayHeader is the header of [AppendPlayRequest] for callers that send with net/http; Host is not in it.
func PlayHeader(p ClientParams) http.Header {
	return clientHeader(p, append([]string{playPragma, "xPlayStrm=1"}, sessionPragmas(p)...))
}

func clientHeader(p ClientParams, pragmas []string) http.Header {
	h := http.Header{
		"Accept":     {"*/*"},
		"User-Agent": {p.agent()},
		"Pragma":     append(pragmas, "xClientGUID="+p.guid()),
	}
	for _, f := range p.Header {
		h.Add(f[0], f[1])
	}
	return h
}

// ClientIDOf is the session that a server's reply names.
func ClientIDOf(h http.Header) (id uint32, ok bool) {
	return ParseTokens(h).Uint32("client-id")
}

// ReplyKind is what the body of a server's reply is, by its Content-Type.
type ReplyKind uint8

// Kinds of replies.
const (
	ReplyUnknown  ReplyKind = iota
	ReplyFramed             // MMSH, or plain ASF: the first bytes tell
	ReplyPlaylist           // ASX or [Reference] text: follow its first entry; video/x-ms-asf may be one too
)

// ReplyKindOf tells it without case, parameters ignored. Servers label MMSH in several ways, so look at the first bytes
// of a framed reply too: [LooksLikePlaylist], then [DetectFraming].
func ReplyKindOf(contentType string) ReplyKind {
	name := mediaType(contentType)
	switch {
	case foldAny(name, "audio/x-ms-asx", "video/x-ms-asx", "audio/x-ms-wax", "video/x-ms-wvx"):
		return ReplyPlaylist
	case foldAny(name, TypeDescribe, TypeFramed, "application/octet-stream", TypeASF, "video/x-ms-wmv", "audio/x-ms-wma"):
		return ReplyFramed
	}
	return ReplyUnknown
}
