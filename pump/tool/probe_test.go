package tool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

func TestProbeTestCard(t *testing.T) {
	p := startPump(t, "[{path: card, type: test_card}]")
	worldtest.Eventually(t, "live", func() bool { return streamOf(t, p).State == "live" })
	for _, scheme := range []string{"mmsh", "mms", "http"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			r, err := Probe(t.Context(), ProbeOptions{URL: fmt.Sprintf("%s://%s/streams/card", scheme, p.Addr()), Duration: 2500 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Tracks) != 2 || r.Tracks[0].Codec != "WMV2" || r.Tracks[0].Width != 480 || r.Tracks[1].Codec != "WMA2" || r.PacketSize != 1400 {
				t.Errorf("streams: %+v", r)
			}
			if !r.BeginsWithKeyFrame || r.KeyFrames < 2 || r.KeyFrameIntervalMS != 1000 {
				t.Errorf("key frames: %+v", r)
			}
			if r.Gaps+r.MissingPackets+r.BadPackets != 0 || r.TimeJumps != 0 || r.Ended || r.Changes != 0 {
				t.Errorf("faults: %+v", r)
			}
			if r.MeasuredBPS < 200_000 || r.MeasuredBPS > 800_000 || r.Pace < 0.5 || r.Pace > 1.5 {
				t.Errorf("%d bit/s at a pace of %v", r.MeasuredBPS, r.Pace)
			}
			var b bytes.Buffer
			if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "WMV2 480×270") {
				t.Errorf("%v\n%s", err, &b)
			}
		})
	}
}

