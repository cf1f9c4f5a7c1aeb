package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// Adopt serves a connection that somebody else has accepted and read from: head is what was
// read of its first request, that request's whole head at least, remote is who is at the
// other end, and secure tells that it came by TLS. A viewer on a TCP connection goes on to
// an event loop like any other; one behind somebody else's TLS is served on a goroutine.
//
// With nil the connection is the server's. On an error, of the limits of connections or
// [ErrServerClosed], it is the caller's still, and nothing was written.
func (s *Server) Adopt(c net.Conn, remote netip.AddrPort, head []byte, secure bool) error {
	if s.shut.Load() {
		return ErrServerClosed
	}
	place, err := s.opts.Limits.Connect(remote.Addr())
	if err != nil {
		s.count(http.StatusServiceUnavailable)
		return err
	}
	if !s.spawn(c, place, func(ctx context.Context) { s.serveAdopted(ctx, c, remote, place, head, secure) }) {
		place.Release()
		return ErrServerClosed
	}
	return nil
}

func (s *Server) serveAdopted(ctx context.Context, c net.Conn, remote netip.AddrPort, place *access.Connection, head []byte, secure bool) {
	_ = c.SetDeadline(time.Time{}) // whoever has read from it may have set one
	d := s.newDoor(ctx, &prefixConn{Conn: c, prefix: head, remote: net.TCPAddrFromAddrPort(remote)}, remote, secure)
	d.owned, d.place = c, place
	d.serve()
}
