package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// origin is a server that answers by path with ready-made bytes, one connection for each request.
type origin struct {
	addr string
	mu   sync.Mutex
	seen []*http.Request
}

// answers maps "path" or "path play" to what is sent; "HOST" in it becomes the server's address.
func newOrigin(t *testing.T, answers map[string]string) *origin {
	t.Helper()
	o := &origin{}
	o.addr = serve(t, func(_ context.Context, conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		o.mu.Lock()
		o.seen = append(o.seen, req)
		o.mu.Unlock()
		key := req.URL.Path
		if mmsh.Classify(req.Method, req.Header).Kind == mmsh.Play {
			key += " play"
		}
		text, ok := answers[key]
		if !ok {
			text = "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		}
		_, _ = io.WriteString(conn, strings.ReplaceAll(text, "HOST", o.addr))
	})
	return o
}

func (o *origin) requests() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}

func (o *origin) pull(t *testing.T, path string, change ...func(*PullOptions)) *Pull {
	t.Helper()
	po := PullOptions{URL: "mmsh://" + o.addr + path}
	for _, c := range change {
		c(&po)
	}
	p, err := NewPull(po)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// chunkedOf gives b in two chunks.
func chunkedOf(b []byte) string {
	h := len(b) / 2
	return fmt.Sprintf("%x\r\n%s\r\n%x;ext\r\n%s\r\n0\r\n\r\n", h, b[:h], len(b)-h, b[h:])
}

const rex = "HTTP/1.0 200 OK\r\nServer: Rex/12.0.7600.16385\r\nCache-Control: no-cache\r\n" +
	"Pragma: no-cache, client-id=2718281828, features=\"broadcast,playlist\", timeout=60000\r\n"

func TestPullServers(t *testing.T) { // MUST-C1, MUST-C2, MUST-C4
	raw, list := testHeader(320), packets(0, 12)
	head, body := mmsh.AppendHeader(nil, raw), pullBody(raw, 70, list...)
	described := rex + "Content-Type: application/vnd.ms.wms-hdr.asfv1\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(head), head)
	framed := "Content-Type: application/x-mms-framed\r\nConnection: close\r\n\r\n"
	half := len(raw) / 2
	split := func(flags byte, location byte, part []byte) []byte {
		n := len(part) + 8
		return join([]byte{0x24, 'H', byte(n), byte(n >> 8), location, 0, 0, 0, 0, flags, byte(n), byte(n >> 8)}, part)
	}
	splitBody := join(split(4, 0, raw[:half]), split(8, 1, raw[half:]), body[len(head):])
	for _, c := range []struct {
		name    string
		answers map[string]string
		plain   bool // no LocationIds
	}{
		{"this server", map[string]string{"/x": described, "/x play": rex + framed + string(body)}, false},
		{"Rex without Content-Length", map[string]string{"/x": rex + "\r\n" + string(head), "/x play": rex + framed + string(body)}, false},
		{"VLC", map[string]string{
			"/x":      "HTTP/1.0 200 OK\r\nContent-type: application/octet-stream\r\nServer: Cougar 4.1.0.3921\r\nPragma: no-cache\r\nPragma: client-id=3\r\nPragma: features=\"broadcast\"\r\nConnection: close\r\n\r\n" + string(head),
			"/x play": "HTTP/1.0 200 OK\r\nContent-type: application/octet-stream\r\nServer: Cougar 4.1.0.3921\r\nConnection: close\r\n\r\n" + string(body),
		}, false},
		{"names in any case, lines that are none", map[string]string{
			"/x":      "HTTP/1.1 200\r\ncONTENT-tYPE: Application/VND.ms.wms-hdr.asfv1;charset=x\r\nthis is no header line\r\nsERVER : odd\r\n\r\n" + string(head),
			"/x play": rex + framed + string(body),
		}, false},
		{"chunked, though it was not asked for", map[string]string{
			"/x": rex + "Transfer-Encoding: chunked\r\n\r\n" + chunkedOf(head), "/x play": rex + "Transfer-Encoding: chunked\r\n" + framed + chunkedOf(body),
		}, false},
		{"a header in two packets", map[string]string{"/x": rex + "\r\n" + string(splitBody[:len(raw)+24]), "/x play": rex + framed + string(splitBody)}, false},
		{"streams on Describe already, as EE4 does", map[string]string{"/x": rex + framed + string(body), "/x play": rex + framed + string(body)}, false},
		{"plain ASF", map[string]string{"/x": rex + "Content-Type: video/x-ms-asf\r\n\r\n" + string(plainBody(raw, list...))}, true},
		{"redirects", map[string]string{
			"/x": "HTTP/1.0 302 Found\r\nLocation: mms://HOST/y\r\n\r\n", "/y": "HTTP/1.0 301 Moved\r\nlocation: /z?MSWMExt=.asf\r\n\r\n",
			"/z": described, "/z play": rex + framed + string(body),
		}, false},
		{"an ASX", map[string]string{
			"/x": "HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n<ASX version=\"3.0\"><ENTRY><REF HREF=\"rtsp://HOST/no\"/><REF HREF=\"http://HOST/z\"/></ENTRY></ASX>",
			"/z": described, "/z play": rex + framed + string(body),
		}, false},
		{"a [Reference]", map[string]string{
			"/x": "HTTP/1.0 200 OK\r\nContent-Type: audio/x-ms-asx\r\n\r\n[Reference]\r\nRef1=http://HOST/z?MSWMExt=.asf\r\n",
			"/z": described, "/z play": rex + framed + string(body),
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			o := newOrigin(t, c.answers)
			f := r.feed()
			err := o.pull(t, "/x").Run(t.Context(), f)
			f.Lost()
			var lost *LostError
			if !errors.As(err, &lost) {
				t.Fatalf("ended with %v", err)
			}
			got := r.data()
			sameBytes(t, got, list)
			if want := uint32(70); !c.plain && got[0].location != want {
				t.Errorf("first LocationId %d, want %d", got[0].location, want)
			}
		})
	}
}

func TestPullAsks(t *testing.T) { // MUST-C1
	raw := testHeader(320)
	body := pullBody(raw, 0, packets(0, 1)...)
	o := newOrigin(t, map[string]string{"/a b": rex + "\r\n" + string(body), "/a b play": rex + "\r\n" + string(body)})
	r := newRig(t)
	f := r.feed()
	_ = o.pull(t, "/a%20b?q=1").Run(t.Context(), f)
	f.Lost()
	seen := o.requests()
	if len(seen) != 2 {
		t.Fatalf("%d requests", len(seen))
	}
	play := mmsh.ParseTokens(seen[1].Header)
	id, _ := play.Uint32("client-id")
	entries, _ := play.Get("stream-switch-entry")
	if seen[1].Proto != "HTTP/1.0" || seen[1].RequestURI != "/a%20b?q=1" || seen[1].Host != o.addr || id != 2718281828 ||
		entries != "ffff:1:0 ffff:2:0" || !strings.HasPrefix(seen[1].UserAgent(), "NSPlayer/") || play.Has("version11-enabled") {
		t.Errorf("play: %+v", seen[1])
	}
}

func TestPullFails(t *testing.T) { // MUST-C3, MUST-C4
	raw := testHeader(320)
	ok := rex + "\r\n" + string(mmsh.AppendHeader(nil, raw))
	endless := map[string]string{}
	for i := range 9 {
		endless[fmt.Sprintf("/x%d", i)] = fmt.Sprintf("HTTP/1.0 302 Found\r\nLocation: /x%d\r\n\r\n", i+1)
	}
	for _, c := range []struct {
		name    string
		path    string
		answers map[string]string
		text    string
	}{
		{"off air", "/x", nil, "404"},
		{"busy on play", "/x", map[string]string{"/x": ok, "/x play": "HTTP/1.0 503 Busy\r\n\r\n"}, "503"},
		{"no HTTP", "/x", map[string]string{"/x": "hello\r\n\r\n"}, "head of the reply"},
		{"closed at once", "/x", map[string]string{"/x": ""}, "head of the reply"},
		{"an endless head", "/x", map[string]string{"/x": "HTTP/1.0 200 OK\r\n" + strings.Repeat("X: y\r\n", 9999)}, "16384"},
		{"a web page", "/x", map[string]string{"/x": "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html></html>"}, "text/html"},
		{"an empty reply", "/x", map[string]string{"/x": rex + "\r\n"}, "empty"},
		{"garbage in a good wrapping", "/x", map[string]string{"/x": rex + "Content-Type: application/x-mms-framed\r\n\r\nxxxxxxxxxxxxxxxxxxxx"}, "not MMSH"},
		{"too many redirects", "/x0", endless, "more than 5"},
		{"redirects in a circle", "/x", map[string]string{"/x": "HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n"}, "circle"},
		{"a redirect to a file", "/x", map[string]string{"/x": "HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"}, "scheme"},
		{"a redirect without a place", "/x", map[string]string{"/x": "HTTP/1.0 302 Found\r\n\r\n"}, "302"},
		{"an empty playlist", "/x", map[string]string{"/x": rex + "\r\n<ASX version=\"3.0\"></ASX>"}, "not a playlist"},
		{"$E", "/x", map[string]string{"/x": ok, "/x play": ok + string(mmsh.AppendEnd(nil, 0))}, "ended"},
		{"the end inside a packet", "/x", map[string]string{"/x": ok, "/x play": ok + string(pullBody(raw, 0, packet(0, 0, true))[len(ok)-len(rex)-2:][:40])}, "ends"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.feed()
			err := newOrigin(t, c.answers).pull(t, c.path).Run(t.Context(), f)
			f.Lost()
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want one that says %q", err, c.text)
			}
			if len(r.data()) != 0 {
				t.Error("something reached viewers")
			}
		})
	}
}

