package mmsh

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// PushReply is what a reply to PushSetup or PushStart depends on.
type PushReply struct {
	PushID  string        // Set-Cookie; at most 255 letters and digits, not "0"
	Timeout time.Duration // 0 is DefaultTimeout
	Close   bool          // the stream has ended: Connection: close
}

// AppendPushSetupReply appends the whole 204 to a PushSetup, with the header names in the spelling that encoders
// insist on. The connection stays open. [MS-WMHTTP] 2.2.2.1.
func AppendPushSetupReply(dst []byte, r PushReply) []byte { return appendPushReply(dst, r) }

// AppendPushStartReply appends the whole 204 to a PushStart whose body is complete: the same lines as to the
// PushSetup. [MS-WMHTTP] 3.2.5.2.1.
func AppendPushStartReply(dst []byte, r PushReply) []byte { return appendPushReply(dst, r) }

func appendPushReply(dst []byte, r PushReply) []byte {
	dst = append(dst, "HTTP/1.1 204 No Content\r\nServer: "+ServerPush+"\r\nContent-Length: 0\r\n"...)
	dst = appendTimeout(append(dst, "Pragma: no-cache"...), r.Timeout)
	dst = append(dst, "Cache-Control: no-cache\r\n"...)
	if r.PushID != "" {
		dst = appendField(dst, "Set-Cookie", "push-id="+r.PushID)
	}
	return endHead(appendSupported(dst, true), !r.Close)
}

// MaxPushID bounds a push-id, in characters. [MS-WMHTTP] 2.2.1.2.
const MaxPushID = 255

// ValidPushID reports whether s can name a push session: letters and digits, 1 to 255 of them, not "0".
func ValidPushID(s string) bool {
	if s == "" || s == "0" || len(s) > MaxPushID {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// SetupOptions is the body of a PushSetup. [MS-WMHTTP] 2.2.2.1.
type SetupOptions struct {
	TemplateURL string // create the publishing point like that one
	AutoDestroy bool   // remove the publishing point at the end
}

// ParseSetupOptions reads the body of a PushSetup: lines of name and value. Empty bodies and unknown lines are fine.
func ParseSetupOptions(body []byte) SetupOptions {
	var o SetupOptions
	for line := range bytes.Lines(body[:min(len(body), MaxPushSetup)]) {
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "template-url":
			o.TemplateURL = value
		case "autodestroy":
			n, ok := leadingUint32(value)
			o.AutoDestroy = ok && n != 0
		}
	}
	return o
}

// PushAgent is the User-Agent of a push encoder.
const PushAgent = "WMEncoder/12.0.7600.16385"

// PushBodyLength is the Content-Length that a PushStart promises when nothing hints at a proxy. [MS-WMHTTP] 3.1.4.2.1.
const PushBodyLength = 2147483647

// PushSetupHeader is the header of a PushSetup that we send. pushID is "" for a new session.
func PushSetupHeader(pushID string) http.Header {
	h := pushHeader(TypePushSetup, pushID)
	h.Set("X-Accept-Authentication", "Negotiate, NTLM, Digest")
	h.Set("Cache-Control", "no-cache")
	return h
}

// PushStartHeader is the header of a PushStart that we send; the caller sets the length of the body, which must not be
// chunked.
func PushStartHeader(pushID string) http.Header { return pushHeader(TypePushStart, pushID) }

func pushHeader(contentType, pushID string) http.Header {
	if pushID == "" {
		pushID = "0"
	}
	return http.Header{
		"Content-Type": {contentType},
		"User-Agent":   {PushAgent},
		"Cookie":       {"push-id=" + pushID},
	}
}

// PushIDOf is the push-id that a server's reply sets, "" when it sets none.
func PushIDOf(h http.Header) string {
	for _, line := range h["Set-Cookie"] {
		first, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(first, "=")
		if strings.EqualFold(strings.TrimSpace(name), "push-id") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
