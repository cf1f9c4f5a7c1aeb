package server

import (
	"io"
	"strings"
	"testing"
	"time"
)

// Peers that speak something else, or HTTP in a way that is not expected here, are told at
// once what is wrong and what would be right; who watches notices nothing.
func TestOddPeers(t *testing.T) {
	w, e := describable(t)
	w.serveTLS()
	watchers := []*tape{w.watchTape(e, play(newAgent)), w.dialTLS().tape(play(newAgent))}
	const expect = "Expect: 100-continue"
	logs := []string{"Content-Type: application/x-wms-LogStats", "Connection: Keep-Alive", "Content-Length: 5"}
	raw := func(line string, more ...string) string {
		return line + "\r\n" + strings.Join(append(more, ""), "\r\n") + "\r\n"
	}
	for _, tc := range []struct {
		name, request string
		status        int
		text          string
	}{
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505, "this server speaks HTTP/1.0 and HTTP/1.1"},
		{"HTTP/3", raw("GET /streams/x HTTP/3.0", "Host: h"), 505, "this server speaks HTTP/1.0 and HTTP/1.1"},
		{"no version", "GET /streams/x\r\n", 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"SMTP", "EHLO example.org\r\n", 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"RTSP", raw("OPTIONS rtsp://h/streams/x RTSP/1.0", "CSeq: 1"), 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"Icecast's source", raw("SOURCE /streams/x ICE/1.0", "content-type: audio/mpeg"), 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"a blank in the address", raw("GET /streams/a b HTTP/1.1", "Host: h"), 400, "the first line is not METHOD ADDRESS HTTP/1.1"},
		{"half an escape", raw("GET /streams/%ZZ HTTP/1.1", "Host: h"), 400, "an escape is % and two hexadecimal digits"},
		{"a length below zero", raw("POST /streams/x HTTP/1.1", "Host: h", "Content-Length: -5"), 400, "one Content-Length in decimal digits"},
		{"a coding nobody has", raw("POST /streams/x HTTP/1.1", "Host: h", "Transfer-Encoding: gzip"), 400, "Transfer-Encoding: chunked"},
		{"an expectation nobody has", raw("POST /streams/x HTTP/1.1", append(logs, "Expect: cake")...), 417, "other than 100-continue"},
		{"a stranger to websockets", get(agent(newAgent), "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), 200, ""},
		{"an address with a host", raw("GET http://elsewhere.example/streams/x HTTP/1.1", "Host: h", agent(newAgent)), 200, ""},
		{"an escaped letter", raw("GET /streams/%78 HTTP/1.1", "Host: h", agent(newAgent)), 200, ""},
		{"letters of another alphabet", raw("GET /streams/ж HTTP/1.1", "Host: h"), 404, ""},
		{"the same, escaped", raw("GET /streams/%D0%B6 HTTP/1.1", "Host: h"), 404, ""},
		{"a thousand lines of tokens", get(append(slicesOf("Pragma: a=1", 1000), agent(newAgent))...), 200, ""},
		{"a tunnel", raw("CONNECT elsewhere.example:443 HTTP/1.1", "Host: elsewhere.example:443"), 404, ""},
	} {
		for door, dial := range map[string]func() *client{"": w.dial, ", behind TLS": w.dialTLS} {
			t.Run(tc.name+door, func(t *testing.T) {
				c := dial()
				c.TB = t
				defer c.close()
				r := c.ask(tc.request)
				if r.status != tc.status || !strings.Contains(string(r.body), tc.text) {
					t.Errorf("%d %q, want %d %q", r.status, r.body, tc.status, tc.text)
				}
			})
		}
	}
	for door, dial := range map[string]func() *client{"a loop": w.dial, "TLS": w.dialTLS} {
		t.Run("who waits to be invited gets his answer on "+door, func(t *testing.T) {
			c := dial()
			c.TB = t
			defer c.close()
			c.write(raw("POST /streams/x HTTP/1.1", append(logs, expect)...))
			_ = c.conn.SetReadDeadline(time.Now().Add(patience))
			invited := make([]byte, len(invitation))
			if _, err := io.ReadFull(c.br, invited); err != nil || string(invited) != invitation {
				t.Fatalf("%q, %v", invited, err)
			}
			c.write("hello")
			if r, err := c.readReply(); err != nil || r.status != 204 {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
	t.Run("plain HTTP to the port of TLS", func(t *testing.T) {
		conn, err := dialBuffer(w.tlsA, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, conn)
		defer c.close()
		if r := c.ask(get(agent(newAgent))); r.status != 400 || !strings.Contains(string(r.body), "it takes TLS (https)") {
			t.Errorf("%d %q", r.status, r.body)
		}
	})
	t.Run("TLS to the plain port", func(t *testing.T) {
		c := w.dial()
		c.TB = t
		defer c.close()
		if r := c.ask("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("r", 32)); r.status != 400 || !strings.Contains(string(r.body), "it takes plain HTTP") {
			t.Errorf("%d %q", r.status, r.body)
		}
	})
	e.send(1)
	for _, c := range watchers {
		c.awaitPacket(t, e.next-1)
		if at := c.now(); at.missing > 0 {
			t.Errorf("a viewer missed %d packets", at.missing)
		}
	}
}

func slicesOf(s string, n int) (list []string) {
	for range n {
		list = append(list, s)
	}
	return list
}
