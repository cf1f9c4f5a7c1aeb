package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// Kinds of what is asked for, in [Visit] and [Viewer].
const (
	KindMMSH = "mmsh"
	KindASF  = "asf"
	KindPage = "page" // an ASX metafile
)

// Gate decides who may watch. Its methods are called from any goroutine, and from event
// loops for streams that are not Slow: then they must not block.
type Gate interface {
	// Slow tells whether Enter or Begin may take time for visitors of the stream: then they
	// are never called on an event loop.
	Slow(*stream.Stream) bool

	// Enter decides whether a visitor may ask for the stream at all. It may wait until
	// ctx is done.
	Enter(ctx context.Context, v *Visit) (access.Pass, *access.Denial)

	// Begin is asked last, when everything else is in order: with final when the visitor
	// is about to watch, without when he asks for the header first. session is kept with
	// the viewer.
	Begin(ctx context.Context, v *Visit, final bool) (session string, denial *access.Denial)

	// Ended is told of the end of every viewing that Begin allowed. It must not block.
	Ended(v Viewer)
}

// Visit is a request for a stream. It is good until the request is answered.
type Visit struct {
	Stream  *stream.Stream
	Request *http.Request // TLS is set behind TLS
	Remote  netip.AddrPort
	Query   access.Query
	Kind    string
	Patient bool        // the answer may take time; false on an event loop
	Pass    access.Pass // what Enter returned
}

// gated has the gate look at a request for a stream, and answers it by then when the
// visitor is let in.
func (s *Server) gated(r *request, st *stream.Stream, kind string, then func(*request, *stream.Stream) answer) answer {
	r.visit = &Visit{
		Stream: st, Request: r.Request, Remote: r.remote, Kind: kind, Patient: r.patient,
		Query: access.ReadQuery(r.URL.RawQuery, s.settings.Load().IDKey),
	}
	if err := access.CheckID(r.visit.Query.ID); err != nil {
		return s.refuse(http.StatusBadRequest, err.Error(), false)
	}
	g := s.opts.Gate
	if g == nil {
		return then(r, st)
	}
	if !r.patient && g.Slow(st) {
		return answer{later: true}
	}
	pass, denial := g.Enter(r.ctx, r.visit)
	if denial != nil {
		return s.deny(r, denial)
	}
	r.visit.Pass = pass
	return then(r, st)
}

// preview asks the gate for a visitor who wants the header first; nil lets him have it.
func (s *Server) preview(r *request) *answer {
	if s.opts.Gate == nil {
		return nil
	}
	if _, denial := s.opts.Gate.Begin(r.ctx, r.visit, false); denial != nil {
		a := s.deny(r, denial)
		return &a
	}
	return nil
}

// begin asks the gate for a visitor who has a seat; the refusal has given it back.
func (s *Server) begin(r *request, t *seat) (refusal *answer) {
	if s.opts.Gate == nil {
		return nil
	}
	session, denial := s.opts.Gate.Begin(r.ctx, r.visit, true)
	if denial != nil {
		(&answer{watch: t}).drop()
		a := s.deny(r, denial)
		return &a
	}
	t.visit, t.gate = session, s.opts.Gate
	return nil
}

// deny is the answer to who is not let in.
func (s *Server) deny(r *request, d *access.Denial) answer {
	p := mmsh.ErrorParams{
		Status: d.Status(), Text: d.Error(), RetryAfter: d.Wait, Challenges: d.Challenges, HeadOnly: r.Method == http.MethodHead,
	}
	return answer{status: p.Status, head: mmsh.AppendError(nil, p)}
}

// identify keeps with the seat who the visitor is, and when his time is over.
func (t *seat) identify(v *Visit) {
	t.outside = strings.Clone(v.Query.ID) // of the whole request, which is not kept
	t.user, t.by = v.Pass.User(), v.Pass.By
	if !v.Pass.Expires.IsZero() {
		t.ends = stream.Monotonic() + int64(time.Until(v.Pass.Expires))
	}
}

// ended tells the gate of the end of a viewing that it has allowed.
func (t *seat) ended(v Viewer) {
	if t.gate != nil {
		t.gate.Ended(v)
	}
}
