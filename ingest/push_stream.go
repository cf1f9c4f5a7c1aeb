package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// start receives a PushStart: [MS-WMHTTP] 3.2.5.2. Who was let in at its PushSetup needs no more than its push-id.
func (r *pushRequest) start() bool {
	s := r.known()
	if s == nil && !r.authorized() {
		return false
	}
	if s != nil {
		r.pass = s.pass
	}
	return r.receive(s, false)
}

// other receives a POST or PUT of any other type, which is a whole session by itself.
func (r *pushRequest) other() bool {
	return r.authorized() && r.receive(nil, true)
}

// receive reads a body into the stream.
func (r *pushRequest) receive(s *session, once bool) bool {
	if busy := r.busyStill(s); busy != nil {
		return r.refuse(http.StatusConflict, busy.Error())
	}
	if s == nil {
		if s = r.push.newSession(r.target.Stream, r.peer.Addr(), r.pass); s == nil {
			return r.refuse(http.StatusServiceUnavailable, "too many push sessions")
		}
	}
	var feed *pushFeed
	if !r.patiently(func() (ok bool) { feed, ok = r.take(s); return ok }) {
		return r.refuse(http.StatusConflict, "this push session is being received on another connection")
	}
	feed, err := r.open(s, feed)
	var denied *access.Denial
	switch {
	case errors.As(err, &denied):
		r.push.forget(s, r.pushConn)
		return r.deny(denied)
	case err != nil:
		r.push.forget(s, r.pushConn)
		return r.refuse(statusOf(err), err.Error())
	}
	read := false
	defer func() {
		if !read { // a panic, which somebody above deals with: the stream must not stay taken
			feed.Lost()
			r.push.forget(s, r.pushConn)
		}
	}()
	r.log.Info("source connected", slog.String("kind", r.kind.String()), slog.String("user", r.pass.User()))
	r.expect()
	r.alive(true)
	body, untilClose := r.body()
	res, err := r.read(body, feed, s)
	read = true
	return r.finish(s, feed, res, err, once, untilClose)
}

