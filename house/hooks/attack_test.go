package hooks

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// Whatever a webhook answers, nothing else is asked for: neither another host nor another address
// of its own, whatever the status and wherever it points to.
func TestAWebhookLeadsNowhereElse(t *testing.T) {
	var asked atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inner.Close()
	host := strings.TrimPrefix(inner.URL, "http://")
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		for what, location := range map[string]string{
			"another host": inner.URL + "/admin", "without a scheme": "//" + host + "/", "with a password": "http://admin:admin@" + host + "/",
			"a file": "file:///etc/passwd", "no address": "http://[::1", "another address": "/elsewhere",
		} {
			t.Run(fmt.Sprint(status, " ", what), func(t *testing.T) {
				var posts atomic.Int64
				outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					posts.Add(1)
					if r.URL.Path != "/hook" || r.Method != http.MethodPost {
						t.Errorf("asked for %s %s", r.Method, r.URL)
					}
					w.Header().Set("Location", location)
					w.Header().Set("Refresh", "0; url="+inner.URL)
					w.WriteHeader(status)
				}))
				defer outer.Close()
				w := newWorld(t)
				s := w.sender(Options{Hooks: []Hook{{URL: outer.URL + "/hook"}}})
				w.say(&fleet.State{})
				wait(t, func() bool { return s.Figures().Failed >= 1 })
				s.Close()
				if posts.Load() == 0 {
					t.Error("it was not told at all")
				}
			})
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests reached a host that nobody configured", n)
	}
}

// hostile answers every request with what it is given, and counts what it could send.
type hostile struct {
	net.Listener
	sent  atomic.Int64
	conns atomic.Int64
	done  sync.WaitGroup
}

func newHostile(t *testing.T, answer func(c net.Conn, request string) int) *hostile {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{Listener: ln}
	h.done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			h.conns.Add(1)
			h.done.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				request := make([]byte, 64<<10)
				n, err := c.Read(request)
				if err == nil {
					h.sent.Add(int64(answer(c, string(request[:n]))))
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		h.done.Wait()
	})
	return h
}

// without writes the same again until the other side has had enough.
func without(end string) func(net.Conn, string) int {
	return func(c net.Conn, _ string) (sent int) {
		n, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"+end)
		for more := strings.Repeat("a", 64<<10); err == nil; n, err = io.WriteString(c, more) {
			sent += n
		}
		return sent + n
	}
}

// An answer costs a bounded time and a bounded memory, and what is logged of it is short and holds
// no secret, even if the answer repeats what it was told.
func TestAnswersOfWebhooksAreBounded(t *testing.T) {
	const secret = "hush-hush-1234"
	for name, tt := range map[string]struct {
		answer func(net.Conn, string) int
		sent   int64 // bytes, at most: what is read, and what the kernel takes on its way
	}{
		"a head without end": {without("X: "), 16 << 20},
		"a body without end": {without("Content-Length: 1000000000000\r\n\r\n"), 16 << 20},
		"chunks without end": {without("Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFF\r\n"), 16 << 20},
		"a head of a MiB": {func(c net.Conn, _ string) int {
			n, _ := io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://[::1"+strings.Repeat("a", 1<<20)+"\r\n\r\n")
			return n
		}, 2 << 20},
		"nothing": {func(c net.Conn, _ string) int {
			n, _ := io.Copy(io.Discard, c) // until it is hung up on
			return int(n)
		}, 64 << 10},
		"half a body, then nothing": {func(c net.Conn, _ string) int {
			n, _ := io.WriteString(c, "HTTP/1.1 500 X\r\nContent-Length: 1000\r\n\r\nhalf")
			_, _ = io.Copy(io.Discard, c)
			return n
		}, 1 << 10},
		"what it was told, as a head": {func(c net.Conn, request string) int { n, _ := io.WriteString(c, request); return n }, 64 << 10},
		"what it was told, as an address": {func(c net.Conn, request string) int {
			line, _, _ := strings.Cut(request, "\r\n")
			n, _ := io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://[::1"+line+"\r\nContent-Length: 0\r\n\r\n")
			return n
		}, 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, tt.answer)
			w := newWorld(t)
			var log bytes.Buffer
			s := w.sender(Options{
				Hooks:   []Hook{{URL: "http://user:" + secret + "@" + h.Addr().String() + "/" + secret + "?token=" + secret, Secret: secret}},
				Timeout: time.Second, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			w.say(&fleet.State{})
			wait(t, func() bool { f := s.Figures(); return f.Failed+f.Sent >= 1 })
			s.Close()
			_ = h.Close()
			h.done.Wait()
			if h.conns.Load() == 0 {
				t.Error("it was not told at all")
			}
			if n := h.sent.Load(); n > tt.sent {
				t.Errorf("%d bytes of an answer were taken", n)
			}
			for line := range strings.Lines(log.String()) {
				if len(line) > 1000 {
					t.Errorf("a line of %d bytes in the log: %s…", len(line), line[:300])
				}
				if strings.Contains(line, secret) {
					t.Errorf("the log holds a secret: %s", line)
				}
			}
		})
	}
}