func TestPullSilence(t *testing.T) { // MUST-C3
	raw := testHeader(320)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for _, c := range []struct {
		name string
		sent string
	}{
		{"before the reply", ""},
		{"inside the head", "HTTP/1.0 200 OK\r\nServer"},
		{"inside the header", rex + "\r\n" + string(mmsh.AppendHeader(nil, raw)[:100])},
		{"in mid-stream", rex + "\r\n" + string(pullBody(raw, 0, packets(0, 3)...))},
	} {
		t.Run(c.name, func(t *testing.T) {
			over := make(chan struct{})
			addr := serve(t, func(_ context.Context, conn net.Conn) {
				_, _ = io.WriteString(conn, c.sent)
				<-over
			})
			t.Cleanup(func() { close(over) })
			p, err := NewPull(PullOptions{URL: "http://" + addr, Timeout: 60 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t)
			f := r.feed()
			if err := p.Run(t.Context(), f); err == nil || !strings.Contains(err.Error(), "no data for 60ms") {
				t.Errorf("ended with %v", err)
			}
			f.Lost()
		})
	}
	t.Run("after $E(1) it may last longer", func(t *testing.T) {
		addr := serve(t, func(ctx context.Context, conn net.Conn) {
			_, _ = io.WriteString(conn, rex+"\r\n"+string(pullBody(raw, 0, packets(0, 3)...))+string(mmsh.AppendEnd(nil, 1)))
			sleep(ctx, time.Second)
			_, _ = conn.Write(join(mmsh.AppendChange(nil, 0), pullBody(testHeader(640), 3, packets(5, 2)...)))
		})
		p, _ := NewPull(PullOptions{URL: "http://" + addr, Timeout: 500 * time.Millisecond})
		r := newRig(t)
		f := r.feed()
		err := p.Run(t.Context(), f)
		f.Lost()
		if list := r.take(); len(list) != 6 || list[3].Kind != ringbuf.Change {
			t.Errorf("%d slabs, %v", len(list), err)
		}
	})
}

func TestPullEndsWithItsContext(t *testing.T) {
	addr := serve(t, func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, rex+"\r\n"+string(pullBody(testHeader(320), 0, packets(0, 3)...)))
		<-ctx.Done()
	})
	p, _ := NewPull(PullOptions{URL: "http://" + addr})
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := r.feed(func(o *FeedOptions) { o.OnLive = cancel })
	if err := p.Run(ctx, f); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	f.Lost()
}

