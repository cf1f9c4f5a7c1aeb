package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// routing is a server that routes but has neither loops nor doors, with a stream on air
// and one that is not.
func routing(tb testing.TB) *Server {
	tb.Helper()
	reg, pool := stream.NewRegistry(), ringbuf.NewPool(0)
	for _, path := range []string{"x", "silent"} {
		if err := reg.Add(stream.New(stream.Options{Path: path, Name: "Name & <more>", Pool: pool})); err != nil {
			tb.Fatal(err)
		}
	}
	p, err := reg.Lookup("x").Open(context.Background(), stream.Claim{})
	if err != nil {
		tb.Fatal(err)
	}
	raw := header(0)
	if err := p.SetHeader(stream.Header{Raw: raw, Frame: mmsh.AppendHeader(nil, raw), PacketSize: packetSize, KeyFrames: true}); err != nil {
		tb.Fatal(err)
	}
	limits := access.NewLimits(access.Bounds{Viewers: 1000})
	s := &Server{opts: Options{Streams: reg, Limits: limits}, log: slog.New(slog.DiscardHandler), sessions: newSessions(time.Now)}
	s.Update(Settings{})
	return s
}

var firstLine = regexp.MustCompile(`^HTTP/1\.[01] [2345]\d\d [A-Za-z][A-Za-z ]*\r\n`)

// FuzzRoute sends request heads to the router: it never panics, and every answer is a
// whole reply, or a head with the stream behind it, that carries the server's name and
// nothing that the request smuggled in.
func FuzzRoute(f *testing.F) {
	for _, p := range players {
		f.Add([]byte(strings.Join(p.describe, "\r\n") + "\r\n\r\n"))
		f.Add([]byte(strings.Join(p.play, "\r\n") + "\r\n\r\n"))
	}
	for _, s := range []string{
		ask("OPTIONS * HTTP/1.1"), get(agent("Mozilla/5.0")), get(agent(webAgent)), ask("HEAD /streams/x.asf HTTP/1.0"),
		ask("GET /streams/x.asx HTTP/1.1"), ask("GET http://a/STREAMS/X/?MSWMExt=.asf HTTP/1.0"), ask("GET /streams/silent HTTP/1.0", agent(newAgent)),
		post("", pragma("xKeepAliveInPause=1,client-id=1")), post("", pragma("log-line=a,b,\"c")), post("", "Content-Type: application/x-wms-LogStats;charset=UTF-8"),
		post("", "Content-Type: application/x-wms-sendevent"), ask("POST /streams/x_push HTTP/1.1", "Content-Type: application/x-wms-pushstart", "Content-Length: 2147483647"),
		ask("PUT /streams/x_push HTTP/1.1", "Transfer-Encoding: chunked"), ask("GET / HTTP/1.0"), "GET /streams/x HTTP/1.0\n\n", "\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
		ask("CONNECT a:80 HTTP/1.1"), describe(newAgent, pragma("stream-switch-entry=ffff:zz:9,client-id=99999999999")),
	} {
		f.Add([]byte(s))
	}
	srv := routing(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		end := headEnd(b)
		if end > len(b) || end > 0 && b[end-1] != '\n' {
			t.Fatalf("a head of %d bytes in %d", end, len(b))
		}
		if end == 0 {
			return
		}
		req, err := parseHead(b[:end])
		if err != nil {
			return
		}
		a := srv.route(&request{Request: req, remote: netip.MustParseAddrPort("192.0.2.1:1")})
		defer a.drop()
		if a.handOver != nil {
			t.Fatal("handed over without a push handler")
		}
		head, _, whole := bytes.Cut(a.head, []byte("\r\n\r\n"))
		if !firstLine.Match(a.head) || !whole || !bytes.Contains(head, []byte("\r\nServer: ")) {
			t.Fatalf("status %d: %q", a.status, a.head)
		}
		if bytes.Count(head, []byte("\r\nContent-Length: ")) > 1 || bytes.Contains(bytes.ReplaceAll(head, []byte("\r\n"), nil), []byte("\n")) {
			t.Fatalf("an odd head: %q", head)
		}
		if (a.watch != nil) != (srv.opts.Limits.Usage().Viewers == 1) {
			t.Fatal("a place is taken without a viewer")
		}
	})
}

// FuzzSafeHost: what goes into a page is the Host header or nothing, and holds nothing
// that has a meaning in a page or an address.
func FuzzSafeHost(f *testing.F) {
	for _, s := range []string{"pump.example:8086", "[::1]:80", "10.0.0.1", "[::1", `a"b`, "a:b:c", ":80", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if got := safeHost(host); got != "" && (got != host || strings.ContainsAny(got, " \t\r\n\"'<>&/\\?#@%")) {
			t.Fatalf("%q from %q", got, host)
		}
	})
}
