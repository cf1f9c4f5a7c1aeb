package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
)

// enter asks the stream's gate for the encoder, before anything of a body is read.
func (r *pushRequest) enter() *access.Denial {
	pass, denial := r.target.Gate.Enter(r.ctx, access.Visitor{
		Request: r.req, Addr: r.peer.Addr(), Query: access.ReadQuery(r.req.URL.RawQuery, access.IDKey),
	})
	r.pass = pass
	return denial
}

// authorized lets the encoder in, or answers why not.
func (r *pushRequest) authorized() bool {
	denied := r.enter()
	return denied == nil || r.deny(denied)
}

// again tells whether who was denied is to try again with credentials, on the same connection.
func again(d *access.Denial) bool {
	return d.Status() == http.StatusUnauthorized && !errors.Is(d, access.ErrCredentialsBad)
}

// deny answers a denial; nothing follows.
func (r *pushRequest) deny(d *access.Denial) bool {
	r.fail(r.br, r.denial(d))
	return false
}

// denial is the answer to a denial, which is logged and counted unless it only asks for credentials.
func (r *pushRequest) denial(d *access.Denial) mmsh.ErrorParams {
	if !errors.Is(d, access.ErrCredentialsMissing) {
		path := r.target.Stream.Path()
		r.target.Stream.Metrics().PushesRefused(string(d.Reason)).Inc()
		r.push.noted.Log(slog.LevelWarn, path+" "+string(d.Reason), "push refused", slog.String("stream", path),
			slog.String("address", r.peer.String()), slog.String("agent", printable(r.req.UserAgent())),
			slog.Int("status", d.Status()), slog.String("reason", d.Error()))
	}
	return mmsh.ErrorParams{Status: d.Status(), Text: d.Error(), Challenges: d.Challenges, RetryAfter: d.Wait, Push: true}
}

// publish asks the hook whether the encoder may go on the air, and has it told of the end.
func (r *pushRequest) publish(ctx context.Context, feed *pushFeed) *access.Denial {
	hook := r.push.opts.Hook
	if hook == nil {
		return nil
	}
	p := Publication{
		Stream: r.target.Stream.Path(), Peer: r.peer, Pass: r.pass, Agent: r.req.UserAgent(), Query: r.req.URL.RawQuery, TLS: r.tls != nil,
	}
	session, denied := hook.Publish(ctx, p)
	if denied != nil {
		return denied
	}
	p.Session = session
	since := time.Now()
	feed.tell = func(reason string, packets uint64) {
		p.Reason, p.Packets, p.Took = reason, packets, time.Since(since)
		hook.Unpublish(p)
	}
	return nil
}
