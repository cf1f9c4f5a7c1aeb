package ingest

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

// panickyLog is a log with a mistake in it.
type panickyLog struct {
	slog.Handler
	at string // the message that it panics at
}

func (h panickyLog) Enabled(context.Context, slog.Level) bool { return true }
func (h panickyLog) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h panickyLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.at {
		panic("a mistake in the middle of a push")
	}
	return nil
}

// A panic while an encoder is received gives the stream and the session back: the encoder
// can come again.
func TestPushGivesTheStreamBackAfterAPanic(t *testing.T) {
	r := newRig(t)
	target := &Target{Stream: r.s, Timeline: r.tl}
	p := NewPush(PushOptions{
		Lookup: func(string) (*Target, bool) { return target, true },
		Log:    slog.New(panickyLog{at: "source connected"}),
	})
	defer p.Close()
	for range 2 {
		panicked := make(chan any, 1)
		addr := serve(t, func(ctx context.Context, conn net.Conn) {
			defer func() { panicked <- recover() }()
			br := bufio.NewReader(conn)
			if req, err := http.ReadRequest(br); err == nil {
				p.ServeConn(ctx, conn, br, req)
			}
		})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST /streams/x_push HTTP/1.1\r\nHost: h\r\nContent-Type: video/x-ms-asf\r\n\r\n")
		if v := <-panicked; v == nil {
			t.Fatal("no panic was provoked")
		}
		_ = conn.Close()
		if n, source := p.Sessions(), r.s.Source(); n != 0 || source != "" {
			t.Errorf("afterwards %d sessions, and the stream is held by %q", n, source)
		}
	}
}
