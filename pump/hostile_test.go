package pump

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Texts that mean something to whatever shows them.
const (
	hostileName  = `<script>alert("&'1")</script>]]>${x}`
	hostileAgent = `NSPlayer/9.0 <img src=x onerror="alert(1)"> ${jndi:x} =cmd|' \ ` + "\xff\xfe\xe2\x80\xae\xc2\x9b"
)

// Names and agents with markup, quotes, bytes that are no UTF-8 and characters that
// control a terminal reach every place where an operator or a player reads them, and are
// texts there.
func TestHostileTexts(t *testing.T) {
	name, _ := json.Marshal(hostileName + "\x1b[31m\u202e")
	w := newWorld(t, "streams: [{path: card, type: test_card, name: "+string(name)+"}]\n")
	w.awaitLive("card")
	v := w.playAs("card?id=%3Cscript%3E", hostileAgent)
	v.packets(1)
	if bad := w.playAs("card?id=%3Cscript%3E%0a", hostileAgent); bad.status != 400 {
		t.Errorf("an id with a line break: %d", bad.status)
	}

	t.Run("status page", func(t *testing.T) {
		if tag := regexp.MustCompile(`(?i)<\s*(script|img)[^>]*`).Find(w.ask("GET", "/").body); tag != nil {
			t.Errorf("the page has a %s>", tag)
		}
	})
	t.Run("API", func(t *testing.T) {
		a := w.ask("GET", "/api/v1/viewers")
		var viewers []ViewerInfo
		a.decode(t, &viewers)
		if len(viewers) != 1 || !strings.HasPrefix(viewers[0].UserAgent, `NSPlayer/9.0 <img src=x onerror="alert(1)">`) {
			t.Errorf("%+v", viewers)
		}
		if viewers[0].ClientID != "<script>" {
			t.Errorf("id %q", viewers[0].ClientID)
		}
		if a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("a browser might take it for a page: %v", a.header)
		}
		if bytes.ContainsAny(a.body, "<>\x1b\xff") {
			t.Errorf("not escaped: %s", a.body)
		}
	})
	t.Run("metafile", func(t *testing.T) {
		a := w.askAt("http://"+w.Addr().String()+"/streams/card.asx", "GET")
		var asx struct{ TITLE string }
		if err := xml.Unmarshal(a.body, &asx); err != nil || !strings.HasPrefix(asx.TITLE, hostileName) {
			t.Errorf("%v, title %q in %s", err, asx.TITLE, a.body)
		}
		if strings.Contains(string(a.body), "<script") {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		sample := regexp.MustCompile(`^[a-z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]+="([^"\\\n]|\\[\\"n])*"(, ?)?)*\})? [-+0-9.eEINFa]+$`)
		for line := range strings.Lines(string(w.ask("GET", "/metrics").body)) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") && !sample.MatchString(line) {
				t.Errorf("no sample: %q", line)
			}
		}
	})
	t.Run("log", func(t *testing.T) {
		w.ask("DELETE", "/api/v1/viewers/%3Cscript%3E%0aforged=line")
		for line := range strings.Lines(w.log.String()) {
			if !strings.HasPrefix(line, "time=") || strings.ContainsAny(line, "\x1b\u202e") || !utf8.ValidString(line) {
				t.Errorf("a line that is none: %q", line)
			}
		}
	})
}

