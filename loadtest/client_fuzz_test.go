package loadtest

import (
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
)

// A viewer that is answered with anything at all says what to do next, keeps little, and never counts itself twice.
func FuzzClient(f *testing.F) {
	s := newSample(f, 3)
	f.Add(append(mmsh.AppendPlayHead(nil, mmsh.ReplyParams{ClientID: 5}), s.body(0, 1)...), 10, false)
	f.Add([]byte("HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1/y\r\n\r\n"), 3, false)
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n<ASX><ENTRY><REF HREF=\"mmsh://h/z\"/></ENTRY></ASX>"), 200, false)
	f.Add(append(mmsh.AppendDescribeHead(nil, mmsh.ReplyParams{ClientID: 5, ContentLength: 3, KeepAlive: true}), "abc"...), 1000, true)
	home, err := parseTarget("mmsh://127.0.0.1:1/x")
	if err != nil {
		f.Fatal(err)
	}
	t0 := newTally(1, 1)
	f.Fuzz(func(t *testing.T, answer []byte, size int, wmp bool) {
		how := newManner(Options{WMP: wmp, JoinTimeout: 1000})
		before := t0.alive.Load()
		c := newClient(1, home, how, t0, steady)
		c.start(1)
		c.request()
		size = max(size, 1)
		for at, do := int64(2), goOn; len(answer) > 0; at++ {
			n := min(size, len(answer))
			do = c.feed(answer[:n], at)
			answer = answer[n:]
			if len(c.head) > maxReplyHead+1 || len(c.text) > mmsh.MaxPlaylist+size || c.redirects > maxRedirects+1 {
				t.Fatalf("kept %d of a head, %d of a playlist, %d redirects", len(c.head), len(c.text), c.redirects)
			}
			switch do {
			case send, again:
				c.request()
			case drop:
				answer = nil
			}
		}
		if c.state == streaming || c.state == swallow || c.state == awaiting {
			c.closed(1<<40, nil)
		}
		c.leave(1 << 41)
		if alive := t0.alive.Load(); alive != before {
			t.Fatalf("%d viewers alive, want %d", alive, before)
		}
		t0.faults, t0.failures = nil, map[string]int{}
	})
}
