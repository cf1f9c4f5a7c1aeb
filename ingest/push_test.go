package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// door is a push door on a loopback port.
type door struct {
	*rig
	target *Target
	push   *Push
	addr   string
}

func newDoor(t *testing.T, change ...func(*PushOptions)) *door {
	t.Helper()
	d := &door{rig: newRig(t)}
	d.target = &Target{Stream: d.s, Timeline: d.tl}
	o := PushOptions{LingerTimeout: 50 * time.Millisecond, Lookup: func(path string) (*Target, bool) {
		return d.target, strings.EqualFold(path, "x")
	}}
	for _, c := range change {
		c(&o)
	}
	d.push = NewPush(o)
	d.addr = serve(t, func(ctx context.Context, conn net.Conn) {
		br := bufio.NewReader(conn)
		if req, err := http.ReadRequest(br); err == nil {
			d.push.ServeConn(ctx, conn, br, req)
		}
	})
	t.Cleanup(d.push.Close)
	return d
}

// serve runs f for each connection to the returned address until the test is over, and waits for all of them.
func serve(t *testing.T, f func(ctx context.Context, conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				f(ctx, conn)
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); all.Wait() })
	return l.Addr().String()
}

// encoder is the client's side of a connection.
type encoder struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

func (d *door) dial() *encoder {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &encoder{t: d.t, conn: conn, br: bufio.NewReader(conn)}
}

func (e *encoder) send(parts ...[]byte) {
	e.t.Helper()
	if _, err := e.conn.Write(join(parts...)); err != nil {
		e.t.Fatal(err)
	}
}

// request sends a head; headers are lines.
func (e *encoder) request(method, path string, lines ...string) {
	e.t.Helper()
	head := method + " " + path + " HTTP/1.1\r\nHost: here\r\nUser-Agent: WMEncoder/12.0.7600.16385\r\n"
	for _, l := range lines {
		head += l + "\r\n"
	}
	e.send([]byte(head + "\r\n"))
}

