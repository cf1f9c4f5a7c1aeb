package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// idleEnv tells a copy of the test binary to be the server that a crowd does nothing at.
const idleEnv = "STREAM_PUMP_TEST_IDLE"

// idleBounds is how its bounds stand in that variable: connections, and unfinished heads of an address.
const idleBounds = "%d %d"

// standing is how the server of TestIdleCrowd is.
type standing struct {
	connections, goroutines int
	awaited                 int    // connections of which a head is awaited, on the event loops
	memory                  uint64 // bytes, heap and stacks, in use
}

const (
	standingForm = "connections %d goroutines %d awaited %d memory %d"
	termIsOver   = "over" // asks the server to let its term for a head run out
)

// TestIdleCrowdServer is no test: it is the server of TestIdleCrowd, in a process of its
// own because each end of a connection is a file. It tells how it is whenever asked, before
// which it lets an hour go by when that is what is asked.
func TestIdleCrowdServer(t *testing.T) {
	if os.Getenv(idleEnv) == "" {
		t.Skip("only as a child of TestIdleCrowd")
	}
	var bounds access.Bounds
	if _, err := fmt.Sscanf(os.Getenv(idleEnv), idleBounds, &bounds.Connections, &bounds.HeadsPerAddress); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, plan{settings: Settings{HeadTimeout: never}, bounds: bounds})
	stop := w.onAir().flow(20 * time.Millisecond)
	fmt.Printf("\naddress %s\n", w.addr)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		if asked.Text() == termIsOver {
			w.elapse(never)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("\n"+standingForm+"\n", w.limits.Usage().Connections, runtime.NumGoroutine(), w.awaited(), m.HeapInuse+m.StackInuse)
	}
	stop()
}

// idleServer is the child.
type idleServer struct {
	testing.TB
	addr  string
	in    io.Writer
	lines *bufio.Scanner
}

func startIdleServer(t *testing.T, b access.Bounds) *idleServer {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleCrowdServer$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), idleEnv+"="+fmt.Sprintf(idleBounds, b.Connections, b.HeadsPerAddress))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &idleServer{TB: t, in: in, lines: bufio.NewScanner(out)}
	t.Cleanup(func() {
		_ = in.Close()
		for s.lines.Scan() {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	s.addr = s.line("address ")
	return s
}

// line returns what follows the mark on the next line that begins with it.
func (s *idleServer) line(mark string) string {
	s.Helper()
	for s.lines.Scan() {
		if rest, ok := strings.CutPrefix(s.lines.Text(), mark); ok {
			return rest
		}
	}
	s.Fatalf("the server has ended without a line %q", mark)
	return ""
}

func (s *idleServer) now() standing { s.Helper(); return s.ask("") }

func (s *idleServer) ask(what string) (at standing) {
	s.Helper()
	_, _ = io.WriteString(s.in, what+"\n")
	text := "connections " + s.line("connections ")
	if _, err := fmt.Sscanf(text, standingForm, &at.connections, &at.goroutines, &at.awaited, &at.memory); err != nil {
		s.Fatalf("%q: %v", text, err)
	}
	return at
}

// crowdOf is ten thousand, or what the limit of open files leaves.
func crowdOf(t *testing.T) int {
	t.Helper()
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, int(min(files.Max, 1<<20))-500)
	if n < 10_000 {
		t.Logf("the limit of open files leaves %d connections", n)
	}
	return n
}

// crowd connects so often, from as many addresses of loopback; every second one begins a
// head and goes no further.
func (s *idleServer) crowd(n, addresses int) (crowd []net.Conn) {
	s.Helper()
	var all sync.WaitGroup
	crowd = make([]net.Conn, n)
	for i := range 8 {
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%addresses))}}
		all.Go(func() {
			for at := i; at < n; at += 8 {
				c, err := d.DialContext(context.Background(), "tcp", s.addr)
				if err != nil {
					s.Errorf("connection %d: %v", at, err)
					return
				}
				if crowd[at] = c; at%16 < 8 {
					_, _ = io.WriteString(c, "GET /streams/x HTTP/1.0\r\nUser-Agent: ")
				}
			}
		})
	}
	all.Wait()
	return crowd
}

// Ten thousand connect and ask nothing, or do not finish asking. They cost a little memory
// and no goroutine each; who watches notices nothing, who comes is served; and when the
// time for a head is over they are gone.
func TestIdleCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	s := startIdleServer(t, access.Bounds{})
	w := &world{TB: t, addr: s.addr}
	var tapes []*tape
	for range 3 {
		tapes = append(tapes, w.dial().tape(play(oldAgent)))
	}
	goOn := func(why string) {
		t.Helper()
		for _, tape := range tapes {
			seen := tape.now()
			tape.awaitPacket(t, seen.last.number+10)
			if at := tape.now(); at.missing > 0 {
				t.Errorf("%s: %d packets are missing", why, at.missing)
			}
		}
	}
	goOn("before")
	before, n := s.now(), crowdOf(t)
	crowd := s.crowd(n, 8)
	defer func() {
		for _, c := range crowd {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	var there standing
	worldtest.Eventually(t, "all of them are there at once", func() bool {
		there = s.now()
		return there.awaited >= n && there.connections >= before.connections+n
	})
	goOn("with the crowd")
	w.dial().tape(play(newAgent)).awaitPacket(t, 1)
	each := float64(there.memory-min(before.memory, there.memory)) / float64(n)
	t.Logf("%d connections, %.0f bytes each, %d goroutines (%d before)", there.connections, each, there.goroutines, before.goroutines)
	if each > 8<<10 {
		t.Errorf("%.0f bytes for each who does nothing", each)
	}
	if there.goroutines > before.goroutines+n/100 {
		t.Errorf("%d goroutines, %d before", there.goroutines, before.goroutines)
	}
	if at := s.now(); at.awaited != n {
		t.Errorf("%+v before the term is over, a head is awaited of %d", at, n)
	}
	s.ask(termIsOver)
	worldtest.Eventually(t, "the crowd is gone", func() bool { return s.now().connections <= before.connections+1 })
	goOn("afterwards")
}