// take makes this connection the session's own, and returns the feed that was kept for it. A connection that had it
// and has gone silent is interrupted; it gives the role back by itself.
func (r *pushRequest) take(s *session) (*pushFeed, bool) {
	p := r.push
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := s.conn; old != nil {
		if old.silent() <= p.opts.SilentAfter && !r.target.TakeOver {
			return nil, false
		}
		old.interrupt("the encoder has come back on another connection")
	}
	if p.closed {
		return nil, false
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	feed := s.feed
	if feed != nil {
		feed.conn = r.pushConn
	}
	s.conn, s.feed = r.pushConn, nil
	r.header, r.framing = s.header, s.framing
	p.sessions[s.id] = s
	return feed, true
}

// open returns a feed that holds the publisher's role, or will take it from a backup source with its first packet. The
// error may be a denial.
func (r *pushRequest) open(s *session, kept *pushFeed) (*pushFeed, error) {
	if kept != nil && kept.Live() {
		return kept, nil
	}
	if kept != nil {
		kept.Lost()
	}
	st := r.target.Stream
	feed := &pushFeed{conn: r.pushConn}
	feed.Feed = NewFeed(r.ctx, FeedOptions{
		Stream: st, Timeline: r.target.Timeline,
		Claim:    stream.Claim{Name: "push from " + r.peer.String(), TakeOver: r.takeOver},
		Trial:    st.State() == stream.Fallback,
		OnRevoke: func() { r.push.revoked(s, feed) },
		Log:      r.log,
	})
	if denied := r.publish(r.ctx, feed); denied != nil {
		return nil, denied
	}
	if st.State() != stream.Fallback {
		if err := feed.Open(); err != nil {
			feed.finish(PublishRefused)
			return nil, err
		}
	}
	return feed, nil
}

func (r *pushRequest) read(body io.Reader, feed *pushFeed, s *session) (BodyResult, error) {
	o := BodyOptions{Role: mmsh.Push, Alive: func(kind mmsh.EventKind, _ bool) {
		if kind != mmsh.End {
			r.alive(false)
		}
	}}
	if r.header != nil && r.framing == mmsh.PushFraming && r.kind == mmsh.PushStart {
		o.Framing, o.Seen = r.framing, true
		if feed.header == nil {
			if err := feed.Header(r.header); err != nil {
				return BodyResult{}, err
			}
		}
	}
	res, err := r.readBody(body, feed, o)
	r.push.remember(s, r.pushConn, res)
	return res, err
}

// remember keeps the header that a later body goes on with.
func (p *Push) remember(s *session, c *pushConn, res BodyResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.conn == c && res.Header != nil {
		s.header, s.framing = res.Header, res.Framing
	}
}

// finish answers for a body and decides what becomes of session and stream.
func (r *pushRequest) finish(s *session, feed *pushFeed, res BodyResult, err error, once, untilClose bool) bool {
	log := r.log.With(slog.Uint64("packets", res.Packets), slog.String("framing", res.Framing.String()))
	switch {
	case err != nil:
		return r.broken(s, feed, err, log)
	case res.Ended, once && !untilClose:
		feed.End()
		r.push.forget(s, r.pushConn)
		log.Info("source ended", slog.Uint64("code", uint64(res.Reason)))
		r.write(mmsh.AppendPushStartReply(nil, mmsh.PushReply{PushID: s.id, Timeout: r.push.times.Load().idle, Close: true}))
		r.linger(r.br)
		return false
	case once:
		feed.Lost()
		r.push.forget(s, r.pushConn)
		log.Info("source lost", slog.String("reason", "connection closed without an end of the stream"))
		r.write(mmsh.AppendPushStartReply(nil, mmsh.PushReply{PushID: s.id, Close: true}))
		return false
	case untilClose:
		feed.Lost()
		r.push.leave(s, r.pushConn)
		log.Info("source lost", slog.String("reason", "connection closed without an end of the stream"))
		r.write(mmsh.AppendPushStartReply(nil, mmsh.PushReply{PushID: s.id, Close: true}))
		return false
	}
	r.push.park(s, feed, r.pushConn)
	log.Debug("push request complete")
	return r.write(mmsh.AppendPushStartReply(nil, mmsh.PushReply{PushID: s.id, Timeout: r.push.times.Load().idle}))
}

// broken handles a body that did not end in order. Only a broken connection leaves the encoder its session.
func (r *pushRequest) broken(s *session, feed *pushFeed, err error, log *slog.Logger) bool {
	feed.Lost()
	why := r.interrupted()
	var lost *LostError
	switch {
	case why != "":
		err = errors.New(why)
	case errors.As(err, &lost) && errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no header and no packet was received for %v (push.idle_timeout)", r.push.times.Load().idle)
	case lost != nil && r.misframed(lost.Err):
		err = fmt.Errorf("the body's chunks cannot be read (Transfer-Encoding: chunked): %w", lost.Err)
		lost = nil
	case lost != nil && r.kind != mmsh.PushOther:
		r.push.leave(s, r.pushConn)
		log.Info("source lost", slog.String("reason", lost.Err.Error()))
		return false
	case lost != nil:
		r.push.forget(s, r.pushConn)
		log.Info("source lost", slog.String("reason", lost.Err.Error()))
		return false
	}
	r.push.forget(s, r.pushConn)
	log.Warn("source dropped", slog.String("reason", err.Error()))
	status := statusOf(err)
	switch {
	case lost != nil && why == "":
		status = http.StatusRequestTimeout
	case why != "" && r.ctx.Err() != nil:
		status = http.StatusServiceUnavailable
	case why != "":
		status = http.StatusConflict
	}
	text := err.Error()
	if errors.Is(err, mmsh.ErrUnknownBody) {
		text += " (an ASF header begins with 30 26 b2 75 8e 66 cf 11, an MMSH body with a $H packet: 24 48)"
	}
	r.fail(r.br, mmsh.ErrorParams{Status: status, Text: text})
	return false
}

// misframed tells errors in the chunks of a body from those of its connection, for which net/http has no type.
func (r *pushRequest) misframed(err error) bool {
	var broken net.Error
	var alert tls.RecordHeaderError
	return len(r.req.TransferEncoding) > 0 && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &broken) &&
		!errors.Is(err, net.ErrClosed) && !errors.As(err, &alert)
}

// statusOf is the answer to what kept a stream from being received.
func statusOf(err error) int {
	var busy *stream.BusyError
	switch {
	case errors.As(err, &busy), errors.Is(err, stream.ErrRevoked):
		return http.StatusConflict
	case errors.Is(err, stream.ErrClosed):
		return http.StatusNotFound
	case errors.Is(err, errBodyPanicked):
		return http.StatusInternalServerError
	case errors.Is(err, stream.ErrNoMemory), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
