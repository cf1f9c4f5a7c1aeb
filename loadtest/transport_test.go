package loadtest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tlsDoor accepts TLS in front of a fake server.
func tlsDoor(t *testing.T, behind *fakeServer) (address string) {
	t.Helper()
	certified := httptest.NewUnstartedServer(http.NotFoundHandler())
	certified.StartTLS()
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	certified.Close()
	return door(t, func(conn net.Conn) net.Conn { return tls.Server(conn, config) }, func(net.Conn) (string, bool) {
		return behind.listener.Addr().String(), true
	})
}

// door accepts connections, asks where they go, and copies both ways.
func door(t *testing.T, wrap func(net.Conn) net.Conn, where func(net.Conn) (string, bool)) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	keep := func(c net.Conn) { mu.Lock(); open = append(open, c); mu.Unlock() }
	wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			keep(raw)
			wg.Go(func() {
				defer raw.Close()
				conn := wrap(raw)
				to, ok := where(conn)
				if !ok {
					return
				}
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				keep(out)
				wg.Go(func() { io.Copy(out, conn); out.Close() })
				io.Copy(conn, out)
				conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestViewersOverTLS(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	address := tlsDoor(t, s)
	for _, tc := range []struct {
		name string
		with func(*Options)
		want string
	}{
		{"any certificate", func(o *Options) { o.Insecure = true }, Pass},
		{"a certificate nobody knows", func(o *Options) { o.Duration = 50 * time.Millisecond }, Fail},
		{"with plain ones", func(o *Options) { o.Insecure = true; o.URLs = append(o.URLs, s.url()) }, Pass},
		{"churning, some slow", func(o *Options) { o.Insecure = true; o.Churn = 20; o.Slow = 0.2 }, Pass},
		{"Windows-like", func(o *Options) { o.Insecure = true; o.WMP = true }, Pass},
		{"throttled", func(o *Options) { o.Insecure = true; o.Slow = 0.5; o.SlowBPS = 10_000 }, Pass},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := quick("https://" + address + "/streams/x")
			tc.with(&o)
			rep := mustRun(t, o)
			wantVerdict(t, rep, tc.want)
			if tc.want == Fail && !strings.Contains(fmt.Sprint(rep.Failures), "certificate") {
				t.Errorf("failures: %v", rep.Failures)
			}
		})
	}
}

func TestThroughAProxy(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	secure := tlsDoor(t, s)
	var tunnels, absolute atomic.Int64
	proxy := door(t, func(c net.Conn) net.Conn { return &replayed{Conn: c} }, func(c net.Conn) (string, bool) {
		again := c.(*replayed)
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(again.Conn, &again.seen)))
		if err != nil {
			return "", false
		}
		if r.Method == http.MethodConnect {
			tunnels.Add(1)
			again.seen.Reset()
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			return r.Host, true
		}
		if r.URL.IsAbs() {
			absolute.Add(1)
		}
		return r.URL.Host, true
	})
	o := quick(s.url(), "https://"+secure+"/streams/x")
	o.Proxy, o.Insecure = "http://"+proxy, true
	wantVerdict(t, mustRun(t, o), Pass)
	if tunnels.Load() != 5 || absolute.Load() != 5 {
		t.Errorf("%d tunnels, %d absolute requests, want 5 and 5", tunnels.Load(), absolute.Load())
	}
}

// replayed gives what was read of a request once more, to the server behind a proxy.
type replayed struct {
	net.Conn
	seen strings.Builder
	done int
}

func (r *replayed) Read(b []byte) (int, error) {
	if rest := r.seen.String()[r.done:]; rest != "" {
		n := copy(b, rest)
		r.done += n
		return n, nil
	}
	return r.Conn.Read(b)
}

func TestSourceAddresses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set  func(*Options)
		want int
	}{
		"they are spread over as many as asked for": {func(o *Options) { o.Sources = 5 }, 5},
		"all come from the one that was named":      {func(o *Options) { o.From = "127.0.7.7" }, 1},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); from(t, test.set, test.want) })
	}
	if _, err := Run(t.Context(), Options{From: "nowhere"}); err == nil {
		t.Error("a wrong address is taken")
	}
}

// More connections from one address than half of its ports would make each connect a long search.
func TestSourcesLeaveHalfOfThePorts(t *testing.T) {
	for _, connections := range []int{1, 100, 5000, 11_000, 14_000, 15_000, 20_000, 60_000, 200_000} {
		if each := (connections + sourcesFor(connections) - 1) / sourcesFor(connections); each > localPorts()/2 {
			t.Errorf("%d connections: %d from each of %d addresses, which have %d ports", connections, each, sourcesFor(connections), localPorts())
		}
	}
}

func from(t *testing.T, set func(*Options), want int) {
	from := map[string]bool{}
	var mu sync.Mutex
	s := newFakeServer(t, handling(func(c net.Conn, r *http.Request) bool {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		mu.Lock()
		defer mu.Unlock()
		if requestKind(r) == "play" {
			from[host] = true
		}
		return false
	}))
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	set(&o)
	wantVerdict(t, mustRun(t, o), Pass)
	mu.Lock()
	defer mu.Unlock()
	if len(from) != want || o.From != "" && !from[o.From] {
		t.Errorf("viewers came from %v, want %d addresses", from, want)
	}
}

func TestTooManyViewersForTheLimitOfFiles(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{Clients: maxClients, URLs: []string{"mmsh://127.0.0.1:1/x"}})
	if err == nil || !strings.Contains(err.Error(), "open files") {
		t.Errorf("error %v, want one about open files", err)
	}
}
