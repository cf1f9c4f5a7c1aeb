package mmsh

import (
	"strconv"
	"time"
)

// Server headers that players and encoders accept: Windows clients treat any other product as an error. To viewers we
// are a live encoder (Rex), to encoders a media server (Cougar).
const (
	ServerViewer = "Rex/12.0.7600.16385"
	ServerPush   = "Cougar/9.6.7600.16564"
)

// DefaultTimeout is the session time-out that replies announce when ReplyParams names none.
const DefaultTimeout = 60 * time.Second

const (
	features  = `features="broadcast,playlist"`
	supported = "com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache"
)

// ReplyParams is what the reply heads to viewers depend on.
type ReplyParams struct {
	ClientID      uint32
	HasClientID   bool          // AppendEmptyHead only: name the session; Describe and Play always do
	Reset         bool          // the client named a session that is gone: xResetStrm=1
	V9            bool          // the client is 9.0 or above: Supported may be sent
	KeepAlive     bool          // Connection: Keep-Alive instead of close; never with Play
	ContentLength int           // bytes of the Describe body
	Timeout       time.Duration // idle time of a session; 0 is DefaultTimeout
	Chunked       bool          // Play: HTTP/1.1 with chunked coding, only when Request.Chunked
}

// AppendDescribeHead appends the head of a Describe reply; ContentLength bytes of $H follow, then close.
func AppendDescribeHead(dst []byte, r ReplyParams) []byte {
	dst = appendStreamHead(append(dst, "HTTP/1.0 200 OK\r\n"...), r)
	dst = append(dst, "Content-Type: "+TypeDescribe+"\r\n"...)
	dst = appendLength(dst, r.ContentLength)
	return endHead(dst, r.KeepAlive)
}

// AppendPlayHead appends the head of a Play reply; $H and $D follow without a length until the connection closes.
func AppendPlayHead(dst []byte, r ReplyParams) []byte {
	if r.Chunked {
		dst = append(dst, "HTTP/1.1 200 OK\r\n"...)
	} else {
		dst = append(dst, "HTTP/1.0 200 OK\r\n"...)
	}
	dst = appendStreamHead(dst, r)
	dst = append(dst, "Content-Type: "+TypeFramed+"\r\n"...)
	if r.Chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return endHead(dst, false)
}

// AppendEmptyHead appends a whole reply without a body: 200 or 204 to KeepAlive, Log, SendEvent, ContentInfo and Stop.
func AppendEmptyHead(dst []byte, status int, r ReplyParams) []byte {
	dst = appendStatus(dst, "HTTP/1.0 ", status)
	return appendEmpty(dst, r)
}

// AppendOptionsReply appends a whole reply to OPTIONS: the methods, and the session's Pragma when there is one.
func AppendOptionsReply(dst []byte, r ReplyParams) []byte {
	dst = append(dst, "HTTP/1.0 200 OK\r\n"...)
	dst = append(dst, "Allow: OPTIONS, GET, HEAD, POST\r\nPublic: OPTIONS, GET, HEAD, POST\r\n"...)
	return appendEmpty(dst, r)
}

func appendEmpty(dst []byte, r ReplyParams) []byte {
	dst = appendServer(dst, ServerViewer)
	dst = append(dst, "Pragma: no-cache"...)
	if r.HasClientID {
		dst = appendClientID(dst, r)
	}
	dst = appendTimeout(dst, r.Timeout)
	dst = appendSupported(dst, r.V9)
	dst = appendLength(dst, 0)
	return endHead(dst, r.KeepAlive)
}

func appendStreamHead(dst []byte, r ReplyParams) []byte {
	dst = appendServer(dst, ServerViewer)
	dst = append(dst, "Pragma: no-cache"...)
	dst = appendClientID(dst, r)
	dst = append(dst, ", "+features...)
	dst = appendTimeout(dst, r.Timeout)
	return appendSupported(dst, r.V9)
}

func appendServer(dst []byte, server string) []byte {
	dst = append(append(append(dst, "Server: "...), server...), "\r\n"...)
	return append(dst, "Cache-Control: no-cache\r\n"...)
}

func appendClientID(dst []byte, r ReplyParams) []byte {
	dst = strconv.AppendUint(append(dst, ", client-id="...), uint64(r.ClientID), 10)
	if r.Reset {
		dst = append(dst, ", xResetStrm=1"...)
	}
	return dst
}

// appendTimeout ends a Pragma line with the session time-out, at least the protocol's 1,000 ms.
func appendTimeout(dst []byte, d time.Duration) []byte {
	if d == 0 {
		d = DefaultTimeout
	}
	ms := max(d.Milliseconds(), 1000)
	return append(strconv.AppendInt(append(dst, ", timeout="...), ms, 10), "\r\n"...)
}

func appendSupported(dst []byte, v9 bool) []byte {
	if !v9 {
		return dst
	}
	return append(dst, "Supported: "+supported+"\r\n"...)
}

func appendLength(dst []byte, n int) []byte {
	return append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(n), 10), "\r\n"...)
}

func endHead(dst []byte, keepAlive bool) []byte {
	if keepAlive {
		return append(dst, "Connection: Keep-Alive\r\n\r\n"...)
	}
	return append(dst, "Connection: close\r\n\r\n"...)
}
