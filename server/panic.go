package server

import (
	"github.com/panjf2000/gnet/v2"

	"github.com/stream-pump/stream-pump/telemetry"
)

// contain is deferred by what an event loop does for one connection: a panic there ends
// that connection alone. A panic in a pass over all viewers is not contained. What the
// viewers of a loop share can then not be trusted, and a program that ends is started
// again.
func (s *Server) contain(gc gnet.Conn, act *gnet.Action) {
	if v := recover(); v != nil {
		telemetry.CaughtPanic(s.log, "a connection on an event loop: "+addrPort(gc.RemoteAddr()).String(), v)
		*act = gnet.Close
	}
}

// containHosted is contain for a connection on a goroutine, which its owner closes.
func (s *Server) containHosted() {
	if v := recover(); v != nil {
		telemetry.CaughtPanic(s.log, "a connection on a goroutine", v)
	}
}

// tickOne looks at the deadline of one connection. Runs on the loop.
func (l *loop) tickOne(c *conn, now int64) {
	defer func() {
		if v := recover(); v != nil {
			telemetry.CaughtPanic(l.srv.log, "a connection's deadline: "+c.remote.String(), v)
			_ = l.el.Close(c.gc)
		}
	}()
	c.tick(now)
}
