package pump

import (
	"bufio"
	"io"
	"net"
	"net/http"
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