// Paths that lead somewhere else where files are served lead nowhere here, and are not
// repeated to whoever asks.
func TestHostilePaths(t *testing.T) {
	for _, redirect := range []string{"", "redirect_404_to: https://example.org/none\n"} {
		w := newWorld(t, redirect+card)
		w.awaitLive("card")
		for _, path := range []string{
			"/streams/../streams/card", "/streams/./card", "//streams/card", "/streams//card", "/streams/card/..", "/streams/card//",
			"/streams/%2e%2e/card", "/streams/..%2fcard", "/streams/%2fcard", "/streams/..%5ccard", `/streams/..\card`, "/streams/card%00", "/streams/card%00.asx",
			"/streams/card;x=y", "/streams/card%20", "/streams/%c0%ae%c0%ae/card", "/streams/\xc0\xae", "/streams/card.asx.asf", "/streams/.asx", "/streams/_push",
			"/../../etc/passwd", "/streams/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//evil.example/%2f..", "/\\evil.example", "/streams/<script>",
			"/streams/card%0d%0aSet-Cookie:%20a=b", "/streams/" + strings.Repeat("../", 2000), "/streams/" + strings.Repeat("a", 8000), "/api/v1/streams", "/metrics", "*",
		} {
			status, head, body := w.raw("GET " + path + " HTTP/1.0\r\nUser-Agent: NSPlayer/9.0\r\nHost: pump\r\n\r\n")
			want, location := 404, ""
			if redirect != "" {
				want, location = 302, "https://example.org/none"
			}
			if status != want && status != 400 {
				t.Errorf("%.60q: %d, want %d", path, status, want)
			}
			if status == 302 && !strings.Contains(head, "\r\nLocation: "+location+"\r\n") {
				t.Errorf("%.60q: %q", path, head)
			}
			for _, told := range []string{"passwd", "script", "Set-Cookie", "evil"} {
				if strings.Contains(head+body, told) {
					t.Errorf("%.60q is repeated: %q %q", path, head, body)
				}
			}
		}
	}
}

// A request names addresses in many ways. Those that the pump gives away are the one it
// was asked by, if that is an address at all, and those of its configuration.
func TestReflectedAddresses(t *testing.T) {
	w := newWorld(t, "redirect_404_to: https://example.org/none\n"+card)
	w.awaitLive("card")
	const evil = "evil.example"
	lines := "X-Forwarded-Host: " + evil + "\r\nX-Forwarded-Proto: https\r\nForwarded: host=" + evil + "\r\nX-Host: " + evil + "\r\nX-Original-URL: /" + evil +
		"\r\nX-Rewrite-URL: /" + evil + "\r\nReferer: http://" + evil + "/\r\nOrigin: http://" + evil + "\r\n\r\n"
	for _, tc := range []struct{ name, request string }{
		{"metafile", "GET /streams/card.asx HTTP/1.0\r\nHost: pump.example\r\n"},
		{"redirect", "GET /streams/none HTTP/1.0\r\nHost: pump.example\r\n"},
		{"redirect of an absolute address", "GET http://" + evil + "/streams/none HTTP/1.0\r\nHost: pump.example\r\n"},
		{"the Host of a redirect", "GET /streams/none HTTP/1.0\r\nHost: " + evil + "\r\n"},
		{"Describe", "GET /streams/card HTTP/1.0\r\nUser-Agent: NSPlayer/9.0\r\nHost: " + evil + "\r\n"},
		{"no Host that is one, metafile", "GET /streams/card.asx HTTP/1.0\r\nHost: " + evil + "/x\r\n"},
		{"user and Host, metafile", "GET /streams/card.asx HTTP/1.0\r\nHost: pump@" + evil + "\r\n"},
	} {
		if _, head, body := w.raw(tc.request + lines); strings.Contains(head+body, "evil") {
			t.Errorf("%s: %q %q", tc.name, head, body)
		}
	}
	_, head, body := w.raw("GET /streams/card.asx HTTP/1.0\r\nHost: pump.example:80\r\n\r\n")
	if !strings.Contains(body, "http://pump.example:80/streams/card") || !strings.Contains(head, "Cache-Control: no-cache") {
		t.Errorf("the page names the host, and may not be kept for others: %q %q", head, body)
	}
}

// raw sends a request to the public port, as it is, and returns the answer.
func (w *world) raw(request string) (status int, head, body string) {
	w.Helper()
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(request)); err != nil {
		w.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		w.Fatal(err)
	}
	head, body, _ = strings.Cut(answer.String(), "\r\n\r\n")
	if _, err := fmt.Sscanf(head, "HTTP/1.0 %d", &status); err != nil {
		w.Fatalf("%q is no answer to %.60q", head, request)
	}
	return status, head + "\r\n", body
}