func TestPullAuthenticates(t *testing.T) {
	creds := access.NewCredentials("jo", "s3cret", access.CredentialsOptions{})
	raw := testHeader(320)
	addr := serve(t, func(_ context.Context, conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		if err := creds.Check(req); err != nil {
			_, _ = conn.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: 401, Challenges: creds.ChallengeFor(nil, err)}))
			return
		}
		_, _ = io.WriteString(conn, rex+"\r\n"+string(pullBody(raw, 0, packets(0, 3)...)))
	})
	for address, want := range map[string]int{"http://jo:s3cret@" + addr + "/x": 3, "http://jo:wrong@" + addr + "/x": 0, "http://" + addr + "/x": 0} {
		var text bytes.Buffer
		p, err := NewPull(PullOptions{URL: address, Log: slog.New(slog.NewTextHandler(&text, nil))})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t)
		f := r.feed()
		err = p.Run(t.Context(), f)
		f.Lost()
		if n := len(r.data()); n != want {
			t.Errorf("%s: %d packets, %v", address, n, err)
		}
		if all := text.String() + err.Error() + p.Name(); strings.Contains(all, "s3cret") || strings.Contains(all, "wrong") {
			t.Errorf("a password is told: %s", all)
		}
	}
}

func TestPullKeepsItsPasswordFromOtherServers(t *testing.T) { // MUST-C4
	other := newOrigin(t, map[string]string{"/y": "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n"})
	first := newOrigin(t, map[string]string{"/x": "HTTP/1.0 302 Found\r\nLocation: http://" + other.addr + "/y\r\n\r\n"})
	r := newRig(t)
	f := r.feed()
	err := first.pull(t, "/x", func(o *PullOptions) { o.User, o.Password = "jo", "s3cret" }).Run(t.Context(), f)
	f.Lost()
	var refusal *StatusError
	if !errors.As(err, &refusal) || refusal.Code != 401 || !refusal.Final() {
		t.Errorf("ended with %v", err)
	}
	for _, req := range other.requests() {
		if a := req.Header.Get("Authorization"); a != "" {
			t.Errorf("the other server was told %s", a)
		}
	}
}

