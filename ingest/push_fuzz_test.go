package ingest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// script is a connection over which an encoder has said everything already.
type script struct {
	net.Conn // its other methods are not called
	said     *bytes.Reader
	heard    bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.said.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.heard.Write(b) }
func (s *script) Close() error                     { return nil }
func (s *script) CloseWrite() error                { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// FuzzPushDoor lets an encoder say anything: requests, bodies, and requests behind them. Every answer is a
// whole one, and afterwards nobody holds the stream.
func FuzzPushDoor(f *testing.F) {
	raw := testHeader(320)
	body := string(plainBody(raw, packets(0, 3)...))
	framed := string(pullBody(raw, 0, packets(0, 3)...))
	setup := "POST /streams/x_push HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-wms-pushsetup\r\nCookie: push-id=0\r\nContent-Length: 14\r\n\r\nAutoDestroy: 1"
	start := "POST /streams/x_push HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-wms-pushstart\r\nCookie: push-id=0\r\nContent-Length: 2147483647\r\n\r\n"
	for _, s := range []string{
		setup + start + framed, start, "POST /streams/x_push HTTP/1.1\r\nHost: h\r\n\r\n" + body, "PUT /streams/X_PUSH/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedOf([]byte(body)),
		"POST /streams/x_push HTTP/1.0\r\nContent-Length: 9\r\n\r\n" + body, "GET /streams/x_push HTTP/1.1\r\nHost: h\r\n\r\n", "POST /streams/none_push HTTP/1.1\r\nHost: h\r\n\r\n" + body,
		setup + setup + "\r\n\r\n", "POST /streams/x_push HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		r := newRig(t)
		target := &Target{Stream: r.s, Timeline: r.tl}
		p := NewPush(PushOptions{Lookup: func(path string) (*Target, bool) { return target, strings.EqualFold(path, "x") }})
		conn := &script{said: bytes.NewReader(said)}
		br := bufio.NewReader(conn)
		if req, err := http.ReadRequest(br); err == nil {
			p.ServeConn(context.Background(), conn, br, req)
			checkReplies(t, conn.heard.Bytes())
		}
		p.Close()
		if n := p.Sessions(); n != 0 || r.s.Source() != "" {
			t.Fatalf("%d sessions, and the stream is held by %q", n, r.s.Source())
		}
	})
}

// checkReplies sees that an encoder gets whole answers, one after the other, and nothing else.
func checkReplies(t *testing.T, heard []byte) {
	t.Helper()
	for br := bufio.NewReader(bytes.NewReader(heard)); ; {
		if _, err := br.Peek(1); err != nil {
			return
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%v in %.200q", err, heard)
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("the body of %s: %v", resp.Status, err)
		}
	}
}
