package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// request is a request and what is known of its connection.
type request struct {
	*http.Request
	remote  netip.AddrPort
	tls     bool
	mmsh    mmsh.Request
	ctx     context.Context // ends when nobody waits for the answer any more
	patient bool            // the answer may take time: not on an event loop
	visit   *Visit          // once it is known to be for a stream
}

// answer is what a request gets. Exactly one of these holds: head is the whole reply;
// watch is set, and head goes in front of the stream; handOver is set; later is set, and
// the request has to be routed once more, patiently.
type answer struct {
	status   int
	head     []byte
	keep     bool // another request may follow on the connection
	watch    *seat
	handOver func(*door) // takes the connection from here, on a goroutine
	later    bool
}

// drop gives back what an answer that is not given has taken.
func (a *answer) drop() {
	t := a.watch
	if t == nil {
		return
	}
	t.ticket.Release()
	t.release()
	v := t.describe()
	v.Reason, v.Left = ReasonLeft, time.Now()
	t.ended(v)
}

// route decides what a request gets. It runs on event loops and goroutines alike.
func (s *Server) route(r *request) answer {
	r.remote = s.settings.Load().Proxies.Client(r.remote, r.Header)
	r.mmsh = mmsh.Classify(r.Method, r.Header)
	if r.mmsh.Kind == mmsh.Options {
		return s.options(r)
	}
	if s.isChallenge(r) {
		return answer{handOver: func(d *door) { d.challenge() }}
	}
	kind, path := parseTarget(r.URL.Path)
	if kind == pushTarget {
		return s.push(r, path)
	}
	st := s.opts.Streams.Lookup(path)
	if kind == unknownTarget || st == nil {
		return s.notFound(r)
	}
	switch kind {
	case asxTarget:
		return s.gated(r, st, KindPage, s.asx)
	case asfTarget:
		return s.gated(r, st, KindASF, s.plain)
	}
	return s.onStream(r, st)
}

// onStream answers a request to /streams/PATH.
func (s *Server) onStream(r *request, st *stream.Stream) answer {
	kind := r.mmsh.ForSession(r.Method, r.mmsh.HasClientID && s.sessions.known(r.mmsh.ClientID))
	switch kind {
	case mmsh.Describe:
		return s.gated(r, st, KindMMSH, s.describe)
	case mmsh.Play, mmsh.PlayNext:
		return s.gated(r, st, KindMMSH, s.play)
	case mmsh.KeepAlive, mmsh.SelectStream, mmsh.Stop:
		return s.inSession(r, http.StatusOK)
	case mmsh.Log, mmsh.LogXML:
		return s.empty(r, http.StatusNoContent)
	case mmsh.SendEvent, mmsh.ContentInfo:
		return s.empty(r, http.StatusOK)
	case mmsh.Web, mmsh.HeadWeb:
		return s.web(r, st)
	case mmsh.PushSetup, mmsh.PushStart, mmsh.PushOther:
		return s.refuse(http.StatusBadRequest, "a stream is pushed to its path with "+pushSuffix+" at the end", true)
	case mmsh.PipelineTest:
		return s.refuse(http.StatusBadRequest, "pipelining is not offered", false)
	}
	return s.refuse(http.StatusBadRequest, "not a request that this server knows", false)
}

// describe answers with the header, and the connection closes unless a client of
// version 9 asked by name to keep it. [MS-WMSP] 3.2.5.4.
func (s *Server) describe(r *request, st *stream.Stream) answer {
	h, refusal := s.onAir(r, st)
	if refusal != nil {
		return *refusal
	}
	if err := s.opts.Limits.Room(s.placeFor(st, r.remote.Addr(), r.mmsh.Relay)); err != nil { // the place is taken by Play
		return s.overLimit(r, err)
	}
	if refusal := s.preview(r); refusal != nil {
		return *refusal
	}
	sess, reset := s.session(r)
	if s.sessions.playing(sess) {
		return s.refuse(http.StatusBadRequest, "the session is streaming", false)
	}
	p := s.params(r, sess.id)
	p.Reset, p.ContentLength = reset, len(h.Frame)
	p.KeepAlive = p.V9 && wantsKeepAlive(r.Header)
	head := mmsh.AppendDescribeHead(make([]byte, 0, 512+len(h.Frame)), p)
	return answer{status: http.StatusOK, head: append(head, h.Frame...), keep: p.KeepAlive}
}

// play seats a viewer. [MS-WMSP] 3.2.5.6.
func (s *Server) play(r *request, st *stream.Stream) answer {
	if _, refusal := s.onAir(r, st); refusal != nil {
		return *refusal
	}
	sess, reset := s.session(r)
	if !s.sessions.stream(sess) {
		return s.refuse(http.StatusBadRequest, "the session is streaming already", false)
	}
	t, err := s.newSeat(r, st)
	if err != nil {
		s.sessions.release(sess)
		return s.overLimit(r, err)
	}
	t.session, t.sessions, t.client = sess, s.sessions, sess.id
	if refusal := s.begin(r, t); refusal != nil {
		return *refusal
	}
	if t.relay && r.mmsh.HasFrom {
		t.from = new(r.mmsh.From) // a copy: the request is not to be kept
	}
	p := s.params(r, sess.id)
	p.Reset = reset
	return answer{status: http.StatusOK, head: mmsh.AppendPlayHead(make([]byte, 0, 512), p), watch: t}
}