func TestPullThroughAProxy(t *testing.T) { // MUST-C4
	raw := testHeader(320)
	body := rex + "\r\n" + string(pullBody(raw, 0, packets(0, 3)...))
	proxy := newOrigin(t, map[string]string{"/x": body, "/x play": body})
	for _, c := range []struct {
		name, host string
		local      bool
		via        bool
	}{
		{"a far host", "stream.example.org:8080", false, true},
		{"a local address", "", false, false},
		{"a local address where that is wanted", "", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			direct := newOrigin(t, map[string]string{"/x": body, "/x play": body})
			before := len(proxy.requests())
			host := c.host
			if host == "" {
				host = direct.addr
			}
			p, err := NewPull(PullOptions{URL: "mmsh://" + host + "/x", Proxy: &Proxy{Address: proxy.addr, Local: c.local}})
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t)
			f := r.feed()
			err = p.Run(t.Context(), f)
			f.Lost()
			if n := len(r.data()); n != 3 {
				t.Fatalf("%d packets: %v", n, err)
			}
			seen := proxy.requests()[before:]
			if (len(seen) == 2) != c.via {
				t.Fatalf("%d requests at the proxy", len(seen))
			}
			if c.via && seen[0].RequestURI != "http://"+host+"/x" {
				t.Errorf("asked for %s", seen[0].RequestURI)
			}
			for _, req := range seen { // tinyproxy passes on one line of a name, and xPlayStrm=1 was lost
				if lines := req.Header["Pragma"]; len(lines) != 1 {
					t.Errorf("%d Pragma lines through a proxy: %q", len(lines), lines)
				}
			}
		})
	}
}

