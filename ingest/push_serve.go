package ingest

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// pushRequest is one request on its way through the door.
type pushRequest struct {
	*pushConn
	req    *http.Request
	br     *bufio.Reader // where the body comes from
	target *Target
	kind   mmsh.RequestKind
	id     string      // push-id of the cookie, "" or "0" when there is none
	pass   access.Pass // what the encoder was let in with, by this request or one before
	log    *slog.Logger

	takeOver bool   // who is there was found to have to give way
	header   []byte // of the session, when the body goes on with it
	framing  mmsh.Framing
}

// serve answers one request and tells whether another may follow on the connection.
func (c *pushConn) serve(req *http.Request, br *bufio.Reader) bool {
	r := &pushRequest{pushConn: c, req: req, br: br}
	path, ok := pushPath(req.URL.Path)
	if ok {
		r.target, ok = c.push.opts.Lookup(path)
	}
	if !ok || r.target == nil {
		return r.unknown()
	}
	r.log = c.push.opts.Log.With(slog.String("stream", r.target.Stream.Path()), slog.String("address", c.peer.String()),
		slog.String("agent", printable(req.UserAgent())))
	classified := mmsh.Classify(req.Method, req.Header)
	r.kind, r.id = classified.Kind, classified.PushID
	switch {
	case r.kind == mmsh.PushSetup:
		return r.setup()
	case r.kind == mmsh.PushStart:
		return r.start()
	case req.Method == http.MethodPost || req.Method == http.MethodPut:
		return r.other()
	}
	r.fail(r.br, mmsh.ErrorParams{Status: http.StatusMethodNotAllowed, Allow: "POST, PUT", Text: "this address takes a pushed stream"})
	return false
}

// unknown answers who pushes to a stream that nobody has configured. Encoders show little of an answer, so that the
// log tells it too: one line at a time, whatever strangers ask for.
func (r *pushRequest) unknown() bool {
	r.push.noted.Log(slog.LevelWarn, "unknown stream", "push refused", slog.String("path", printable(r.req.URL.Path)), slog.String("address", r.peer.String()),
		slog.String("agent", printable(r.req.UserAgent())), slog.Int("status", http.StatusNotFound), slog.String("reason", "no stream of type mmsh_push is there"))
	return r.refuse(http.StatusNotFound, "no such stream")
}

// pushPath takes PATH out of /streams/PATH_push; the fixed parts match in any case, one final slash is ignored.
func pushPath(path string) (string, bool) {
	const prefix, suffix = "/streams/", "_push"
	path = strings.TrimSuffix(path, "/")
	if len(path) <= len(prefix)+len(suffix) || !strings.EqualFold(path[:len(prefix)], prefix) {
		return "", false
	}
	name := path[len(prefix) : len(path)-len(suffix)]
	return name, strings.EqualFold(path[len(path)-len(suffix):], suffix) && !strings.Contains(name, "/")
}

// refuse answers with an error; nothing follows.
func (r *pushRequest) refuse(status int, text string) bool {
	if r.log != nil {
		r.log.Info("push refused", slog.Int("status", status), slog.String("reason", text))
	}
	r.fail(r.br, mmsh.ErrorParams{Status: status, Text: text})
	return false
}

// setup answers a PushSetup: [MS-WMHTTP] 3.2.5.1. An encoder that has not been asked for credentials yet, or whose
// answer has aged, may try again on the same connection, as its own example does; a new connection is fine as well.
func (r *pushRequest) setup() bool {
	denied := r.enter()
	if denied != nil && (!again(denied) || r.expects()) {
		return r.deny(denied)
	}
	r.expect()
	r.allow(r.push.times.Load().head)
	body, err := io.ReadAll(io.LimitReader(r.req.Body, mmsh.MaxPushSetup+1))
	switch {
	case err == nil && len(body) <= mmsh.MaxPushSetup && denied != nil:
		challenge := r.denial(denied)
		challenge.KeepAlive = true
		return r.write(mmsh.AppendError(nil, challenge))
	case err != nil:
		return r.refuse(http.StatusBadRequest, "the body of the setup is incomplete")
	case len(body) > mmsh.MaxPushSetup:
		return r.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body of a setup may have %d bytes", mmsh.MaxPushSetup))
	}
	s := r.known()
	if s == nil && r.id != "" && r.id != "0" {
		return r.refuse(http.StatusBadRequest, "push-id is not known here: begin with push-id=0")
	}
	if busy := r.busyStill(s); busy != nil {
		return r.refuse(http.StatusConflict, busy.Error())
	}
	if s == nil {
		if s = r.push.newSession(r.target.Stream, r.peer.Addr(), r.pass); s == nil {
			return r.refuse(http.StatusServiceUnavailable, "too many push sessions")
		}
	} else {
		r.push.touch(s)
	}
	r.log.Debug("push session set up", slog.Any("options", mmsh.ParseSetupOptions(body)))
	return r.write(mmsh.AppendPushSetupReply(nil, mmsh.PushReply{PushID: s.id, Timeout: r.push.times.Load().idle}))
}

