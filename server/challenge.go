package server

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// challengePrefix is where an authority looks whether a name is ours. RFC 8555, 8.3.
const challengePrefix = "/.well-known/acme-challenge/"

// isChallenge tells whether a request is an authority's, which is answered on a goroutine:
// the answer may come from a file.
func (s *Server) isChallenge(r *request) bool {
	return s.opts.Challenges != nil && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, challengePrefix)
}

// challenge answers an authority, with the request read again from its first byte.
func (d *door) challenge() {
	_ = d.conn.SetDeadline(time.Now().Add(d.srv.settings.Load().HeadTimeout))
	if d.br == nil {
		d.br = bufio.NewReaderSize(d.conn, d.srv.settings.Load().HeadSize)
	}
	req, err := http.ReadRequest(d.br)
	if err != nil {
		return
	}
	w := &shortReply{header: http.Header{}, status: http.StatusOK}
	d.srv.opts.Challenges.ServeHTTP(w, req.WithContext(d.ctx))
	d.srv.count(w.status)
	_, _ = fmt.Fprintf(d.conn, "HTTP/1.0 %d %s\r\nServer: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		w.status, http.StatusText(w.status), mmsh.ServerViewer, w.body.Len(), w.body.Bytes())
	d.hangUp()
}

// shortReply is a reply in memory; what is longer than an answer to a challenge is cut.
type shortReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

const maxShortReply = 4 << 10 // bytes

// Header implements http.ResponseWriter.
func (w *shortReply) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *shortReply) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *shortReply) Write(b []byte) (int, error) {
	w.body.Write(b[:min(len(b), maxShortReply-w.body.Len())])
	return len(b), nil
}
