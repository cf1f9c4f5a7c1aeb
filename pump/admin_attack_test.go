package pump

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// The operators' port has terms and bounds of its own: who is slow or asks for too much is
// sent away, and nobody waits for him.
func TestAdminBounds(t *testing.T) {
	w := newWorld(t, card)
	dial := func(t *testing.T) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", w.AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(adminHeadTime + patience))
		return conn
	}
	const host = "Host: 127.0.0.1\r\n"
	for name, tc := range map[string]struct {
		sent   string
		status int // 0: the connection is closed without a word
	}{
		"a giant head":                  {"GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", 431},
		"a blank before the colon":      {"POST /api/v1/reload HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		"two hosts":                     {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
		"a null byte":                   {"GET / HTTP/1.1\r\n" + host + "A: \x00\r\n\r\n", 400},
		"a tunnel":                      {"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + host + "\r\n", 404},
		"a page of somewhere else":      {"GET http://elsewhere.example/ HTTP/1.1\r\n" + host + "\r\n", 403},
		"a path that leads out of here": {"GET /api/v1/streams/..%2f..%2fetc/passwd HTTP/1.1\r\n" + host + "\r\n", 404},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t)
			if _, err := io.WriteString(conn, tc.sent); err != nil && tc.status != 431 {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != tc.status {
				t.Errorf("%v, %v, want %d", resp, err, tc.status)
			}
		})
	}
	t.Run("slow heads", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes its time; left out with -short")
		}
		var slow []net.Conn
		for _, sent := range []string{"", "GET / HT", "GET / HTTP/1.1\r\n" + host} {
			conn := dial(t)
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, conn)
		}
		if a := w.ask("GET", "/healthz"); a.status != http.StatusOK {
			t.Errorf("meanwhile: %d", a.status)
		}
		for i, conn := range slow {
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("slow client %d is still there: %v", i, err)
			}
		}
	})
}

// A crowd that connects to the operators' port and says nothing, or half of something, takes no more descriptors than the port may have,
// and whoever asks something meanwhile gets his answer.
func TestAdminCrowd(t *testing.T) {
	w := newWorld(t, card)
	var crowd []net.Conn
	for i := range 6 * adminMost {
		conn, err := net.Dial("tcp", w.AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		if i%2 == 1 {
			_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost:")
		}
		crowd = append(crowd, conn)
	}
	for range 3 {
		if a := w.ask("GET", "/healthz"); a.status != http.StatusOK {
			t.Errorf("a newcomer: %d", a.status)
		}
	}
	for i, conn := range crowd[:5*adminMost] { // was closed before the newcomer was accepted, and not by its term
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d of %d is still there", i, len(crowd))
		}
	}
}

// Who works is not closed for who comes, even when all do; then the newcomer is sent away. What was closed is forgotten.
func TestCrowd(t *testing.T) {
	c := newCrowd(2)
	come := func() (mine, its net.Conn) {
		mine, its = net.Pipe()
		t.Cleanup(func() { _ = mine.Close(); _ = its.Close() })
		c.changed(its, http.StateNew)
		return mine, its
	}
	gone := func(conn net.Conn) bool {
		_ = conn.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := conn.Read(make([]byte, 1))
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	a, itsA := come()
	b, itsB := come()
	c.wait(itsA, false)
	d, itsD := come() // b waits
	if gone(a) || !gone(b) || gone(d) {
		t.Errorf("a gone %v, b %v, d %v; want b", gone(a), gone(b), gone(d))
	}
	c.changed(itsB, http.StateClosed)
	c.wait(itsB, true) // too late
	c.wait(itsD, false)
	if e, _ := come(); gone(a) || gone(d) || !gone(e) {
		t.Error("the newcomer was to be sent away")
	}
	c.wait(itsA, true)
	if f, _ := come(); !gone(a) || gone(d) || gone(f) {
		t.Error("the one that waited was to go")
	}
	if len(c.all) != 2 || c.waiting.Len() != 1 {
		t.Errorf("%d known, %d wait", len(c.all), c.waiting.Len())
	}
}
