package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// What makes a head ambiguous: a proxy in front of this server may read it another way,
// and then the two disagree about where a request ends, or whose it is.
var (
	errControl  = errors.New("a control character in the head")
	errName     = errors.New("a line whose name is no name (blanks before the colon, or a line that goes on)")
	errTwoHosts = errors.New("more than one Host line")
	errOldChunk = errors.New("Transfer-Encoding in a request of HTTP/1.0")
)

// What makes a head no request of a kind that this server answers.
var (
	errLine    = errors.New("the first line is not METHOD ADDRESS HTTP/1.1")
	errVersion = errors.New("this server speaks HTTP/1.0 and HTTP/1.1")
	errTarget  = errors.New("the address cannot be read (an escape is % and two hexadecimal digits)")
	errLength  = errors.New("the length cannot be read (one Content-Length in decimal digits, or Transfer-Encoding: chunked)")
	errExpect  = errors.New("an expectation other than 100-continue")
)

// wrongLine tells whether the beginning of a head cannot become a request, which need not
// be waited for then: its first line is whole and names no version of HTTP.
func wrongLine(begun []byte) bool {
	line, _, whole := bytes.Cut(begun, []byte("\n"))
	return whole && len(bytes.TrimSuffix(line, []byte("\r"))) > 0 && !bytes.Contains(line, []byte(" HTTP/"))
}

// whyUnread gives an error of [http.ReadRequest] a name.
func whyUnread(head []byte, err error) error {
	var escape url.EscapeError
	text := err.Error()
	switch {
	case errors.As(err, &escape), strings.Contains(text, "invalid URI"):
		return errTarget
	case strings.Contains(text, "Content-Length"), strings.Contains(text, "transfer encoding"):
		return errLength
	case wrongLine(head), strings.Contains(text, "malformed HTTP"):
		return errLine
	}
	return err
}

// unheard tells what of a request that can be read is not known here.
func unheard(req *http.Request) error {
	switch {
	case req.ProtoMajor != 1:
		return errVersion
	case req.ProtoAtLeast(1, 1) && req.Header.Get("Expect") != "" && !expectsContinue(req):
		return errExpect
	}
	return nil
}

// expectsContinue tells whether the client waits to be invited before it sends its body.
func expectsContinue(req *http.Request) bool {
	return req.ProtoAtLeast(1, 1) && strings.EqualFold(strings.TrimSpace(req.Header.Get("Expect")), "100-continue")
}

// invitation has such a client send its body.
const invitation = "HTTP/1.1 100 Continue\r\n\r\n"

// unambiguous refuses what [http.ReadRequest] lets pass: most of it is looked at by
// net/http's own server only. The rest, such as two different lengths, is refused by
// ReadRequest.
func unambiguous(head []byte) error {
	first, rest, _ := bytes.Cut(head, []byte("\n"))
	if holdsControl(first) {
		return errControl
	}
	old := !bytes.HasSuffix(bytes.TrimRight(first, "\r "), []byte("HTTP/1.1"))
	hosts := 0
	for line := range bytes.Lines(rest) {
		if holdsControl(bytes.TrimSuffix(line, []byte("\n"))) {
			return errControl
		}
		name, _, isField := bytes.Cut(line, []byte(":"))
		switch {
		case isField && !isToken(name), line[0] == ' ', line[0] == '\t':
			return errName // "Transfer-Encoding : chunked" would be a line that nobody knows
		case bytes.EqualFold(name, []byte("Host")):
			if hosts++; hosts > 1 {
				return errTwoHosts
			}
		case old && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return errOldChunk // ReadRequest passes over it, others do not
		}
	}
	return nil
}

// holdsControl tells whether a line, without its LF, holds a control character other
// than a tab, or than the CR at its end.
func holdsControl(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte("\r"))
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7F {
			return true
		}
	}
	return false
}

// isToken tells whether a name may stand in front of a colon. RFC 9110 5.6.2.
func isToken(name []byte) bool {
	for _, c := range name {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0:
			return false
		}
	}
	return len(name) > 0
}

// wrongHead is what a client is told of an error of parseHead. What it sent is not
// repeated to it.
func wrongHead(err error) (status int, text string) {
	switch {
	case errors.Is(err, errVersion):
		return http.StatusHTTPVersionNotSupported, errVersion.Error()
	case errors.Is(err, errExpect):
		return http.StatusExpectationFailed, errExpect.Error()
	}
	for _, known := range []error{errControl, errName, errTwoHosts, errOldChunk, errLine, errTarget, errLength} {
		if errors.Is(err, known) {
			return http.StatusBadRequest, "not an HTTP request: " + known.Error()
		}
	}
	return http.StatusBadRequest, "not an HTTP request"
}

// refuseHead is the answer to a head that is no request, of which the operator is told too;
// of many, in one line.
func (s *Server) refuseHead(remote netip.AddrPort, status int, text string) answer {
	s.repeats.Log(slog.LevelInfo, "no request "+text, "request refused", slog.String("address", remote.String()),
		slog.Int("status", status), slog.String("reason", text))
	return s.refuse(status, text, false)
}
