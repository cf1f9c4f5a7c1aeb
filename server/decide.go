package server

import (
	"context"
	"net/http"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Bounds of decisions that take time: a password's hash, or a question to somebody else.
const (
	decideTime = 40 * time.Second
	decideMost = 1024 // at once
)

// decide has a request answered on a goroutine, since that may take time. What the client
// sends meanwhile waits, within a bound; when it leaves, the decision is called off.
func (c *conn) decide(r *request, end int) {
	s := c.srv
	ctx, cancel := context.WithTimeout(s.ctx, decideTime)
	r = &request{Request: r.Request, remote: c.remote, ctx: ctx, patient: true}
	began := s.deliberate(func() {
		defer cancel()
		a, ok := s.routeContained(r)
		if err := c.loop.el.Execute(s.ctx, task(func() { c.decided(r.Request, a, ok, end) })); err != nil {
			a.drop()
		}
	})
	if !began {
		cancel()
		a := s.refuse(http.StatusServiceUnavailable, "too many are waiting to be let in, try again later", false)
		c.proceed(r.Request, a, end)
		return
	}
	c.cancel = cancel
	c.await(deciding, decideTime+time.Second)
}

// deliberate runs f on a goroutine that the end of the server waits for. It reports false
// when there are too many of them, or the server is closed.
func (s *Server) deliberate(f func()) bool {
	select {
	case s.deciding <- struct{}{}:
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		<-s.deciding
		return false
	}
	s.background(func() {
		defer func() { <-s.deciding }()
		f()
	})
	return true
}

// routeContained is route; a panic there ends the one connection.
func (s *Server) routeContained(r *request) (a answer, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			telemetry.CaughtPanic(s.log, "a decision about a viewer", v)
			a, ok = answer{}, false
		}
	}()
	return s.route(r), true
}

// decided goes on with the answer. Runs on the loop.
func (c *conn) decided(req *http.Request, a answer, ok bool, end int) {
	if c.phase != deciding { // the client has left, or has been sent away
		a.drop()
		return
	}
	c.cancel = nil
	act := gnet.Close
	if ok {
		act = c.resume(req, a, end)
	}
	if act == gnet.Close {
		_ = c.loop.el.Close(c.gc)
	}
}

// resume gives the answer and works on what the client has sent behind its request.
func (c *conn) resume(req *http.Request, a answer, end int) (act gnet.Action) {
	defer c.srv.contain(c.gc, &act)
	c.loop.forget(c)
	if c.proceed(req, a, end) {
		return c.srv.heard(c.gc)
	}
	return c.action()
}

// callOff ends a decision that nobody waits for any more.
func (c *conn) callOff() {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
}
