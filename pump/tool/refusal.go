package tool

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/stream-pump/stream-pump/mmsh"
)

// StatusError is a server's refusal.
type StatusError struct {
	Address string // without secrets
	Status  int
	Text    string // first line of what the server said; may be empty
	Hint    string // what may be wrong; may be empty
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.Address, e.Status, mmsh.StatusText(e.Status))
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// maxRefusal is how much of a refusal is read, in bytes.
const maxRefusal = 4096

// refusalOf makes an error of a reply; the body is read within the connection's deadline.
func refusalOf(a address, resp *http.Response) *StatusError {
	e := &StatusError{Address: a.String(), Status: resp.StatusCode}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		e.Text = firstLine(string(body))
	}
	switch resp.StatusCode {
	case http.StatusServiceUnavailable:
		e.Hint = "not live"
	case http.StatusUnauthorized:
		e.Hint = "it wants other credentials, which stand in front of the host: USER:PASSWORD@HOST"
	}
	return e
}

// firstLine is the first line of a foreign text, printable and short.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSpace(s)
}