func TestProbeFails(t *testing.T) {
	p := startPump(t, "[{path: off, type: mmsh_push}]")
	for name, c := range map[string]struct {
		url  string
		want string
		is   error
	}{
		"not live":         {fmt.Sprintf("mmsh://%s/streams/off", p.Addr()), "not live", nil},
		"unknown":          {fmt.Sprintf("mmsh://%s/streams/nix", p.Addr()), "404", nil},
		"nobody listens":   {"mmsh://127.0.0.1:1/x", "nothing listens", nil},
		"a web page":       {"http://" + host(t, says(answers(200, "text/html", "<html>"))) + "/", "text/html", ErrNotMMSH},
		"not HTTP":         {"http://" + host(t, says([]byte("220 smtp ready\r\n"))) + "/", "does not answer in HTTP", ErrNotMMSH},
		"hangs up":         {"http://" + host(t, says(nil)) + "/", "without an answer", nil},
		"empty":            {"http://" + host(t, says(answers(200, mmsh.TypeDescribe, ""))) + "/", "Content-Type", ErrNotMMSH},
		"rubbish":          {"http://" + host(t, says(answers(200, mmsh.TypeDescribe, "$H\xff\xffxx"))) + "/", "header", nil},
		"a circle":         {"http://" + circle(t) + "/", "more than", ErrNotMMSH},
		"ends at once":     {"http://" + host(t, says(described()), says(mmsh.AppendEnd(playing(), 0))) + "/", "ended the stream at once", ErrSilent},
		"closes at once":   {"http://" + host(t, says(described()), says(playing())) + "/", "closed", ErrSilent},
		"refused at play":  {"http://" + host(t, says(described()), says(answers(453, "text/plain", "full"))) + "/", "453", nil},
		"terminal escapes": {"http://" + host(t, says(answers(500, "text/plain", "\x1b[31mred\nmore"))) + "/", "500 Internal Server Error: [31mred", nil},
		"not an address":   {"x", "want mmsh://", ErrAddress},
		"no host":          {"mmsh:///x", "no host", ErrAddress},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Probe(t.Context(), ProbeOptions{URL: c.url, Duration: time.Second})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// circle is a server that redirects to itself.
func circle(t *testing.T) string {
	loop := func(c net.Conn, br *bufio.Reader) {
		says([]byte("HTTP/1.0 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"))(c, br)
	}
	return host(t, loop, loop, loop, loop, loop, loop, loop)
}

func TestProbeSilence(t *testing.T) {
	at := host(t, says(described()), func(c net.Conn, br *bufio.Reader) {
		says(playing())(c, br)
		_, _ = br.ReadByte() // until the probe has enough
	})
	_, err := Probe(t.Context(), ProbeOptions{URL: "mmsh://" + at + "/", Duration: time.Second, silence: 50 * time.Millisecond})
	if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "source is silent") {
		t.Errorf("error %v", err)
	}
}

// Gaps, jumps of time, unreadable packets and the end are counted.
func TestProbeCounts(t *testing.T) {
	body := playing()
	location := uint32(100)
	send := func(p []byte) { body, _ = mmsh.AppendData(body, location, 0, p); location++ }
	for i := range 30 {
		if i == 12 {
			location += 3
		}
		send(testPacket(i))
	}
	send(make([]byte, packetSize))
	send(testPacket(500))
	send(testPacket(31))
	body, _ = mmsh.AppendStreamChange(body, testHeader(0))
	send(testPacket(40))
	body = mmsh.AppendEnd(body, 0)
	r, err := Probe(t.Context(), ProbeOptions{URL: "mmsh://" + host(t, says(described()), says(body)) + "/", Duration: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r.Packets != 33 || r.Gaps != 1 || r.MissingPackets != 3 || r.BadPackets != 1 || r.TimeJumps != 2 || r.Changes != 1 || !r.Ended {
		t.Errorf("%+v", r)
	}
	if r.KeyFrames != 5 || r.MeasuredBPS != packetSize*8*100 {
		t.Errorf("%d key frames, %d bit/s, want 5 and %d", r.KeyFrames, r.MeasuredBPS, packetSize*8*100)
	}
}

// Playlists and redirects lead to the stream.
func TestProbeFollows(t *testing.T) {
	p := startPump(t, "[{path: card, type: test_card}]")
	worldtest.Eventually(t, "live", func() bool { return streamOf(t, p).State == "live" })
	to := fmt.Sprintf("http://%s/streams/card", p.Addr())
	for name, answer := range map[string][]byte{
		"redirect": []byte("HTTP/1.0 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"),
		"playlist": answers(200, "video/x-ms-asf", string(mmsh.AppendASX(nil, "x", to, ""))),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Probe(t.Context(), ProbeOptions{URL: "mmsh://" + host(t, says(answer)) + "/", Duration: 200 * time.Millisecond})
			if err != nil || r.Packets == 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// Who stands in front of the host logs in, by whatever the server offers, when he is asked to; and at no other server.
func TestProbeLogsIn(t *testing.T) {
	p := startPump(t, "[{path: digest, type: test_card, play: {users: [{name: desk, password: change me}]}}, "+
		"{path: basic, type: test_card, play: {allow_basic: true, users: [{name: desk, password_hash: '$2a$10$pOcY91KYOeyNBONtYOJq/OmPI2kQgfZrGaw06OZ39QGc8BOXIlHei'}]}}]")
	worldtest.Eventually(t, "live", func() bool {
		all := p.Streams()
		return all[0].State == "live" && all[1].State == "live"
	})
	at := p.Addr().String()
	moved := "HTTP/1.0 302 Found\r\nContent-Length: 0\r\nLocation: "
	for name, c := range map[string]struct{ url, want string }{
		"digest":                        {"mmsh://desk:change%20me@" + at + "/streams/digest", ""},
		"basic":                         {"http://desk:change%20me@" + at + "/streams/basic", ""},
		"wrong":                         {"http://desk:changed@" + at + "/streams/digest", "answered 401 Unauthorized: credentials wrong (it wants other credentials"},
		"none":                          {"http://" + at + "/streams/digest", "answered 401 Unauthorized: credentials missing"},
		"to an address of this server":  {"http://desk:change%20me@" + at + "/streams/digest.asx", ""},
		"to an address of another one":  {"http://desk:change%20me@" + host(t, says([]byte(moved+"http://"+at+"/streams/digest\r\n\r\n"))) + "/", "credentials missing"},
		"to another one that names him": {"http://" + host(t, says([]byte(moved+"http://desk:change%20me@"+at+"/streams/digest\r\n\r\n"))) + "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Probe(t.Context(), ProbeOptions{URL: c.url, Duration: 200 * time.Millisecond})
			switch {
			case c.want == "" && (err != nil || r.Packets == 0):
				t.Errorf("%+v, %v", r, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			case strings.Contains(fmt.Sprint(r, err), "change"):
				t.Errorf("the password is told: %+v, %v", r, err)
			}
		})
	}
}
