package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"
)

// Who the client is, is told with the first request: its own address even if it came by way
// of a proxy, and its certificate. Both hold for every request of the connection.
func TestPushKnowsItsClient(t *testing.T) {
	for name, c := range map[string]struct{ said, want string }{
		"as the request says": {"192.0.2.7:4711", "192.0.2.7:4711"},
		"IPv4 in IPv6 form":   {"[::ffff:192.0.2.7]:4711", "192.0.2.7:4711"},
		"IPv6":                {"[2001:db8::7]:4711", "[2001:db8::7]:4711"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			state := &tls.ConnectionState{ServerName: "pump"}
			d.addr = serve(t, func(ctx context.Context, conn net.Conn) {
				br := bufio.NewReader(conn)
				if req, err := http.ReadRequest(br); err == nil {
					req.RemoteAddr, req.TLS = c.said, state
					d.push.ServeConn(ctx, conn, br, req)
				}
			})
			e := d.dial()
			e.start("0", endless)
			e.send(pushBody(testHeader(320), packets(0, 1)...))
			d.slabs(1)
			if got, want := d.s.Source(), "push from "+c.want; got != want {
				t.Errorf("the source is %q, want %q", got, want)
			}
		})
	}
	t.Run("a later request", func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		go func() {
			defer there.Close()
			_, _ = there.Write([]byte("POST /streams/x_push HTTP/1.1\r\nHost: here\r\nX-Client: 2001:db8::8\r\n\r\n"))
		}()
		hop := netip.MustParseAddrPort("192.0.2.1:80")
		d := newDoor(t, func(o *PushOptions) {
			o.Client = func(peer netip.AddrPort, h http.Header) netip.AddrPort {
				if peer != hop {
					t.Errorf("asked for %s", peer)
				}
				return netip.AddrPortFrom(netip.MustParseAddr(h.Get("X-Client")), 0)
			}
		})
		first := &http.Request{RemoteAddr: "[2001:db8::7]:4711", TLS: &tls.ConnectionState{}}
		c := &pushConn{push: d.push, conn: here, hop: hop, peer: peerOf(here, first), tls: first.TLS}
		req := c.next(newHeadReader(bufio.NewReader(here)))
		if req == nil || req.TLS != first.TLS || req.RemoteAddr != "[2001:db8::8]:0" || c.peer.String() != req.RemoteAddr {
			t.Errorf("got %+v from %s", req, c.peer)
		}
	})
}