// known returns the session of the cookie, nil when there is none for this stream and peer.
func (r *pushRequest) known() *session {
	if !mmsh.ValidPushID(r.id) {
		return nil
	}
	return r.push.find(r.id, r.target.Stream, r.peer.Addr())
}

// busy tells who is in the way of a new encoder, nil when nobody is, or when who is there has to give way: a backup
// source, any source if the stream is configured so, and this encoder's own former connection when it has gone silent.
func (r *pushRequest) busy(own *session) error {
	st := r.target.Stream
	source := st.Source()
	if source == "" || st.State() == stream.Fallback {
		return nil
	}
	holder := r.push.holder(st)
	if r.target.TakeOver || (holder != nil && (holder == own || r.succeeds(holder))) {
		r.takeOver = true
		return nil
	}
	return fmt.Errorf("stream %s is already being published by %s", st.Path(), source)
}

// Bounds of the wait for who is there. The end of a connection is read when its reader has rested ([Feed.rest]), and
// comes a moment later where there is something in between.
const (
	endingTime  = 500 * time.Millisecond
	endingGrace = 50 * time.Millisecond
	endingLook  = 10 * time.Millisecond
)

// busyStill is busy, but for an encoder that is about to be gone: one that comes back at once finds its own former
// connection not yet at its end, and must not be refused for that.
func (r *pushRequest) busyStill(own *session) (busy error) {
	r.patiently(func() bool { busy = r.busy(own); return busy == nil })
	return busy
}

// patiently tries for as long as whoever is there may be about to leave, and once more when nobody is.
func (r *pushRequest) patiently(try func() bool) bool {
	if try() {
		return true
	}
	look := time.NewTicker(endingLook)
	defer look.Stop()
	for began := time.Now(); r.ending(time.Since(began)); {
		select {
		case <-look.C:
		case <-r.ctx.Done():
			return false
		}
		if try() {
			return true
		}
	}
	return try()
}

// ending tells whether the encoder that is there may be about to leave, to one that has waited for so long.
func (r *pushRequest) ending(waited time.Duration) bool {
	p := r.push
	s := p.holder(r.target.Stream)
	if s == nil || waited >= endingTime {
		return false
	}
	p.mu.Lock()
	conn := s.conn
	p.mu.Unlock()
	return waited < endingGrace || conn != nil && hungUp(conn.conn)
}

// succeeds tells whether this request may replace a session: it authenticated as that one did, or comes from the
// same address when nobody has to, and nothing is heard of the other any more.
func (r *pushRequest) succeeds(s *session) bool {
	if !r.target.Gate.Asks() && s.peer != r.peer.Addr() || s.pass.Name != r.pass.Name {
		return false
	}
	r.push.mu.Lock()
	conn, used := s.conn, s.used
	r.push.mu.Unlock()
	silent := time.Since(used)
	if conn != nil {
		silent = conn.silent()
	}
	return silent > r.push.opts.SilentAfter
}

// expects tells whether the client waits to be invited.
func (r *pushRequest) expects() bool {
	return r.req.ProtoAtLeast(1, 1) && strings.EqualFold(strings.TrimSpace(r.req.Header.Get("Expect")), "100-continue")
}

// expect invites a client to send its body.
func (r *pushRequest) expect() {
	if r.expects() {
		r.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// body returns the request's body. One without a length that is not chunked ends with the connection: by HTTP's
// rules it would be empty, but FFmpeg sends a stream like that.
func (r *pushRequest) body() (body io.Reader, untilClose bool) {
	_, length := r.req.Header["Content-Length"]
	if !length && len(r.req.TransferEncoding) == 0 && r.req.ContentLength <= 0 {
		return r.br, true
	}
	return r.req.Body, false
}

// holder returns the session that keeps the stream on the air.
func (p *Push) holder(st *stream.Stream) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sessions {
		if s.stream == st && (s.conn != nil || s.feed != nil) {
			return s
		}
	}
	return nil
}

// touch gives a session its full time between requests.
func (p *Push) touch(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[s.id] == s && s.conn == nil && s.feed == nil {
		p.expireLocked(s, p.times.Load().session)
	}
}
