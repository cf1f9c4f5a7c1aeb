package mmsh

import (
	"net/http"
	"strconv"
	"time"
)

// StatusNotEnoughBandwidth is how an MMSH client is told that a limit is reached; others get 503.
const StatusNotEnoughBandwidth = 453

// StatusText is the reason phrase of a status line; libmms cannot parse one without.
func StatusText(status int) string {
	if status == StatusNotEnoughBandwidth {
		return "Not Enough Bandwidth"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Status"
}

func appendStatus(dst []byte, proto string, status int) []byte {
	dst = strconv.AppendInt(append(dst, proto...), int64(status), 10)
	return append(append(append(dst, ' '), StatusText(status)...), "\r\n"...)
}

// ErrorParams is what an error reply depends on.
type ErrorParams struct {
	Status     int
	Text       string        // body for people, one line; the reason phrase when empty
	RetryAfter time.Duration // 503: rounded up to whole seconds; 0 leaves the header out
	Location   string        // 3xx: where to; control characters are dropped
	Allow      string        // 405: the methods
	Challenges []string      // 401: one WWW-Authenticate line each
	HeadOnly   bool          // the request was HEAD: the length without the body
	Push       bool          // the client is an encoder: Server: Cougar
	KeepAlive  bool          // the connection stays open: the client tries again on it
}

// AppendError appends a whole error or redirect reply: short text, its length, and close unless KeepAlive.
func AppendError(dst []byte, e ErrorParams) []byte {
	text := e.Text
	if text == "" {
		text = StatusText(e.Status)
	}
	dst = appendServer(appendStatus(dst, e.proto(), e.Status), e.server())
	for _, c := range e.Challenges {
		dst = appendField(dst, "WWW-Authenticate", c)
	}
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		dst = appendField(dst, "Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if e.Location != "" {
		dst = appendField(dst, "Location", e.Location)
	}
	if e.Allow != "" {
		dst = appendField(dst, "Allow", e.Allow)
	}
	return appendTextBody(dst, text, e.HeadOnly, e.KeepAlive)
}

func (e *ErrorParams) server() string {
	if e.Push {
		return ServerPush
	}
	return ServerViewer
}

func (e *ErrorParams) proto() string {
	if e.Push {
		return "HTTP/1.1 "
	}
	return "HTTP/1.0 "
}

func appendTextBody(dst []byte, text string, headOnly, keepAlive bool) []byte {
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"...)
	dst = endHead(appendLength(dst, len(text)+1), keepAlive)
	if headOnly {
		return dst
	}
	return append(append(dst, text...), '\n')
}

// appendField appends a header line; control characters, which could end it, are dropped.
func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(appendClean(dst, value), "\r\n"...)
}

func appendClean(dst []byte, value string) []byte {
	for i := 0; i < len(value); i++ {
		if value[i] >= ' ' && value[i] != 0x7F {
			dst = append(dst, value[i])
		}
	}
	return dst
}
