//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
)

func mmshReply() []byte {
	b := []byte("HTTP/1.0 200 OK\r\nContent-Type: application/x-mms-framed\r\n\r\n")
	b = mmsh.AppendHeader(b, make([]byte, 500))
	b, err := mmsh.AppendData(b, 1, 0, make([]byte, 1400))
	if err != nil {
		panic(err)
	}
	return b
}

// rtmpReply is what nginx-rtmp says, in short: the handshake, a larger chunk size, two
// answers, a decoder's configuration, and a picture in two chunks.
func rtmpReply() []byte {
	b := append([]byte{3}, bytes.Repeat([]byte{7}, 2*rtmpShake)...)
	b = rtmpPut(b, 2, 5, 0, []byte{0, 0x4C, 0x4B, 0x40})
	b = rtmpPut(b, 2, rtmpSetChunk, 0, binary.BigEndian.AppendUint32(nil, 1000))
	b = rtmpPut(b, 3, rtmpCommand, 0, amfNumber(amfString(nil, "_result"), 1))
	b = rtmpPut(b, 5, rtmpCommand, 1, amfString(nil, "NetStream.Play.Start"))
	b = rtmpPut(b, 6, rtmpPicture, 1, append([]byte{0x17, 0}, make([]byte, 40)...))
	picture := append([]byte{0x17, 1}, make([]byte, 1498)...)
	b = rtmpPut(b, 6, rtmpPicture, 1, picture)
	at := len(b) - 500
	return append(b[:at:at], append([]byte{0xC6}, b[at:]...)...)
}

var openings = []struct {
	name  string
	make  func() opening
	reply []byte
}{
	{"HTTP", func() opening { return newHTTP("host:1", "/live") }, []byte("HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\nG")},
	{"MMSH", func() opening { return newMMSH("host:1", "/live") }, mmshReply()},
	{"RTMP", func() opening { return newRTMP("host:1", "live", "bench") }, rtmpReply()},
}

// A viewer has joined with the last byte of the first media, not sooner, in whatever
// pieces the bytes come.
func TestJoinsWithTheFirstMedia(t *testing.T) {
	for _, o := range openings {
		for _, piece := range []int{1, 3, 700, 1 << 20} {
			v := o.make()
			heard := 0
			for joined := false; !joined; {
				if heard == len(o.reply) {
					t.Fatalf("%s, pieces of %d: not joined", o.name, piece)
				}
				n := min(piece, len(o.reply)-heard)
				var err error
				if _, joined, err = v.hear(o.reply[heard : heard+n]); err != nil {
					t.Fatalf("%s, pieces of %d, after %d: %v", o.name, piece, heard, err)
				}
				heard += n
			}
			if heard != len(o.reply) {
				t.Errorf("%s, pieces of %d: joined after %d of %d bytes", o.name, piece, heard, len(o.reply))
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	rtmpSays := func(kind byte, body []byte) []byte {
		return rtmpPut(append([]byte{3}, make([]byte, 2*rtmpShake)...), 3, kind, 0, body)
	}
	for _, c := range []struct {
		name  string
		v     opening
		reply []byte
		want  string
	}{
		{"HTTP: not found", newHTTP("", "/"), []byte("HTTP/1.0 404 Not Found\r\n\r\n"), "404"},
		{"HTTP: no HTTP", newHTTP("", "/"), []byte("ICY 200 OK\r\n\r\n"), "no HTTP reply"},
		{"HTTP: endless head", newHTTP("", "/"), bytes.Repeat([]byte{'x'}, maxHead+4), "no HTTP reply"},
		{"MMSH: full", newMMSH("", "/"), []byte("HTTP/1.0 453 Not Enough Bandwidth\r\n\r\n"), "453"},
		{"MMSH: not framed", newMMSH("", "/"), []byte("HTTP/1.0 200 OK\r\n\r\nG000"), "not MMSH framing"},
		{"MMSH: ended", newMMSH("", "/"), mmsh.AppendEnd([]byte("HTTP/1.0 200 OK\r\n\r\n"), 0), "ended"},
		{"RTMP: another version", newRTMP("", "a", "s"), []byte{6}, "version 6"},
		{"RTMP: refused", newRTMP("", "a", "s"), rtmpSays(rtmpCommand, amfString(nil, "_error")), "_error"},
		{"RTMP: chunk size 0", newRTMP("", "a", "s"), rtmpSays(rtmpSetChunk, make([]byte, 4)), "too long"},
		{"RTMP: continues nothing", newRTMP("", "a", "s"), append(append([]byte{3}, make([]byte, 2*rtmpShake)...), 0xC9), "continues nothing"},
	} {
		if _, joined, err := c.v.hear(c.reply); err == nil || joined || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: joined %v, error %v; want one with %q", c.name, joined, err, c.want)
		}
	}
}

// RTMP says hello with C0 and C1, and after S0, S1 and S2 answers with C2, which is S1,
// and its commands.
func TestRTMPHandshake(t *testing.T) {
	o := newRTMP("host:1935", "live", "bench")
	if hello := o.hello(); len(hello) != 1537 || hello[0] != 3 {
		t.Fatalf("C0 and C1 are %d bytes beginning with %d", len(hello), hello[0])
	}
	say, _, err := o.hear(rtmpReply()[:1+2*rtmpShake])
	if err != nil || len(say) < rtmpShake || !bytes.Equal(say[:rtmpShake], bytes.Repeat([]byte{7}, rtmpShake)) {
		t.Fatalf("C2 is not S1 (%d bytes, %v)", len(say), err)
	}
	for _, word := range []string{"connect", "rtmp://host:1935/live", "createStream", "play", "bench"} {
		if !bytes.Contains(say[rtmpShake:], []byte(word)) {
			t.Errorf("%q is not said after the handshake", word)
		}
	}
}
