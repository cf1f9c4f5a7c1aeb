package server

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

func TestHeadEnd(t *testing.T) {
	for _, tc := range []struct {
		name, head, rest string
		whole            bool
	}{
		{"nothing", "", "", false},
		{"one line", "GET / HTTP/1.0\r\n", "", false},
		{"ends before the last byte", "GET / HTTP/1.0\r\nA: b\r\n\r", "", false},
		{"CR LF", "GET / HTTP/1.0\r\nA: b\r\n\r\n", "", true},
		{"LF alone", "GET / HTTP/1.0\nA: b\n\n", "", true},
		{"LF, then CR LF", "GET / HTTP/1.0\nA: b\n\r\n", "", true},
		{"CR LF, then LF", "GET / HTTP/1.0\r\nA: b\r\n\n", "", true},
		{"followed by another", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", true},
		{"LF followed by CR LF", "GET / HTTP/1.0\n\n", "GET / HTTP/1.0\r\n\r\n", true},
		{"CR LF followed by LF", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\n\n", true},
		{"body with an empty line", "POST / HTTP/1.0\nContent-Length: 4\n\n", "\r\n\r\n", true},
	} {
		want := 0
		if tc.whole {
			want = len(tc.head)
		}
		if got := headEnd([]byte(tc.head + tc.rest)); got != want {
			t.Errorf("%s: %d, want %d", tc.name, got, want)
		}
	}
}

func TestParseHead(t *testing.T) {
	for _, tc := range []struct {
		name, head, path string
		ok               bool
	}{
		{"plain", "GET /streams/x HTTP/1.0\r\n\r\n", "/streams/x", true},
		{"absolute address", "GET http://h:8086/streams/x HTTP/1.1\r\nHost: h\r\n\r\n", "/streams/x", true},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", true},
		{"escapes", "GET /streams/%78 HTTP/1.0\r\n\r\n", "/streams/x", true},
		{"no version", "GET /\r\n\r\n", "", false},
		{"unknown version", "GET / HTTP/9\r\n\r\n", "", false},
		{"a header line without colon", "GET / HTTP/1.0\r\nnonsense\r\n\r\n", "", false},
		{"length below zero", "POST / HTTP/1.0\r\nContent-Length: -1\r\n\r\n", "", false},
		{"two lengths", "POST / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "", false},
		{"length beyond 63 bits", "POST / HTTP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n", "", false},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "", false},
	} {
		req, err := parseHead([]byte(tc.head))
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		} else if err == nil && req.URL.Path != tc.path {
			t.Errorf("%s: path %q, want %q", tc.name, req.URL.Path, tc.path)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		path string
		kind targetKind
		name string
	}{
		{"/streams/x", streamTarget, "x"},
		{"/streams/x/", streamTarget, "x"},
		{"/STREAMS/Foo_Bar-1/", streamTarget, "foo_bar-1"},
		{"/streams/x.asx", asxTarget, "x"},
		{"/streams/X.ASX/", asxTarget, "x"},
		{"/streams/x.asf", asfTarget, "x"},
		{"/streams/x_push", pushTarget, "x"},
		{"/streams/X_PUSH/", pushTarget, "x"},
		{"/streams/x_push.asx", asxTarget, "x_push"},
		{"/streams/.asx", streamTarget, ".asx"},
		{"/streams/_push", streamTarget, "_push"},
		{"/streams/x//", unknownTarget, ""},
		{"/streams//x", unknownTarget, ""},
		{"/streams/x/y", unknownTarget, ""},
		{"/streams/", unknownTarget, ""},
		{"/streams", unknownTarget, ""},
		{"/streamsx", unknownTarget, ""},
		{"streams/x", unknownTarget, ""},
		{"/", unknownTarget, ""},
		{"", unknownTarget, ""},
		{"*", unknownTarget, ""},
		{"/x", unknownTarget, ""},
	} {
		if kind, name := parseTarget(tc.path); kind != tc.kind || name != tc.name {
			t.Errorf("%q: %d %q, want %d %q", tc.path, kind, name, tc.kind, tc.name)
		}
	}
}

func TestSafeHost(t *testing.T) {
	for host, ok := range map[string]bool{
		"pump.example": true, "pump.example:8086": true, "10.0.0.1": true, "10.0.0.1:80": true, "my_host-1": true,
		"[::1]": true, "[2001:db8::1]:8086": true,
		"": false, ":80": false, "pump:0": false, "pump:65536": false, "pump:http": false,
		"a b": false, `a"b`: false, "a/b": false, "a<b>": false, "a@b": false, "a?b": false, "a#b": false, "a\\b": false,
		"a%0d": false, "[::1": false, "::1]": false, "[a]b": false, "[[::1]]:80": false, "[pump]": false, "a:b:c": false,
		strings.Repeat("a", 254): false, "pümp": false,
	} {
		got := safeHost(host)
		if (got != "") != ok || got != "" && got != host {
			t.Errorf("%q: %q", host, got)
		}
	}
}

func TestInterval(t *testing.T) {
	set := Settings{PulseMin: 10 * time.Millisecond, PulseMax: 200 * time.Millisecond}
	for _, tc := range []struct{ took, want time.Duration }{
		{0, 10 * time.Millisecond},
		{time.Millisecond, 10 * time.Millisecond},
		{1200 * time.Microsecond, 20 * time.Millisecond},
		{2 * time.Millisecond, 100 * time.Millisecond},
		{time.Second, 200 * time.Millisecond},
	} {
		if got := interval(tc.took, &set); got != tc.want {
			t.Errorf("passes of %v: %v, want %v", tc.took, got, tc.want)
		}
	}
}

func TestSettingsDefaults(t *testing.T) {
	s := Settings{PulseMin: time.Second}.withDefaults()
	if s.PulseMax != time.Second {
		t.Errorf("longest pulse %v below the shortest", s.PulseMax)
	}
	if s.BurstMax <= 0 || s.LagMax <= 0 || s.StallTimeout <= 0 || s.HeadTimeout <= 0 || s.SessionTimeout <= 0 || s.RetryAfter <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestSendBuffer(t *testing.T) {
	pool := ringbuf.NewPool(0)
	for _, tc := range []struct {
		name    string
		bitrate int64
	}{{"unknown", 0}, {"slow", 64_000}, {"common", 1_000_000}, {"fast", 20_000_000}} {
		s := stream.New(stream.Options{Path: "x", Pool: pool})
		p, err := s.Open(t.Context(), stream.Claim{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetHeader(stream.Header{Bitrate: tc.bitrate}); err != nil {
			t.Fatal(err)
		}
		if got := sendBuffer(s); got < ringbuf.MaxSlab || got > sendBufferMax {
			t.Errorf("%s: %d bytes", tc.name, got)
		}
		p.Lost()
		s.Close()
	}
}

func TestAddrPort(t *testing.T) {
	want := netip.MustParseAddrPort("192.0.2.1:99")
	if got := addrPort(tcpAddr("::ffff:192.0.2.1", 99)); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := addrPort(nil); got.IsValid() {
		t.Errorf("%v of nothing", got)
	}
}
