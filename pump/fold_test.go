package pump

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// An encoder that is refused a thousand times, and a source that refuses a thousand times,
// are a handful of lines: nobody outside can fill the log.
func TestNobodyOutsideFillsTheLog(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0") // hangs up on whoever asks
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	asked := make(chan struct{}, 10_000)
	go func() {
		for {
			c, err := busy.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			asked <- struct{}{}
		}
	}()
	w := newWorld(t, "pull: {backoff: {min: 10ms, max: 10ms}}\nstreams: [{path: far, type: mmsh_pull, source_options: {url: 'http://"+busy.Addr().String()+"/'}}, {path: card, type: test_card}]\n")
	w.awaitLive("card")
	for range 200 {
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = fmt.Fprint(c, "POST /streams/card_push HTTP/1.1\r\nHost: pump\r\nContent-Type: application/x-wms-pushsetup\r\nContent-Length: 0\r\n\r\n")
		_, _ = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	for range 100 {
		<-asked
	}
	_ = w.Stop(t.Context()) // writes what is still counted
	lines := map[string]int{}
	for line := range strings.Lines(w.log.String()) {
		_, rest, _ := strings.Cut(line, "msg=")
		lines[strings.SplitN(rest, " stream=", 2)[0]]++
	}
	for msg, n := range lines {
		if n > 12 {
			t.Errorf("%d lines of %s", n, msg)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "source not available") || !strings.Contains(log, "count=") {
		t.Errorf("what was refused is not told:\n%s", log)
	}
}