func (e *encoder) answer() *http.Response {
	e.t.Helper()
	resp, err := http.ReadResponse(e.br, nil)
	if err != nil {
		e.t.Fatalf("answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatalf("body of the answer: %v", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

func (e *encoder) want(status int) *http.Response {
	e.t.Helper()
	resp := e.answer()
	if resp.StatusCode != status {
		body, _ := io.ReadAll(resp.Body)
		e.t.Fatalf("status %s, want %d: %s", resp.Status, status, body)
	}
	return resp
}

func (e *encoder) setup(lines ...string) string {
	e.t.Helper()
	e.request("POST", "/streams/x_push", append([]string{"Content-Type: application/x-wms-pushsetup", "Content-Length: 0"}, lines...)...)
	return mmsh.PushIDOf(e.want(204).Header)
}

func (e *encoder) start(id, length string) {
	e.t.Helper()
	e.request("POST", "/streams/x_push", "Content-Type: application/x-wms-pushstart", "Cookie: a=2 ; push-id="+id, length)
}

const endless = "Content-Length: 2147483647"

func (e *encoder) closed() {
	e.t.Helper()
	if b, err := e.br.ReadByte(); err == nil {
		e.t.Errorf("byte 0x%02x instead of the connection's end", b)
	}
}

// slabs waits until n slabs were published since the last call.
func (d *door) slabs(n int) []got {
	d.t.Helper()
	worldtest.Eventually(d.t, fmt.Sprintf("%d slabs", n), func() bool { return d.s.Ring().Tail()-d.from >= uint64(n) })
	return d.take()
}

func (d *door) state(want stream.State) {
	d.t.Helper()
	worldtest.Eventually(d.t, "state "+want.String(), func() bool { return d.s.State() == want })
}

func TestPushSetup(t *testing.T) { // MUST-S1, MUST-S2
	d := newDoor(t)
	e := d.dial()
	seen := map[string]bool{}
	for _, body := range []string{"", "AutoDestroy: 1\r\n", "Template-URL: \"/pub\"\r\n", "Nonsense\r\nX: y\r\n"} {
		e.request("POST", "/Streams/X_PUSH/?a=b", "Content-Type: application/x-wms-pushsetup; charset=UTF-8",
			"Cookie: push-id=0", fmt.Sprintf("Content-Length: %d", len(body)))
		e.send([]byte(body))
		var raw []byte
		for {
			line, err := e.br.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, line...)
			if line == "\r\n" {
				break
			}
		}
		id := string(raw[bytes.Index(raw, []byte("push-id="))+8:])
		id, _, _ = strings.Cut(id, "\r\n")
		want := "HTTP/1.1 204 No Content\r\nServer: Cougar/9.6.7600.16564\r\nContent-Length: 0\r\nPragma: no-cache, timeout=60000\r\n" +
			"Cache-Control: no-cache\r\nSet-Cookie: push-id=" + id + "\r\nSupported: com.microsoft.wm.srvppair, " +
			"com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache\r\nConnection: Keep-Alive\r\n\r\n"
		if string(raw) != want {
			t.Errorf("reply:\n%s\nwant:\n%s", raw, want)
		}
		if !mmsh.ValidPushID(id) || len(id) < 16 || seen[id] {
			t.Errorf("push-id %q", id)
		}
		seen[id] = true
	}
	if id := e.setup("Cookie: b=1; push-id=" + keys(seen)[0]); !seen[id] {
		t.Errorf("set up again under its push-id it got %q", id)
	}
	e.request("POST", "/streams/x_push", "Content-Type: application/x-wms-pushsetup", "Content-Length: 0", "Cookie: push-id=unknown")
	e.want(400)
	e.closed()
	e = d.dial()
	e.request("POST", "/streams/x_push", "Content-Type: application/x-wms-pushsetup", "Content-Length: 5000")
	e.send(make([]byte, 5000))
	e.want(413)
}

func keys(m map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

func TestPushStartBodies(t *testing.T) { // MUST-S3
	raw, list := testHeader(320), packets(0, 20)
	chunked := func(b []byte) []byte {
		var out bytes.Buffer
		for len(b) > 0 {
			n := min(len(b), 700)
			fmt.Fprintf(&out, "%x\r\n%s\r\n", n, b[:n])
			b = b[n:]
		}
		return append(out.Bytes(), "0\r\n\r\n"...)
	}
	end := mmsh.AppendEnd(nil, 0)
	type lines = []string
	for _, c := range []struct {
		name, method string
		head         lines
		body         []byte
	}{
		{"a length of 2 GiB", "POST", lines{"Content-Type: application/x-wms-pushstart", endless}, join(pushBody(raw, list...), end)},
		{"chunked", "POST", lines{"Content-Type: application/x-wms-pushstart", "Transfer-Encoding: chunked"}, chunked(join(pushBody(raw, list...), end))},
		{"until close", "POST", lines{"Content-Type: application/x-wms-pushstart"}, join(pushBody(raw, list...), end)},
		{"ffmpeg -f asf_stream", "POST", lines{"Transfer-Encoding: chunked"}, chunked(join(pullBody(raw, 0, list...), []byte{0x24, 0x45, 8, 0, 20, 0, 0, 0, 0, 0, 8, 0}))},
		{"ffmpeg -f asf", "POST", lines{"Transfer-Encoding: chunked"}, chunked(join(plainBody(raw, list...), index))},
		{"ffmpeg -f asf, neither index nor end", "PUT", lines{"Transfer-Encoding: chunked"}, chunked(plainBody(raw, list...))},
		{"ffmpeg -f asf, until close", "PUT", nil, join(plainBody(raw, list...), index)},
		{"a file of known length", "PUT", lines{"Content-Type: video/x-ms-asf", fmt.Sprintf("Content-Length: %d", len(plainBody(raw, list...)))}, plainBody(raw, list...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(t)
			e := d.dial()
			e.request(c.method, "/streams/x_push", c.head...)
			e.send(c.body)
			got := d.slabs(21)
			sameBytes(t, got[:20], list)
			if got[20].Kind != ringbuf.End {
				t.Errorf("the last slab is of kind %d", got[20].Kind)
			}
			if resp := e.want(204); !resp.Close {
				t.Error("the answer keeps the connection open")
			}
			e.closed()
			d.state(stream.Offline)
			worldtest.Eventually(t, "the session to be forgotten", func() bool { return d.push.Sessions() == 0 })
		})
	}
}

func TestPushExpectContinue(t *testing.T) {
	d := newDoor(t)
	e := d.dial()
	e.request("POST", "/streams/x_push", "Content-Type: application/x-wms-pushstart", endless, "Expect: 100-continue")
	e.want(100)
	e.send(pushBody(testHeader(320), packets(0, 2)...))
	d.slabs(2)
}

func TestPushSeveralStartsInOneSession(t *testing.T) { // MUST-S4
	raw, list := testHeader(320), packets(0, 12)
	other := testHeader(640)
	d := newDoor(t)
	e := d.dial()
	id := e.setup()
	parts := [][]byte{
		join(pushBody(raw, list[:4]...), filler(333)),
		join(pushData(list[4:8]...), filler(2)),
		join(filler(0), pushData(list[8:10]...), filler(7)),
		join(mmsh.AppendEnd(nil, 1), pushChange(other), pushData(list[10:]...), mmsh.AppendEnd(nil, 0)),
	}
	for i, part := range parts {
		if i == 2 {
			e.conn.Close() // the next one comes on a connection of its own
			e = d.dial()
		}
		e.start(id, fmt.Sprintf("Content-Length: %d", len(part)))
		e.send(part)
		if got := mmsh.PushIDOf(e.want(204).Header); got != id {
			t.Fatalf("answer %d has push-id %q, want %q", i, got, id)
		}
	}
	e.closed()
	var data []got
	kinds := map[ringbuf.Kind]int{}
	for _, g := range d.take() {
		if kinds[g.Kind]++; g.Kind == ringbuf.Data {
			data = append(data, g)
		}
	}
	sameBytes(t, data, list[:11][:len(data)])
	if kinds[ringbuf.Change] != 1 || kinds[ringbuf.End] != 1 {
		t.Errorf("slabs by kind: %v", kinds)
	}
}

func TestPushRefusals(t *testing.T) { // MUST-S6, MUST-S9
	raw := testHeader(320)
	long := append(packet(0, 0, true), 0)
	for _, c := range []struct {
		name, path, typ string
		body            []byte
		status          int
		text            string
	}{
		{"unknown path", "/streams/y_push", "", raw, 404, "no such stream"},
		{"path without _push", "/streams/x", "", raw, 404, "no such stream"},
		{"path inside", "/streams/a/x_push", "", raw, 404, "no such stream"},
		{"first packet is no $H", "/streams/x_push", mmsh.TypePushStart, pushData(packets(0, 3)...), 400, "24 44"},
		{"bad header", "/streams/x_push", mmsh.TypePushStart, pushBody(raw[:200]), 400, "header"},
		{"$D above packet size", "/streams/x_push", mmsh.TypePushStart, pushBody(raw, long), 400, "513"},
		{"packet crosses the end of the body", "/streams/x_push", mmsh.TypePushStart, pushBody(raw, packet(0, 0, true))[:900], 400, "ends"},
		{"garbage", "/streams/x_push", "text/plain", []byte("hello, here is a stream of mine"), 400, "30 26 b2 75 8e 66 cf 11"},
		{"nothing", "/streams/x_push", "", nil, 400, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(t)
			e := d.dial()
			e.request("POST", c.path, "Content-Type: "+c.typ, fmt.Sprintf("Content-Length: %d", len(c.body)))
			e.send(c.body)
			resp := e.want(c.status)
			text, _ := io.ReadAll(resp.Body)
			if !strings.Contains(string(text), c.text) || strings.Contains(string(text), "/streams") {
				t.Errorf("text %q", text)
			}
			h := resp.Header
			if !strings.HasPrefix(h.Get("Server"), "Cougar/") || h.Get("Cache-Control") != "no-cache" || !resp.Close ||
				resp.ContentLength != int64(len(text)) || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
				t.Errorf("head %v", h)
			}
			e.closed()
			if n := len(d.take()); n != 0 {
				t.Errorf("%d slabs reached viewers", n)
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		e := newDoor(t).dial()
		e.request("GET", "/streams/x_push")
		if allow := e.want(405).Header.Get("Allow"); allow != "POST, PUT" {
			t.Errorf("Allow: %s", allow)
		}
	})
}

func TestPushEnds(t *testing.T) { // MUST-S7
	raw, list := testHeader(320), packets(0, 20)
	begin := func(t *testing.T) (*door, *encoder, string) {
		d := newDoor(t)
		e := d.dial()
		id := e.setup()
		e.start(id, endless)
		e.send(pushBody(raw, list[:7]...))
		d.slabs(7)
		return d, e, id
	}
	t.Run("$E(1): viewers wait for $C", func(t *testing.T) {
		d, e, _ := begin(t)
		e.send(mmsh.AppendEnd(nil, 1), pushChange(testHeader(640)), pushData(list[10:12]...))
		if got := d.slabs(3); got[0].Kind != ringbuf.Change || got[1].Kind != ringbuf.Data {
			t.Errorf("slabs %d, %d", got[0].Kind, got[1].Kind)
		}
		d.state(stream.Live)
	})
	t.Run("the connection breaks, the same push-id resumes with $D", func(t *testing.T) {
		d, e, id := begin(t)
		e.send(pushData(list[7])[:50])
		e.conn.Close()
		d.state(stream.Connecting)
		e = d.dial()
		e.start(id, endless)
		e.send(pushData(list[8:12]...))
		got := d.slabs(2)
		sameBytes(t, got, list[10:12]) // from the key frame on
		d.state(stream.Live)
	})
	t.Run("the connection breaks, a new setup resumes with $H", func(t *testing.T) {
		d, e, old := begin(t)
		e.conn.Close()
		d.state(stream.Connecting)
		e = d.dial()
		id := e.setup("Cookie: push-id=0")
		if id == old {
			t.Error("the same push-id again")
		}
		e.start(id, endless)
		e.send(pushBody(raw, list[10:12]...))
		sameBytes(t, d.slabs(2), list[10:12])
	})
	t.Run("an unknown push-id at the start makes a session", func(t *testing.T) {
		d := newDoor(t)
		e := d.dial()
		e.start("nobodyknows", endless)
		e.send(pushBody(raw, list[:3]...))
		d.slabs(3)
	})
}

func TestPushTimeouts(t *testing.T) { // MUST-S8
	t.Run("idle: 408, session and role are gone", func(t *testing.T) {
		d := newDoor(t, func(o *PushOptions) { o.IdleTimeout = 50 * time.Millisecond })
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(testHeader(320), packets(0, 3)...), filler(8))
		e.want(408)
		e.closed()
		d.state(stream.Connecting)
		if n := d.push.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	t.Run("filler does not keep a session alive", func(t *testing.T) {
		d := newDoor(t, func(o *PushOptions) { o.IdleTimeout = 100 * time.Millisecond })
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(testHeader(320), packets(0, 3)...))
		stop := make(chan struct{})
		var sender sync.WaitGroup
		sender.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = e.conn.Write(filler(8))
				case <-stop:
					return
				}
			}
		})
		e.want(408)
		close(stop)
		sender.Wait()
	})
	t.Run("between requests: closed, session deleted", func(t *testing.T) {
		d := newDoor(t, func(o *PushOptions) { o.ParkTimeout = 10 * time.Millisecond })
		e := d.dial()
		id := e.setup()
		e.start(id, fmt.Sprintf("Content-Length: %d", len(pushBody(testHeader(320), packets(0, 3)...))))
		d.push.SetTimeouts(time.Minute, 60*time.Millisecond, time.Minute) // from the end of this request on
		e.send(pushBody(testHeader(320), packets(0, 3)...))
		e.want(204)
		d.state(stream.Connecting) // parked no longer
		e.closed()
		worldtest.Eventually(t, "the session to be deleted", func() bool { return d.push.Sessions() == 0 })
	})
	t.Run("sessions are bounded", func(t *testing.T) {
		d := newDoor(t, func(o *PushOptions) { o.MaxSessions = 3 })
		e := d.dial()
		for range 8 {
			e.setup()
		}
		if n := d.push.Sessions(); n != 3 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("a slow head", func(t *testing.T) { // MUST-R3
		d := newDoor(t, func(o *PushOptions) { o.HeadTimeout = 50 * time.Millisecond })
		e := d.dial()
		e.setup()
		e.send([]byte("POST /streams/x_push HT"))
		e.want(408)
	})
	t.Run("an oversized head", func(t *testing.T) { // MUST-R3
		e := newDoor(t).dial()
		e.setup()
		e.send([]byte("POST /streams/x_push HTTP/1.1\r\nX: "), bytes.Repeat([]byte("y"), 20_000))
		e.want(431)
	})
}

func TestPushSecondEncoder(t *testing.T) { // MUST-S9
	raw, list := testHeader(320), packets(0, 20)
	begin := func(t *testing.T, change ...func(*PushOptions)) (*door, *encoder) {
		d := newDoor(t, change...)
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(raw, list[:7]...))
		d.slabs(7)
		return d, e
	}
	t.Run("is refused, by setup, start and post", func(t *testing.T) {
		d, first := begin(t)
		for _, typ := range []string{mmsh.TypePushSetup, mmsh.TypePushStart, "video/x-ms-asf"} {
			e := d.dial()
			e.request("POST", "/streams/x_push", "Content-Type: "+typ, "Content-Length: 0")
			text, _ := io.ReadAll(e.want(409).Body)
			if !strings.Contains(string(text), first.conn.LocalAddr().String()) {
				t.Errorf("%s: text %q does not name who is there", typ, text)
			}
		}
		first.send(pushData(list[7]))
		d.slabs(1)
	})
	t.Run("may not share a push-id", func(t *testing.T) {
		d := newDoor(t)
		first := d.dial()
		id := first.setup()
		first.start(id, endless)
		first.send(pushBody(raw, list[:3]...))
		d.slabs(3)
		e := d.dial()
		e.start(id, endless)
		e.want(409)
		first.send(pushData(list[3]))
		d.slabs(1)
	})
	t.Run("takes over where that is allowed", func(t *testing.T) {
		d, first := begin(t)
		d.target.TakeOver = true
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(raw, list[10:12]...))
		sameBytes(t, d.slabs(2), list[10:12])
		first.want(409)
		d.state(stream.Live)
	})
	t.Run("follows a connection that has gone silent", func(t *testing.T) {
		d, first := begin(t, func(o *PushOptions) { o.SilentAfter = time.Millisecond })
		worldtest.Eventually(t, "silence", func() bool { return d.push.holder(d.s).conn.silent() > 2*time.Millisecond })
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(raw, list[10:12]...))
		sameBytes(t, d.slabs(2), list[10:12])
		first.want(409)
	})
	t.Run("follows at once one that has just left, whose end lies unread while its reader rests", func(t *testing.T) {
		d, first := begin(t)
		slow := &pacer{}
		slow.next.Store(stream.Monotonic() + int64(200*time.Millisecond))
		defer d.s.Subscribe(slow)()
		first.send(pushData(list[7]))
		d.slabs(1) // from here on it rests
		_ = first.conn.Close()
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(raw, list[10:12]...))
		sameBytes(t, d.slabs(2), list[10:12])
	})
	t.Run("replaces a backup source at a key frame", func(t *testing.T) {
		d := newDoor(t)
		gone := make(chan struct{})
		backup := d.feed(func(o *FeedOptions) { o.Claim.Fallback = true; o.OnRevoke = func() { close(gone) } })
		mustHeader(t, backup, raw)
		give(t, backup, -1, list[:3]...)
		go func() { <-gone; backup.Lost() }()
		e := d.dial()
		e.start(e.setup(), endless)
		e.send(pushBody(raw, list[3:7]...))
		got := d.slabs(5)
		if len(got) != 5 || !got[3].Key {
			t.Errorf("%d packets", len(got))
		}
		d.state(stream.Live)
	})
}

