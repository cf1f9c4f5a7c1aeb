package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/stream-pump/stream-pump/access"
)

// A proxy may begin a connection with a PROXY header, which says who is behind it. On an
// event loop it is read like a request's head: what has arrived is looked at, and nothing
// waits. On a goroutine it is read before anything else, TLS included.

// What is wrong with a PROXY header.
var (
	errProxyLate     = errors.New("a PROXY header was begun and not finished in time")
	errProxyStranger = errors.New("a PROXY header from an address that is not in trusted_proxies")
)

// greet looks at the first bytes of a connection and returns those that are a request's;
// none while that cannot be told, or when there are none, or when the connection is done
// with. Runs on the loop.
func (c *conn) greet(first []byte) []byte {
	switch what := access.SniffProxyHeader(first); {
	case what == access.SniffMore && c.srv.trusts(c.remote):
		return nil
	case what == access.SniffMore: // an empty line is such a beginning too: whoever may send no header is answered now
		return first
	case what == access.SniffOther:
		c.greeted = true
		return first
	}
	client, length, err := c.srv.introduced(c.remote, first)
	switch {
	case err != nil:
		c.greeted = true
		c.srv.blameProxy(c.remote, err)
		if errors.Is(err, errProxyStranger) {
			c.refuse(http.StatusBadRequest, err.Error())
			return nil
		}
		_, _ = c.gc.Discard(-1)
		c.hangUp(closeTime)
		return nil
	case length == 0:
		return nil
	}
	c.greeted, c.remote = true, client
	if err := c.place.Introduce(client.Addr()); err != nil {
		_, _ = c.gc.Discard(length)
		c.refuse(http.StatusServiceUnavailable, fullText(err))
		return nil
	}
	_, _ = c.gc.Discard(length)
	first, _ = c.gc.Peek(-1)
	return first
}

// introducing tells whether a PROXY header has begun and is not whole. Runs on the loop.
func (c *conn) introducing() bool {
	if c.greeted {
		return false
	}
	first, _ := c.gc.Peek(-1)
	return access.SniffProxyHeader(first) == access.SniffProxy
}

// greet reads the first bytes of a connection on a goroutine, until it is known whether
// they are a PROXY header, and that header. It returns the connection as if the header had
// not been there, and who is at its other end; or false when it is done with.
func (s *Server) greet(ctx context.Context, c net.Conn, peer netip.AddrPort, place *access.Connection) (net.Conn, netip.AddrPort, bool) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetReadDeadline(deadline)
	}
	buf, have := make([]byte, access.MaxProxyHeader), 0
	for {
		n, err := io.ReadAtLeast(c, buf[have:], 1)
		if have += n; err != nil {
			if access.SniffProxyHeader(buf[:have]) == access.SniffProxy {
				s.blameProxy(peer, errProxyLate)
			}
			return nil, peer, false
		}
		switch what := access.SniffProxyHeader(buf[:have]); {
		case what == access.SniffMore && s.trusts(peer):
			continue
		case what != access.SniffProxy:
			return &prefixConn{Conn: c, prefix: buf[:have]}, peer, true
		}
		client, length, err := s.introduced(peer, buf[:have])
		if err != nil {
			s.blameProxy(peer, err)
			if errors.Is(err, errProxyStranger) {
				_, _ = c.Write(s.refuse(http.StatusBadRequest, err.Error(), false).head)
			}
			return nil, peer, false
		}
		if length > 0 {
			if err := place.Introduce(client.Addr()); err != nil {
				_, _ = c.Write(s.refuse(http.StatusServiceUnavailable, fullText(err), false).head)
				return nil, client, false
			}
			return &prefixConn{Conn: c, prefix: buf[length:have], remote: net.TCPAddrFromAddrPort(client)}, client, true
		}
	}
}

func (s *Server) trusts(peer netip.AddrPort) bool {
	return s.settings.Load().Proxies.Trusts(peer.Addr())
}

// introduced reads a PROXY header, which only a proxy may send; its length is 0 as long as
// it is not whole. Where it names nobody, the client is the proxy.
func (s *Server) introduced(peer netip.AddrPort, b []byte) (client netip.AddrPort, length int, err error) {
	if !s.trusts(peer) {
		return peer, 0, errProxyStranger
	}
	client, length, err = access.ParseProxyHeader(b)
	if !client.IsValid() {
		client = peer
	}
	return client, length, err
}

// blameProxy tells the operator of a connection that was closed for its PROXY header; of
// many at once, in one line.
func (s *Server) blameProxy(peer netip.AddrPort, err error) {
	s.repeats.Log(slog.LevelWarn, "PROXY header", "connection closed: PROXY header refused",
		slog.String("address", peer.String()), slog.String("reason", err.Error()))
}
