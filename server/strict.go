package server

import (
	"bytes"
	"errors"
)

// What makes a head ambiguous: a proxy in front of this server may read it another way,
// and then the two disagree about where a request ends, or whose it is.
var (
	errControl  = errors.New("a control character in the head")
	errName     = errors.New("a line whose name is no name (blanks before the colon, or a line that goes on)")
	errTwoHosts = errors.New("more than one Host line")
	errOldChunk = errors.New("Transfer-Encoding in a request of HTTP/1.0")
)

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
func wrongHead(err error) string {
	for _, known := range []error{errControl, errName, errTwoHosts, errOldChunk} {
		if errors.Is(err, known) {
			return "not an HTTP request: " + known.Error()
		}
	}
	return "not an HTTP request"
}
