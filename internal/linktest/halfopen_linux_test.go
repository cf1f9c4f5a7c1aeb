package linktest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// How many of each kind are at the far end when the line is cut, and how many near the pump, who have to notice nothing.
const (
	farFramed, farPlain, farIdle, farHalf = 20, 5, 5, 5
	nearViewers                           = 5
)

// halfOpenPump gives everything a short term, so that the test does not take long.
const halfOpenPump = `
stall: {timeout: 4s}
request: {head_timeout: 4s, idle_timeout: 4s}
streams:
  - {type: mmsh_push, path: live}
`

// connect connects from inside a namespace to the pump, and says so much.
func connect(t *testing.T, from namespace, address, request string) net.Conn {
	t.Helper()
	conn, err := from.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

const askToPlay = "GET /streams/live HTTP/1.0\r\nUser-Agent: NSPlayer/9.0\r\nHost: pump\r\nPragma: xPlayStrm=1\r\n\r\n"

// follower reads packets for ever, and notes when one is not the next.
type follower struct {
	packets atomic.Int64
	broken  atomic.Pointer[string]
}

func follow(conn net.Conn) *follower {
	f := &follower{}
	go func() {
		if err := f.read(bufio.NewReader(conn)); err != nil {
			f.broken.Store(new(err.Error()))
		}
	}()
	return f
}

func (f *follower) read(r *bufio.Reader) error {
	if _, err := http.ReadResponse(r, nil); err != nil {
		return err
	}
	for last := uint32(0); ; {
		head := make([]byte, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		body := make([]byte, binary.LittleEndian.Uint16(head[2:]))
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		if head[1] != 'D' {
			continue
		}
		at := binary.LittleEndian.Uint32(body)
		if f.packets.Load() > 0 && at != last+1 {
			return fmt.Errorf("packet %d comes after %d", at, last)
		}
		last = at
		f.packets.Add(1)
	}
}

// figure reads one number off the metrics page.
func (p *pump) figure(t *testing.T, name string) (value float64) {
	t.Helper()
	resp, err := p.client.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", adminPort))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("no %s on the metrics page", name)
	return 0
}

// Viewers, and others, whose machine is gone without a word: half of each connection is there, and nothing answers. The
// pump finds out, forgets them in time and says why; those who are there miss nothing, and the far ones come back when
// the line is mended.
func TestHalfOpenViewers(t *testing.T) {
	t.Parallel()
	c := lay(t)
	p := startPump(t, c.near, halfOpenPump)
	start(t, c.near, "loadtest", "push", "-rate", "400000", fmt.Sprintf("http://127.0.0.1:%d/streams/live_push", port))
	eventually(t, 10*time.Second, "the stream is live", func() bool { return p.stream(t, path).State == "live" })
	var here []*follower
	for range nearViewers {
		here = append(here, follow(connect(t, c.near, fmt.Sprintf("127.0.0.1:%d", port), askToPlay)))
	}
	eventually(t, 10*time.Second, "the near ones watch", func() bool { return p.stream(t, path).Viewers == nearViewers })
	connections, files := p.figure(t, "stream_pump_connections"), p.figure(t, "process_open_fds")
	for _, how := range []outage{swallowed, unplugged} {
		t.Run(how.name, func(t *testing.T) {
			far := fmt.Sprintf("%s:%d", nearAddr, port)
			for range farFramed {
				follow(connect(t, c.far, far, askToPlay))
			}
			for range farPlain {
				conn := connect(t, c.far, far, "GET /streams/live.asf HTTP/1.0\r\nHost: pump\r\n\r\n")
				go func() { _, _ = io.Copy(io.Discard, conn) }()
			}
			for range farIdle {
				connect(t, c.far, far, "OPTIONS * HTTP/1.1\r\nHost: pump\r\n\r\n")
			}
			for range farHalf {
				connect(t, c.far, far, "GET /streams/li")
			}
			const watching = nearViewers + farFramed + farPlain
			eventually(t, 10*time.Second, "all are there", func() bool {
				return p.stream(t, path).Viewers == watching && p.figure(t, "stream_pump_connections") >= connections+farFramed+farPlain
			})
			how.cut(t, c)
			took := eventually(t, 40*time.Second, "the far viewers are found to be gone", func() bool { return p.stream(t, path).Viewers == nearViewers })
			eventually(t, 20*time.Second, "nothing is left of them", func() bool {
				return p.figure(t, "stream_pump_connections") <= connections && p.figure(t, "process_open_fds") <= files+2 // the page's own
			})
			how.mend(t, c)
			t.Logf("%d viewers were found to be gone after %.1f s", farFramed+farPlain, took.Seconds())
			back := follow(connect(t, c.far, far, askToPlay))
			eventually(t, 10*time.Second, "a far one watches again", func() bool { return back.packets.Load() > 10 })
			p.checkReasons(t, farFramed+farPlain)
		})
		eventually(t, 20*time.Second, "the far one has left", func() bool { return p.stream(t, path).Viewers == nearViewers })
	}
	for i, f := range here {
		before := f.packets.Load()
		eventually(t, 10*time.Second, "a near viewer gets packets", func() bool { return f.packets.Load() > before })
		if why := f.broken.Load(); why != nil {
			t.Errorf("near viewer %d: %s", i, *why)
		}
	}
}

// checkReasons sees that the last viewers who left did so because nothing was heard of them.
func (p *pump) checkReasons(t *testing.T, n int) {
	t.Helper()
	var gone []struct{ Reason, Address string }
	p.get(t, "/api/v1/viewers?state=closed", &gone)
	stalled := 0
	for _, v := range gone[:min(n, len(gone))] {
		if v.Reason == "stalled" {
			stalled++
		}
	}
	if stalled != n {
		t.Errorf("%d of the last %d viewers left as stalled: %+v", stalled, n, gone)
	}
}
