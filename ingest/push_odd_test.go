package ingest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/stream"
)

// An encoder whose chunks cannot be read is told so, and does not just lose its connection;
// cut as fine as can be they are chunks all the same.
func TestPushInOddChunks(t *testing.T) {
	chunk := func(b []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(b), b) }
	body := pushBody(testHeader(320), packets(0, 4)...)
	single := func() string {
		var s strings.Builder
		for i := range body {
			s.WriteString(chunk(body[i : i+1]))
		}
		return s.String()
	}
	for _, c := range []struct {
		name, body string
		status     int
		text       string
	}{
		{"one byte each", single() + "0\r\n\r\n", 204, ""},
		{"a length that is none", chunk(body) + "zz\r\n", 400, "invalid byte in chunk length"},
		{"a length beyond all bounds", chunk(body) + "fffffffffffffffff\r\n", 400, "chunk length too large"},
		{"no end of line behind one", fmt.Sprintf("%x\r\n%sXX", len(body), body), 400, "malformed chunked encoding"},
		{"an extension without end", chunk(body) + "5;" + strings.Repeat("a", 1<<16) + "\r\n", 400, "line too long"},
		{"trailers without end", chunk(body) + "0\r\n" + strings.Repeat("A: b\r\n", 1<<13), 400, "trailer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(t)
			e := d.dial()
			e.start(e.setup(), "Transfer-Encoding: chunked")
			go func() { _, _ = io.WriteString(e.conn, c.body) }() // the server may have had enough before
			text, _ := io.ReadAll(e.want(c.status).Body)
			if c.status != http.StatusNoContent && (!strings.Contains(string(text), c.text) || !strings.Contains(string(text), "Transfer-Encoding: chunked")) {
				t.Errorf("%q, want %q", text, c.text)
			}
			if c.status != http.StatusNoContent {
				worldtest.Eventually(t, "the session to be deleted", func() bool { return d.push.Sessions() == 0 })
			}
		})
	}
}

// The kernel is asked whether an encoder is still there: so that whoever comes meanwhile is
// refused at once, and only who comes back waits for the end of its former connection.
func TestHungUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	for name, leave := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) { _ = c.Close() },
		"reset":  func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"shut":   func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			there, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = there.Close() }()
			here, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = here.Close() }()
			if _, err := io.WriteString(there, "what nobody has read"); err != nil {
				t.Fatal(err)
			}
			if hungUp(under{here}) {
				t.Error("gone while it is there")
			}
			leave(there.(*net.TCPConn))
			worldtest.Eventually(t, "the kernel to know", func() bool { return hungUp(under{here}) })
		})
	}
	t.Run("closed on our side", func(t *testing.T) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if !hungUp(c) {
			t.Error("there")
		}
	})
}

// under is a connection that wraps another, as TLS does.
type under struct{ net.Conn }

func (u under) NetConn() net.Conn { return u.Conn }

// Whoever finds another encoder on the air is refused without waiting for it to leave; it is
// heard all the while.
func TestPushSecondEncoderDoesNotWait(t *testing.T) {
	d := newDoor(t)
	first := d.dial()
	first.start(first.setup(), endless)
	first.send(pushBody(testHeader(320), packets(0, 3)...))
	d.slabs(3)
	r := &pushRequest{pushConn: &pushConn{push: d.push, ctx: t.Context()}, target: d.target}
	if !r.ending(0) || r.ending(endingGrace) {
		t.Error("it waits for one that is there")
	}
	_ = first.conn.Close()
	worldtest.Eventually(t, "the end of the first", func() bool { return d.s.State() != stream.Live })
	if r.ending(endingTime) {
		t.Error("it waits for one that is gone")
	}
}

// An encoder that is back at once finds its former connection not yet given up: its reader has rested, or has told the
// stream of the loss and not yet let go of the session. That it lets go between the try and the look at it is no reason
// to refuse either.
func TestPushSessionIsTakenFromAConnectionAboutToEnd(t *testing.T) {
	d := newDoor(t)
	first := d.dial()
	id := first.setup()
	s := d.push.find(id, d.s, addressOf(first.conn).Addr())
	former := &pushConn{push: d.push, ctx: t.Context(), conn: first.conn}
	former.heard.Store(stream.Monotonic())
	d.push.mu.Lock()
	s.conn = former
	d.push.mu.Unlock()

	r := &pushRequest{pushConn: &pushConn{push: d.push, ctx: t.Context(), conn: first.conn}, target: d.target}
	tries := 0
	if !r.patiently(func() bool {
		_, taken := r.take(s)
		if tries++; tries == 1 {
			d.push.leave(s, former)
		}
		return taken
	}) {
		t.Errorf("refused after %d tries", tries)
	}
}
