package server

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// Behind TLS too there is one term, for the handshake and for the first head each, whatever is
// said in it, and no goroutine outlives it.
func TestSlowHandshake(t *testing.T) {
	w := newWorld(t, plan{settings: Settings{HeadTimeout: 200 * time.Millisecond}})
	w.serveTLS()
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32)
	for name, say := range map[string]func(c *client) error{
		"nothing":       func(*client) error { return nil },
		"half a hello":  func(c *client) error { _, err := io.WriteString(c.conn, hello); return err },
		"no TLS at all": func(c *client) error { _, err := io.WriteString(c.conn, get()); return err },
		"byte by byte": func(c *client) (err error) {
			for i := 0; i < len(hello) && err == nil; i++ {
				_, err = io.WriteString(c.conn, hello[i:i+1])
				time.Sleep(20 * time.Millisecond)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dialBuffer(w.tlsA, 0)
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, conn)
			if say(c) == nil { // else it is gone by now
				c.gone()
			}
		})
	}
	t.Run("a handshake, and then nothing", func(t *testing.T) {
		var conn *tls.Conn
		worldtest.Eventually(t, "a handshake within the term", func() (ok bool) {
			c, err := tlsClient(w)
			if ok = err == nil; ok {
				conn = c.conn.(*tls.Conn)
			}
			return ok
		})
		newClient(t, conn).ended()
	})
	worldtest.Eventually(t, "nothing is left of them", func() bool { return w.limits.Usage().Connections == 0 })
}
