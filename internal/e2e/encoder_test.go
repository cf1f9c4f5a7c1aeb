package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// rawEncoder is an encoder that sends what it is told. One goroutine uses it.
type rawEncoder struct {
	conn net.Conn
}

// pushWindows begins to push as Windows encoders do: a PushSetup, then a PushStart with the push-id it was given.
func pushWindows(t *testing.T, port int, path string) *rawEncoder {
	t.Helper()
	e, err := dialEncoder(t, port)
	if err != nil {
		t.Fatal(err)
	}
	const head = "POST /streams/%s_push HTTP/1.1\r\nContent-Type: application/x-wms-%s\r\nUser-Agent: WMEncoder/12.0.7600.16385\r\n" +
		"Host: 127.0.0.1\r\nContent-Length: %d\r\nCookie: push-id=%s\r\n\r\n"
	if _, err := fmt.Fprintf(e.conn, head+"AutoDestroy: 1\r\n", path, "pushsetup", 16, "0"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(e.conn), nil)
	if err != nil {
		t.Fatalf("reply to PushSetup: %v", err)
	}
	id := ""
	for _, c := range resp.Cookies() {
		if c.Name == "push-id" {
			id = c.Value
		}
	}
	if resp.StatusCode != http.StatusNoContent || id == "" {
		t.Fatalf("reply to PushSetup: %s, push-id %q", resp.Status, id)
	}
	if _, err := fmt.Fprintf(e.conn, head, path, "pushstart", 2147483647, id); err != nil {
		t.Fatal(err)
	}
	return e
}

// pushBody begins to push a body of whatever form, which the pump has to recognise.
func pushBody(t *testing.T, port int, path string) (*rawEncoder, error) {
	t.Helper()
	e, err := dialEncoder(t, port)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(e.conn, "POST /streams/%s_push HTTP/1.1\r\nUser-Agent: e2e\r\nHost: 127.0.0.1\r\nContent-Length: 2147483647\r\n\r\n", path)
	return e, err
}

func dialEncoder(t *testing.T, port int) (*rawEncoder, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 10*time.Second)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(slack * 2 * time.Minute))
	return &rawEncoder{conn: conn}, nil
}

func (e *rawEncoder) send(b []byte) error {
	_, err := e.conn.Write(b)
	return err
}

// sendEvery writes what make gives for 0, 1, 2 … at each tick, until make gives nothing or the test ends.
func (e *rawEncoder) sendEvery(t *testing.T, tick time.Duration, packet func(n int) []byte) error {
	t.Helper()
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for n := 0; ; n++ {
		b := packet(n)
		if b == nil {
			return nil
		}
		if err := e.send(b); err != nil {
			return err
		}
		select {
		case <-clock.C:
		case <-t.Context().Done():
			return t.Context().Err()
		}
	}
}