// onAir returns the header of a stream that delivers, or the refusal.
func (s *Server) onAir(r *request, st *stream.Stream) (*stream.Header, *answer) {
	h := st.Header()
	if s.draining.Load() || h == nil || !st.State().Delivering() {
		a := s.notLive(r.Method == http.MethodHead)
		return nil, &a
	}
	return h, nil
}

// session returns the session that the request names, or a new one; reset tells that
// it named one that is gone.
func (s *Server) session(r *request) (sess *session, reset bool) {
	if r.mmsh.HasClientID {
		if sess = s.sessions.touch(r.mmsh.ClientID); sess != nil {
			return sess, false
		}
	}
	return s.sessions.create(), r.mmsh.HasClientID
}

// inSession gives an empty answer to a request that must name a session.
func (s *Server) inSession(r *request, status int) answer {
	if !r.mmsh.HasClientID || s.sessions.touch(r.mmsh.ClientID) == nil {
		return s.refuse(http.StatusBadRequest, "missing or unknown client-id", false)
	}
	return s.empty(r, status)
}

// empty gives an answer without a body, naming the session if the request did.
func (s *Server) empty(r *request, status int) answer {
	p := s.sessionParams(r)
	return answer{status: status, head: mmsh.AppendEmptyHead(nil, status, p), keep: p.KeepAlive}
}

// options answers KeepAlive as pipelining clients send it. [MS-WMSP] 2.2.2.3.2.
func (s *Server) options(r *request) answer {
	p := s.sessionParams(r)
	p.KeepAlive = p.KeepAlive || r.ProtoAtLeast(1, 1) && !r.Close
	return answer{status: http.StatusOK, head: mmsh.AppendOptionsReply(nil, p), keep: p.KeepAlive}
}

func (s *Server) sessionParams(r *request) mmsh.ReplyParams {
	p := s.params(r, r.mmsh.ClientID)
	p.HasClientID = r.mmsh.HasClientID && s.sessions.touch(r.mmsh.ClientID) != nil
	p.KeepAlive = wantsKeepAlive(r.Header)
	return p
}

func (s *Server) params(r *request, clientID uint32) mmsh.ReplyParams {
	return mmsh.ReplyParams{ClientID: clientID, V9: r.mmsh.V9(), Timeout: s.settings.Load().SessionTimeout}
}

// push hands the connection to the push handler, whatever the method: it knows what an
// encoder understands.
func (s *Server) push(r *request, path string) answer {
	switch {
	case s.opts.Push == nil:
		return s.notFound(r)
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		if s.opts.Streams.Lookup(path) == nil {
			return s.notFound(r)
		}
		return s.notAllowed(r, "POST, PUT", "an encoder sends its stream to this address with POST or PUT; to watch it, ask for the address without "+pushSuffix)
	}
	if s.shut.Load() { // it may stay long, and should find who comes next
		return s.notLive(false)
	}
	return answer{handOver: func(d *door) { d.push() }}
}

// notAllowed answers a method that its address does not know.
func (s *Server) notAllowed(r *request, allow, text string) answer {
	b := mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusMethodNotAllowed, Allow: allow, Text: text, HeadOnly: r.Method == http.MethodHead})
	return answer{status: http.StatusMethodNotAllowed, head: b}
}

func (s *Server) notFound(r *request) answer {
	if to := s.settings.Load().Redirect404; to != "" {
		b := mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusFound, Location: to, HeadOnly: r.Method == http.MethodHead})
		return answer{status: http.StatusFound, head: b}
	}
	b := mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusNotFound, Text: "no such stream",
		HeadOnly: r.Method == http.MethodHead, Push: r.mmsh.Agent.Encoder})
	return answer{status: http.StatusNotFound, head: b}
}

func (s *Server) notLive(headOnly bool) answer {
	b := mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusServiceUnavailable, HeadOnly: headOnly,
		Text: "the stream is not live now, try again later", RetryAfter: s.settings.Load().RetryAfter})
	return answer{status: http.StatusServiceUnavailable, head: b}
}

// overLimit refuses a viewer for a limit: 453 to MMSH clients, 503 to others.
func (s *Server) overLimit(r *request, err error) answer {
	p := mmsh.ErrorParams{Status: http.StatusServiceUnavailable, RetryAfter: s.settings.Load().RetryAfter, Text: fullText(err)}
	if r.mmsh.Agent.MMSH || r.mmsh.Kind == mmsh.Play {
		p.Status, p.RetryAfter = mmsh.StatusNotEnoughBandwidth, 0
	}
	return answer{status: p.Status, head: mmsh.AppendError(nil, p)}
}

// fullText says which limit keeps somebody out.
func fullText(err error) string {
	var limit *access.LimitError
	if errors.As(err, &limit) {
		return fmt.Sprintf("the server is full (limit: %s)", limit.Limit)
	}
	return "the server is full"
}

// refuse is an error answer after which the connection closes.
func (s *Server) refuse(status int, text string, push bool) answer {
	return answer{status: status, head: mmsh.AppendError(nil, mmsh.ErrorParams{Status: status, Text: text, Push: push})}
}