func TestPushCredentials(t *testing.T) { // MUST-S9, MUST-S10
	d := newDoor(t)
	d.target.Gate = passwordGate(t, "jo", "secret")
	for _, typ := range []string{mmsh.TypePushSetup, mmsh.TypePushStart, ""} {
		e := d.dial()
		e.request("POST", "/streams/x_push", "Content-Type: "+typ, endless, "Expect: 100-continue")
		resp := e.want(401) // without a 100 before it
		if len(resp.Header["Www-Authenticate"]) != 1 {
			t.Errorf("challenges %v", resp.Header["Www-Authenticate"])
		}
	}
	e := d.dial()
	e.request("POST", "/streams/x_push", "Content-Type: application/x-wms-pushsetup", "Content-Length: 0")
	answer, err := access.Authorization(e.want(401).Header["Www-Authenticate"], "POST", "/streams/x_push", "jo", "secret")
	if err != nil {
		t.Fatal(err)
	}
	id := e.setup("Authorization: " + answer) // on the connection of the challenge
	e = d.dial()
	e.start(id, endless)
	e.send(pushBody(testHeader(320), packets(0, 3)...))
	d.slabs(3)
	if d.push.find(id, d.s, peerOf(stranger{e.conn}, &http.Request{}).Addr()) != nil {
		t.Error("the push-id is good for another address")
	}
}

// stranger is a connection from somewhere else.
type stranger struct{ net.Conn }

func (stranger) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func TestPushShutsDown(t *testing.T) {
	d := newDoor(t)
	e := d.dial()
	e.start(e.setup(), endless)
	e.send(pushBody(testHeader(320), packets(0, 3)...))
	d.slabs(3)
	d.s.Close()
	e.want(409)
	d.push.Close()
	if n := d.push.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestPushOfACapturedEncoder(t *testing.T) { // MUST-P7
	framed := fixture(t, "ee4-push-header-framed.bin")
	d := newDoor(t)
	e := d.dial()
	e.start(e.setup(), endless)
	e.send(framed)
	d.state(stream.Live)
	if !bytes.Equal(d.s.Header().Raw, fixture(t, "ee4-push-header-asf.bin")) {
		t.Error("the header was changed on its way")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"WMEncoder/12.0": "WMEncoder/12.0", "a\x1b[31mb\nc": "a.[31mb.c", "\xff\u00e9": "..", strings.Repeat("x", 500): strings.Repeat("x", maxAgent),
	} {
		if got := printable(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
