package server

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/stream-pump/stream-pump/mmsh"
)

var headReaders = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// headEnd returns the length of the request head at the start of b with its empty
// line, or 0 when it is not whole. Lines end in CR LF or in LF alone.
func headEnd(b []byte) int {
	end := 0
	if i := bytes.Index(b, []byte("\n\r\n")); i >= 0 {
		end = i + 3
		b = b[:end]
	}
	if i := bytes.Index(b, []byte("\n\n")); i >= 0 {
		end = i + 2
	}
	return end
}

// parseHead reads a whole request head. The request's Body is not to be used.
func parseHead(head []byte) (*http.Request, error) {
	if err := unambiguous(head); err != nil {
		return nil, err
	}
	br := headReaders.Get().(*bufio.Reader)
	defer headReaders.Put(br)
	br.Reset(bytes.NewReader(head))
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, whyUnread(head, err)
	}
	return req, unheard(req)
}

// plausible tells whether a connection's first bytes may be a request: a method begins
// with a letter.
func plausible(first byte) bool {
	return first >= 'A' && first <= 'Z' || first >= 'a' && first <= 'z' || first == '\r' || first == '\n'
}

// readHead works on what has arrived of a request's head and tells whether there may
// be more to do at once: the connection has a new phase and bytes are left.
func (c *conn) readHead() bool {
	buf, _ := c.gc.Peek(-1)
	if len(buf) == 0 {
		return false
	}
	if !c.greeted {
		if buf = c.greet(buf); len(buf) == 0 {
			return false
		}
	}
	if yes, maybe := mmsh.IsMMST(buf); yes {
		_, _ = c.gc.Discard(-1)
		c.hangUp(lingerTime) // half-closed: the player falls back to HTTP at once
		return false
	} else if maybe {
		return false
	}
	if !plausible(buf[0]) {
		c.refuseHead(400, notHTTP(buf[0]))
		return false
	}
	end, most := headEnd(buf), c.srv.settings.Load().HeadSize
	switch {
	case end == 0 && wrongLine(buf):
		c.refuseHead(wrongHead(errLine))
		return false
	case end == 0 && len(buf) < most:
		return false
	case end == 0 || end > most:
		c.refuseHead(largeHead(most))
		return false
	}
	req, err := parseHead(buf[:end])
	if err != nil {
		c.refuseHead(wrongHead(err))
		return false
	}
	return c.handle(req, end)
}

// largeHead is what a client is told whose head does not end within most bytes.
func largeHead(most int) (status int, text string) {
	return http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request's head is larger than %d bytes", most)
}

// notHTTP is what a client is told that begins with what no method begins with.
func notHTTP(first byte) string {
	if first == handshakeRecord {
		return "TLS is not spoken at this port, it takes plain HTTP"
	}
	return "not an HTTP request (this is an HTTP port)"
}

// handshakeRecord is how a connection of TLS begins.
const handshakeRecord = 0x16

// refuseHead is refuse for a head that is no request.
func (c *conn) refuseHead(status int, text string) {
	_, _ = c.gc.Discard(-1)
	c.give(c.srv.refuseHead(c.remote, status, text))
}

// refuse answers with an error, passes over whatever else comes, and closes.
func (c *conn) refuse(status int, text string) {
	_, _ = c.gc.Discard(-1)
	c.give(c.srv.refuse(status, text, false))
}

// handle acts on a request whose head is the next end bytes. See readHead for the
// result.
func (c *conn) handle(req *http.Request, end int) bool {
	c.headed()
	r := &request{Request: req, remote: c.remote, ctx: c.srv.ctx}
	a := c.srv.route(r)
	if a.later {
		c.decide(r, end)
		return false
	}
	return c.proceed(req, a, end)
}

// proceed gives the answer to a request whose head is the next end bytes. See readHead
// for the result.
func (c *conn) proceed(req *http.Request, a answer, end int) bool {
	if a.handOver != nil || a.watch != nil && a.watch.plain {
		c.handOver(a)
		return false
	}
	_, _ = c.gc.Discard(end)
	body := req.ContentLength
	switch {
	case len(req.TransferEncoding) > 0, body > maxBody:
		a.drop()
		c.refuse(413, fmt.Sprintf("the request's body is larger than %d bytes or of unknown length", maxBody))
		return false
	case body > 0:
		if expectsContinue(req) && c.gc.InboundBuffered() == 0 && !c.send([]byte(invitation)) {
			a.drop()
			return false
		}
		c.answer, c.skip = a, int(body)
		c.await(readingBody, c.srv.settings.Load().HeadTimeout)
		return true
	}
	c.give(a)
	return c.gc.InboundBuffered() > 0 && c.phase != gone
}

// wantsKeepAlive tells whether the request asks by name to keep the connection.
func wantsKeepAlive(h http.Header) bool {
	for _, v := range h.Values("Connection") {
		for _, item := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), "keep-alive") {
				return true
			}
		}
	}
	return false
}
