package delegate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serveEnv makes the test's program a server on one processor, until its standard input ends: of redirects ("house"), or of
// what net/http by itself needs for one that is always the same ("bare").
const serveEnv = "DELEGATE_TEST_SERVES"

func serveRedirects(what string) int {
	runtime.GOMAXPROCS(1)
	t := new(testing.B) // no test runs here: what goes wrong shows as a panic
	mux := http.NewServeMux()
	switch what {
	case "house":
		w := bigFleet(t, 1000, 10)
		for i := range w.pumps {
			w.pumps[i].Networks = append(w.pumps[i].Networks, nets("127.0.0.0/8", i/10)...)
		}
		w.seat()
		d := New(Options{Fleet: w.fleet})
		defer d.Close()
		mux.Handle("/streams/", d)
	default:
		mux.HandleFunc("/streams/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1:8086/streams/Studio?id=1")
			w.WriteHeader(http.StatusFound)
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(ln) }() // until Close
	fmt.Println(ln.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(processorTime().Nanoseconds())
	}
	_ = s.Close()
	return 0
}

// redirector is such a server, with connections to it.
type redirector struct {
	in    io.WriteCloser
	out   *bufio.Reader
	conns []net.Conn
}

func newRedirector(b *testing.B, what string) *redirector {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r := &redirector{in: in, out: bufio.NewReader(out)}
	b.Cleanup(func() {
		for _, c := range r.conns {
			_ = c.Close()
		}
		_ = in.Close()
		_ = cmd.Wait()
	})
	addr := r.line(b)
	for range 32 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		r.conns = append(r.conns, c)
	}
	return r
}

func (r *redirector) line(b *testing.B) string {
	l, err := r.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(l)
}

// spent is the processor time that the server has used.
func (r *redirector) spent(b *testing.B) time.Duration {
	if _, err := io.WriteString(r.in, "\n"); err != nil {
		b.Fatal(err)
	}
	var ns time.Duration
	if _, err := fmt.Sscan(r.line(b), &ns); err != nil {
		b.Fatal(err)
	}
	return ns
}

var viewerNumber atomic.Int64

// run asks for a while, every time as another viewer, and returns how many answers came, and what they cost the server.
func (r *redirector) run(b *testing.B, d time.Duration) (n int64, wall, cpu time.Duration) {
	var count atomic.Int64
	var all sync.WaitGroup
	before, start := r.spent(b), time.Now()
	for _, c := range r.conns {
		all.Go(func() {
			buf := make([]byte, 4096)
			for time.Since(start) < d {
				if _, err := fmt.Fprintf(c, "GET /streams/studio?id=v%d HTTP/1.1\r\nHost: house\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\n\r\n", viewerNumber.Add(1)); err != nil {
					b.Error(err)
					return
				}
				k := 0
				for !bytes.HasSuffix(buf[:k], []byte("\r\n\r\n")) { // there is no body
					m, err := c.Read(buf[k:])
					if err != nil {
						b.Error(err)
						return
					}
					k += m
				}
				if !bytes.HasPrefix(buf, []byte("HTTP/1.1 302 ")) {
					b.Errorf("answer %q", buf[:k])
					return
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	return count.Load(), time.Since(start), r.spent(b) - before
}

// The rate of redirects on one processor, against net/http's for a redirect that is always the same; in turns, in one run.
func BenchmarkRedirectRate(b *testing.B) {
	house, bare := newRedirector(b, "house"), newRedirector(b, "bare")
	var n, m int64
	var wallN, wallM, cpuN, cpuM time.Duration
	for b.Loop() {
		for range 2 {
			k, wall, cpu := house.run(b, 500*time.Millisecond)
			n, wallN, cpuN = n+k, wallN+wall, cpuN+cpu
			k, wall, cpu = bare.run(b, 500*time.Millisecond)
			m, wallM, cpuM = m+k, wallM+wall, cpuM+cpu
		}
	}
	b.ReportMetric(float64(n)/wallN.Seconds(), "redirects/s")
	b.ReportMetric(float64(m)/wallM.Seconds(), "bare/s")
	b.ReportMetric(float64(n)/wallN.Seconds()/(float64(m)/wallM.Seconds()), "of-bare")
	b.ReportMetric(float64(cpuN.Microseconds())/float64(n), "cpu-µs/redirect")
	b.ReportMetric(float64(cpuM.Microseconds())/float64(m), "cpu-µs/bare")
	b.ReportMetric(0, "ns/op")
}