func TestPullOverTLSThroughATunnel(t *testing.T) { // MUST-C4
	raw := testHeader(320)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(pullBody(raw, 0, packets(0, 3)...))
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	var tunnels atomic.Int32
	proxy := serve(t, func(_ context.Context, conn net.Conn) {
		br := bufio.NewReader(conn)
		req, err := http.ReadRequest(br)
		if err != nil || req.Method != http.MethodConnect {
			return
		}
		far, err := net.Dial("tcp", secure.Listener.Addr().String())
		if err != nil {
			return
		}
		tunnels.Add(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(far, br); far.Close() })
		_, _ = io.Copy(conn, far)
		conn.Close()
		both.Wait()
	})
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, c := range []struct {
		name  string
		roots *x509.CertPool
		open  bool
		want  int
	}{
		{"known root", roots, false, 3}, {"unknown root", nil, false, 0}, {"unchecked, as told", nil, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPull(PullOptions{URL: "https://example.com/x", RootCAs: c.roots, Insecure: c.open, Proxy: &Proxy{Address: proxy}})
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t)
			f := r.feed()
			err = p.Run(t.Context(), f)
			f.Lost()
			var unknown *tls.CertificateVerificationError
			if n := len(r.data()); n != c.want || (c.want == 0) != errors.As(err, &unknown) {
				t.Errorf("%d packets: %v", n, err)
			}
		})
	}
	if tunnels.Load() == 0 {
		t.Error("no tunnel was asked for")
	}
}

func TestNewPullChecksTheAddress(t *testing.T) { // MUST-C4
	for address, good := range map[string]bool{
		"mmsh://h/x": true, "mms://h:8080/x": true, "https://u:p@h/x": true, "HTTP://h": true,
		"rtsp://h/x": false, "file:///x": false, "http:///x": false, "": false, "http://u:topsecret@h:port/x": false, "mmst://h/x": false,
	} {
		p, err := NewPull(PullOptions{URL: address})
		if (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "topsecret") {
			t.Errorf("a password is told: %v", err)
		}
		if err == nil && strings.Contains(p.Name(), "u:p") {
			t.Errorf("a password is told: %s", p.Name())
		}
	}
}

func TestLocalAddresses(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "encoder": true, "127.0.0.1": true, "10.1.2.3": true, "192.168.0.9": true, "169.254.1.1": true,
		"::1": true, "fe80::1": true, "fd00::1": true, "x.localhost": true,
		"example.org": false, "8.8.8.8": false, "2001:db8::1": false, "172.32.0.1": false,
	} {
		if isLocal(host) != want {
			t.Errorf("%s: local %v, want %v", host, !want, want)
		}
	}
}

// A pull that comes back to a pump names the packet it wants next, unless somebody else was on the air meanwhile.
func TestPullGoesOnWhereItStopped(t *testing.T) { // MUST-C3
	raw := testHeader(320)
	describe := rex + "\r\n" + string(mmsh.AppendHeader(nil, raw))
	o := newOrigin(t, map[string]string{"/x": describe, "/x play": rex + "\r\n" + string(pullBody(raw, 100, packets(0, 3)...))})
	r := newRig(t)
	p := o.pull(t, "/x")
	run := func() mmsh.Request {
		f := r.feed(func(fo *FeedOptions) { fo.Repeats = true })
		_ = p.Run(t.Context(), f)
		f.Lost()
		seen := o.requests()
		return mmsh.Classify(http.MethodGet, seen[len(seen)-1].Header)
	}
	if q := run(); !q.Relay || q.HasFrom {
		t.Errorf("the first time: relay %v, from %d (%v)", q.Relay, q.From, q.HasFrom)
	}
	if q := run(); !q.HasFrom || q.From != 103 {
		t.Errorf("coming back: from %d (%v), want 103", q.From, q.HasFrom)
	}
	other := r.feed()
	mustHeader(t, other, raw)
	give(t, other, -1, packets(10, 12)...)
	other.Lost()
	if q := run(); q.HasFrom {
		t.Errorf("coming back behind another source: from %d, want none", q.From)
	}
}
