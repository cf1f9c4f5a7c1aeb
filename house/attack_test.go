package house

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// attacked is a house with a pump at 192.0.2.9 that delivers the stream studio to everybody.
func attacked(t *testing.T, more string) *House {
	t.Helper()
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "a", "url": "http://192.0.2.9:8086", "networks": ["0.0.0.0/0", "::/0"]}]`)
	h := start(t, configured(t, dir, "pumps_roster_json: pumps.json\nstreams: [{path: studio, name: \"<b>&\\\"Studio\", type: test_card}]\n"+more))
	b := &fleet.Batch{Pump: "a", Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{
		Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, BPS: 1_000_000}},
	}}
	if _, ok := h.Fleet().Apply(b, live.Direct); !ok {
		t.Fatal("the pump is not known")
	}
	tend(t, h, b)
	return h
}

// tend lets the pump be heard of until the test ends.
func tend(t *testing.T, h *House, b *fleet.Batch) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				next := *b
				next.Number = time.Now().UnixNano()
				h.Fleet().Apply(&next, live.Direct)
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		done.Wait()
	})
}

// doors of a house: each is attacked.
func doorsOf(t *testing.T, h *House) map[string]func() net.Conn {
	dial := func(secure bool) func() net.Conn {
		return func() net.Conn {
			t.Helper()
			at := h.Addr()
			if secure {
				at = h.TLSAddr()
			}
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			if secure {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- whoever attacks does not care
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
	}
	return map[string]func() net.Conn{"plain": dial(false), "TLS": dial(true)}
}

// statuses sends raw text and returns the statuses of all answers, until the house hangs up.
func statuses(t *testing.T, c net.Conn, text string) (list []int) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	go func() { _, _ = io.WriteString(c, text) }() // the house may hang up before the end of it
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Fatalf("after %v it neither answers nor hangs up", list)
			}
			return list
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		list = append(list, resp.StatusCode)
	}
}

// served tells whether a viewer is sent to the pump.
func served(t *testing.T, h *House) {
	t.Helper()
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(asking(t, h, "/streams/studio"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "http://192.0.2.9:8086/streams/studio" {
		t.Errorf("a viewer meanwhile: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func asking(t *testing.T, h *House, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+h.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Heads that are never finished, byte by byte or not at all, end with the term of a head; so
// does a handshake.
func TestSlowHeadsOfTheHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the term of a head")
	}
	t.Parallel()
	h := attacked(t, "")
	var all sync.WaitGroup
	for name, dial := range doorsOf(t, h) {
		for what, text := range map[string]string{"nothing": "", "half of a head": "GET /streams/studio HTTP/1.1\r\nHost: x\r\n", "a byte now and then": "GET /streams/studio HTTP/1.1\r\nX: "} {
			c := dial()
			all.Go(func() {
				_ = c.SetDeadline(time.Now().Add(90 * time.Second))
				_, _ = io.WriteString(c, text)
				if what == "a byte now and then" {
					go func() {
						for {
							if _, err := io.WriteString(c, "a"); err != nil {
								return
							}
							time.Sleep(50 * time.Millisecond)
						}
					}()
				}
				if b, err := io.ReadAll(c); err != nil && errors.Is(err, os.ErrDeadlineExceeded) || strings.HasPrefix(string(b), "HTTP/1.1 302") {
					t.Errorf("%s, %s: the connection is kept: %q, %v", name, what, b, err)
				}
			})
		}
	}
	all.Go(func() { // no handshake at all
		c, err := net.Dial("tcp", h.TLSAddr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(90 * time.Second))
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a handshake is waited for without end")
		}
	})
	served(t, h)
	all.Wait()
}

// Bodies that are never sent end with the term of a body, and give back what waited for them.
func TestSlowBodiesOfTheHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the term of a body")
	}
	t.Parallel()
	h := attacked(t, "")
	var all sync.WaitGroup
	for name, dial := range doorsOf(t, h) {
		for _, path := range []string{"/api/v1/session", "/fleet/v1/hello", "/fleet/v1/telemetry", "/fleet/v1/certificate", "/streams/studio"} {
			c := dial()
			all.Go(func() {
				if got := statuses(t, c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"); len(got) > 1 || len(got) == 1 && got[0] < 400 {
					t.Errorf("%s %s: %v", name, path, got)
				}
			})
		}
	}
	all.Wait()
}

// Heads and bodies without end are refused, and not kept.
func TestGiantHeadsAndBodiesOfTheHouse(t *testing.T) {
	h := attacked(t, "")
	giant := strings.Repeat("a", 20<<20)
	for name, dial := range doorsOf(t, h) {
		for what, tt := range map[string]struct {
			text string
			want []int
		}{
			"a head":            {"GET /streams/studio HTTP/1.1\r\nHost: x\r\nX: " + giant[:1<<20] + "\r\n\r\n", []int{431}},
			"a path":            {"GET /" + giant[:1<<20] + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}},
			"a log-in":          {"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20000000\r\n\r\n" + giant[:20000000], []int{413}},
			"a hello":           {"POST /fleet/v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + giant[:20000000], []int{400, 401, 403, 413}},
			"an invite":         {"POST /fleet/v1/certificate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 20000000\r\n\r\n" + giant[:20000000], []int{400, 401, 403, 413}},
			"a log of a player": {"POST /streams/studio HTTP/1.1\r\nHost: x\r\nUser-Agent: NSPlayer/12.0\r\nContent-Type: application/x-wms-Logstats\r\nContent-Length: 20000000\r\n\r\n" + giant[:20000000], []int{400, 413}},
		} {
			got := statuses(t, dial(), tt.text)
			ok := len(got) == 0 // hung up before the answer could be read: what was sent is lost, and so is the answer
			for _, w := range tt.want {
				ok = ok || len(got) == 1 && got[0] == w
			}
			if !ok {
				t.Errorf("%s, %s: %v, want one of %v", name, what, got, tt.want)
			}
		}
	}
	served(t, h)
}

// Of a request whose length can be read in two ways nothing that follows is answered.
func TestSmuggledRequestsOfTheHouse(t *testing.T) {
	h := attacked(t, "")
	const next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, dial := range doorsOf(t, h) {
		for what, head := range map[string]string{
			"two lengths":                   "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
			"both kinds of length":          "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"the other order":               "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
			"chunked by another name":       "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
			"chunked twice":                 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"a list of encodings":           "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
			"a blank before the colon":      "Content-Length : 5\r\n\r\nhello",
			"a bare CR":                     "X: a\rContent-Length: 5\r\n\r\nhello",
			"a null byte":                   "X: a\x00b\r\n\r\n",
			"two hosts":                     "Host: y\r\n\r\n",
			"a length with a sign":          "Content-Length: +5\r\n\r\nhello",
			"a length with more behind it":  "Content-Length: 5, 6\r\n\r\nhello",
			"a chunk's size in another way": "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		} {
			got := statuses(t, dial(), "POST /streams/studio HTTP/1.1\r\nHost: x\r\n"+head+next)
			if len(got) != 1 || got[0] < 400 {
				t.Errorf("%s, %s: %v", name, what, got)
			}
		}
		if got := statuses(t, dial(), next+"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); len(got) != 2 || got[1] != 200 {
			t.Errorf("%s: two requests one behind the other, as they should be: %v", name, got)
		}
	}
}

// Whatever a path or a query holds, no file is read, nobody is sent elsewhere, and no header
// is added to an answer.
func TestHostilePathsOfTheHouse(t *testing.T) {
	h := attacked(t, "")
	dial := doorsOf(t, h)["plain"]
	for _, target := range []string{
		"/streams/../../../../etc/passwd", "/streams/..%2f..%2fetc%2fpasswd", "/static/../../etc/passwd", "/static/%2e%2e/page.go", "//evil.example/", "//evil.example/streams/studio",
		"/\\evil.example", "/%5cevil.example", "/streams/studio%00", "/streams/%00", "/streams/C:%5cx", "/streams//evil.example/studio", "http://evil.example/streams/none", "http://evil.example/",
		"/streams/none?x=%0d%0aSet-Cookie:%20a=b", "/fleet/../api/v1/roster", "/api/v1/../../healthz/..", "*", "/streams/studio/../../api/v1/tokens",
	} {
		c := dial()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n", target); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		head, body, _ := strings.Cut(string(b), "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch {
			case strings.EqualFold(name, "Location") && (strings.Contains(value, "://") || strings.HasPrefix(value, "//") || strings.HasPrefix(value, "/\\")):
				t.Errorf("%s leads to %s", target, value)
			case strings.EqualFold(name, "Set-Cookie"):
				t.Errorf("%s sets a cookie", target)
			}
		}
		if strings.Contains(body, "root:") || strings.Contains(body, "package web") || strings.Contains(head, " 500") {
			t.Errorf("%s: %s", target, b)
		}
	}
	served(t, h)
}

// What a viewer's address holds goes along as it is, and never ends a line.
func TestNoHeaderIsAddedToARedirect(t *testing.T) {
	h := attacked(t, "")
	for query, want := range map[string]string{
		"?id=%0d%0aSet-Cookie:%20a=b":       "http://192.0.2.9:8086/streams/studio?id=%0d%0aSet-Cookie:%20a=b",
		"?id=%22%3E%3Cscript%3E":            "http://192.0.2.9:8086/streams/studio?id=%22%3E%3Cscript%3E",
		"?next=http://evil.example/&id=a@b": "http://192.0.2.9:8086/streams/studio?next=http://evil.example/&id=a@b",
	} {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(asking(t, h, "/streams/studio"+query))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.Header.Get("Location") != want || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", query, resp.Header)
		}
	}
	for _, raw := range []string{"GET /streams/studio?id=a\rb HTTP/1.1", "GET /streams/studio?id=a\x00b HTTP/1.1", "GET /streams/studio?id=a b HTTP/1.1"} {
		if got := statuses(t, doorsOf(t, h)["plain"](), raw+"\r\nHost: x\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] != http.StatusBadRequest {
			t.Errorf("%q: %v", raw, got)
		}
	}
}

// A list for players is what the configuration and the request say, as text.
func TestMarkupInAListIsText(t *testing.T) {
	h := attacked(t, "")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(asking(t, h, "/streams/studio.asx?id=%22%3E%3C%2FEntry%3E%3CRef%20href=%22http://evil.example%22%3E&x=%0d%0a"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ToLower(string(b))
	if resp.StatusCode != http.StatusOK || strings.Contains(text, "<b>") || strings.Contains(text, `"http://evil`) || strings.Count(text, "<entry>") != 1 || strings.Count(text, "<ref ") != 2 {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

