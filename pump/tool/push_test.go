package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

func TestPushPlaysToTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		stream, user string
		body         int64
	}{
		"one body":                     {},
		"with digest credentials":      {stream: ", publish: {user: u, password: geheim}", user: "u:geheim@"},
		"MUST-S4 a body for each part": {body: 8 << 10},
		"a body that nearly fits":      {body: 8<<10 + 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPump(t, "[{path: x, type: mmsh_push"+c.stream+"}]")
			r, err := Push(t.Context(), PushOptions{
				File: writeFilm(t, 60), URL: fmt.Sprintf("http://%s%s/streams/x_push", c.user, p.Addr()), bodyLength: c.body,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Packets != 60 || !r.Ended || r.Rounds != 1 || r.Bytes != 60*packetSize {
				t.Errorf("report %+v", r)
			}
			if r.DurationS < 0.58 || r.DurationS > 5 {
				t.Errorf("60 packets, 10 ms apart, took %v s", r.DurationS)
			}
			if strings.Contains(r.URL, "geheim") {
				t.Error("the report tells the password")
			}
			if s := streamOf(t, p); s.PacketsIn != 60 || s.State != "offline" {
				t.Errorf("the pump has %d packets and is %s, want 60 and offline", s.PacketsIn, s.State)
			}
		})
	}
}

// With a loop the times go on from round to round: nothing is dropped or moved.
func TestPushLoops(t *testing.T) {
	p := startPump(t, "[{path: x, type: mmsh_push}]")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := Push(ctx, PushOptions{
		File: writeFilm(t, 20), URL: fmt.Sprintf("mmsh://%s/streams/x_push", p.Addr()), Loop: true,
		Progress: func(r PushReport) {
			if r.Rounds > 5 {
				cancel()
			}
		},
	})
	if err != nil || !r.Ended || r.Rounds < 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	s := streamOf(t, p)
	if s.PacketsIn != r.Packets || len(s.DroppedPackets) != 0 || s.State != "offline" {
		t.Errorf("pushed %d, the pump has %d, dropped %v, is %s", r.Packets, s.PacketsIn, s.DroppedPackets, s.State)
	}
}

func TestPushRefused(t *testing.T) {
	p := startPump(t, "[{path: x, type: mmsh_push, publish: {user: u, password: geheim}}, {path: open, type: mmsh_push}]")
	film := writeFilm(t, 20)
	for name, c := range map[string]struct {
		url    string
		status int
		want   string
	}{
		"wrong password":    {fmt.Sprintf("http://u:falsch@%s/streams/x_push", p.Addr()), 401, "credentials"},
		"no password":       {fmt.Sprintf("http://%s/streams/x_push", p.Addr()), 401, "USER:PASSWORD@HOST"},
		"unknown stream":    {fmt.Sprintf("http://%s/streams/nix_push", p.Addr()), 404, "no stream of type mmsh_push"},
		"path without push": {fmt.Sprintf("http://%s/streams/open", p.Addr()), 400, "ends in _push"},
		"nobody listens":    {"http://127.0.0.1:1/streams/x_push", 0, "nothing listens"},
		"hangs up":          {"http://" + host(t, says(nil)) + "/x_push", 0, "closed the connection"},
		"no push server":    {"http://" + host(t, says(answers(200, "text/html", "hello"))) + "/x_push", 0, "without a push-id"},
		"not our scheme":    {"rtsp://127.0.0.1/x", 0, "want mmsh://"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Push(t.Context(), PushOptions{File: film, URL: c.url})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "falsch") {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			var refusal *StatusError
			if errors.As(err, &refusal) != (c.status != 0) || refusal != nil && refusal.Status != c.status {
				t.Errorf("status of %v, want %d", err, c.status)
			}
		})
	}
}

// takes a session and reads the packets of a body until stop, which is given their number.
func takes(stop func(packets int) bool) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = c.Write(mmsh.AppendPushSetupReply(nil, mmsh.PushReply{PushID: "abc"}))
		req, err := http.ReadRequest(br)
		if err != nil || req.ContentLength != mmsh.PushBodyLength || req.Header.Get("Cookie") != "push-id=abc" {
			return
		}
		d, n := mmsh.NewDecoder(mmsh.PushFraming, mmsh.Push), 0
		for !stop(n) {
			ev, err := nextEvent(br, d)
			if err != nil {
				return
			}
			_, _ = br.Discard(ev.Length)
			switch ev.Kind {
			case mmsh.Packet:
				n++
			case mmsh.End:
				_, _ = c.Write(mmsh.AppendPushStartReply(nil, mmsh.PushReply{PushID: "abc", Close: true}))
				return
			}
		}
	}
}

// A server that says no in mid-stream is heard, one that goes away is told of.
func TestPushIsLost(t *testing.T) {
	film := writeFilm(t, 2000)
	for name, c := range map[string]struct {
		script func(net.Conn, *bufio.Reader)
		want   string
	}{
		"goes away": {takes(func(n int) bool { return n == 5 }), "127.0.0.1"},
		"says no": {func(c net.Conn, br *bufio.Reader) {
			takes(func(n int) bool { return n == 5 })(c, br)
			_, _ = c.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusBadRequest, Text: "a bad packet", Push: true}))
			_, _ = io.CopyN(io.Discard, br, 1<<20)
		}, "400 Bad Request: a bad packet"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Push(t.Context(), PushOptions{File: film, URL: "http://" + host(t, c.script) + "/streams/x_push"})
			if err == nil || !strings.Contains(err.Error(), c.want) || r.Packets < 5 || r.Ended {
				t.Errorf("%+v, %v; want %q", r, err, c.want)
			}
		})
	}
}

// With Retry the film goes on where it was when the server comes back.
func TestPushRetries(t *testing.T) {
	at := host(t, takes(func(n int) bool { return n == 5 }), says(answers(503, "text/plain", "busy")), takes(func(int) bool { return false }))
	r, err := Push(t.Context(), PushOptions{
		File: writeFilm(t, 40), URL: "http://" + at + "/streams/x_push", Retry: true, backoff: time.Millisecond,
	})
	if err != nil || !r.Ended || r.Reconnects != 2 || r.Rounds != 1 || r.Packets != 40 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What trying again cannot mend is no reason to.
func TestPushRetryGivesUp(t *testing.T) {
	p := startPump(t, "[{path: x, type: mmsh_push}]")
	_, err := Push(t.Context(), PushOptions{File: writeFilm(t, 5), URL: fmt.Sprintf("http://%s/streams/nix_push", p.Addr()), Retry: true})
	var refusal *StatusError
	if !errors.As(err, &refusal) || refusal.Status != 404 {
		t.Errorf("%v, want 404", err)
	}
}

func TestFilmRefused(t *testing.T) {
	dir := t.TempDir()
	header := testHeader(3)
	for name, content := range map[string][]byte{
		"empty":       {},
		"text":        []byte("this is no film, and longer than a header's beginning"),
		"cut header":  header[:len(header)-10],
		"no packets":  header,
		"half packet": append(append([]byte{}, header...), testPacket(0)[:100]...),
		"only zeros":  append(append([]byte{}, header...), make([]byte, 5*packetSize)...),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "x.asf")
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := openFilm(file)
			if err == nil {
				f.close()
			}
			if !errors.Is(err, ErrNotPlayable) || !strings.Contains(err.Error(), "x.asf") {
				t.Errorf("error %v, want one that names the file", err)
			}
		})
	}
	if _, err := openFilm(filepath.Join(dir, "nix.asf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