// A browser that comes without TLS is sent where the configuration says, or to a name of the
// certificate; never to a host that only the request names.
func TestThePlainPortSendsBrowsersNowhereElse(t *testing.T) {
	front := "trusted_proxies: [127.0.0.1]\n" // it says that nobody came by TLS
	for name, tt := range map[string]struct{ config, host, want string }{
		"a name of the certificate":        {front, "localhost:8090", "https://localhost:PORT/"},
		"an address of the certificate":    {front, "127.0.0.1", "https://127.0.0.1:PORT/"},
		"another host":                     {front, "evil.example", ""},
		"another host that begins as one":  {front, "localhost.evil.example", ""},
		"another host behind a name":       {front, "localhost@evil.example", ""},
		"no host that is one":              {front, "[::1", ""},
		"as configured":                    {front + "public_url: https://house.example.org:8091\n", "localhost", "https://house.example.org:8091/"},
		"as configured, whatever is asked": {front + "public_url: https://house.example.org/\n", "evil.example", "https://house.example.org/"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, configured(t, t.TempDir(), tt.config))
			r := asking(t, h, "/")
			r.Host = tt.host
			r.Header.Set("X-Forwarded-Proto", "http")
			r.Header.Set("X-Forwarded-Host", "evil.example")
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				if tt.want == "" { // such a host cannot even be asked for
					return
				}
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := strings.Replace(tt.want, "PORT", fmt.Sprint(h.TLSAddr().(*net.TCPAddr).Port), 1)
			if got := resp.Header.Get("Location"); got != want {
				t.Errorf("%d to %q, want %q", resp.StatusCode, got, want)
			}
		})
	}
}

// idle is how many connections do nothing; the race detector carries fewer goroutines.
const idleCrowd = 10_000

// Ten thousand connections that say nothing hold up nobody, and end with the term of a head.
func TestIdleConnectionsOfTheHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the term of a head")
	}
	t.Parallel()
	h := attacked(t, "")
	n := idleCrowd
	if raceDetector {
		n = 3000
	}
	n = min(n, int(openFiles(t)-500)/2)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range n {
		c, err := net.Dial("tcp", h.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	served(t, h)
	deadline := time.Now().Add(2 * time.Minute)
	for i, c := range conns {
		_ = c.SetReadDeadline(deadline)
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d of %d is kept", i, n)
		}
	}
	served(t, h)
	t.Logf("%d connections that said nothing have ended", n)
}
