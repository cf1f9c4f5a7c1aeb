package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// A viewer behind TLS costs no goroutine: it is on an event loop like the others.
func TestVeiledViewerIsOnALoop(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	tape := w.dialTLS().tape(play(oldAgent))
	tape.awaitPacket(t, 0)
	onLoops := 0
	for _, l := range w.srv.loops {
		l.call(t.Context(), func() { onLoops += len(l.viewers()) })
	}
	w.srv.mu.Lock()
	hosted := len(w.srv.hosted)
	w.srv.mu.Unlock()
	if onLoops != 1 || hosted != 0 {
		t.Errorf("%d viewers on loops and %d connections on goroutines, want 1 and 0", onLoops, hosted)
	}
}

// The end of the stream is the end of TLS too: a client can tell it from a connection
// that was cut.
func TestVeilSaysGoodbye(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress})
		e := w.onAir()
		e.send(1)
		c := w.dialTLS().watch(e, play(newAgent))
		c.data()
		e.pub.End()
		c.end()
	})
}

// What a viewer says while it watches is heard by TLS.
func TestVeilListens(t *testing.T) {
	for name, c := range map[string]struct {
		say func(c *tls.Conn) error
		why Reason
	}{
		"goodbye, and the connection stays": {(*tls.Conn).CloseWrite, ReasonLeft},
		"nonsense": {func(c *tls.Conn) error {
			_, err := c.NetConn().Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
			return err
		}, ReasonError},
		"no TLS at all": {func(c *tls.Conn) error {
			_, err := io.WriteString(c.NetConn(), "GET / HTTP/1.0\r\n\r\n")
			return err
		}, ReasonError},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan{})
			e := w.onAir()
			e.send(1)
			other := w.dialTLS().tape(play(oldAgent))
			v := w.dialTLS()
			v.tape(play(newAgent)).awaitPacket(t, 0)
			other.awaitPacket(t, 0)
			if err := c.say(v.conn.(*tls.Conn)); err != nil {
				t.Fatal(err)
			}
			worldtest.Eventually(t, "it has left", func() bool { return len(w.closed(c.why)) == 1 })
			e.send(1)
			other.awaitPacket(t, 1)
		})
	}
}

// A viewer that asks again and again, however much, is heard and goes on.
func TestVeilPassesOver(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	c := w.dialTLS()
	tape := c.tape(play(oldAgent))
	tape.awaitPacket(t, 0)
	for range 50 {
		c.write(post(strings.Repeat("log", 1000), "Content-Type: application/x-wms-Logstats"))
	}
	e.send(5)
	tape.awaitPacket(t, 5)
}

// Packets that were piled up while a loop was busy come in several records and writes.
func TestVeilTakesLargeWindows(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{ring: roomy, egress: egress, settings: Settings{PulseMin: 300 * time.Millisecond, PulseMax: 300 * time.Millisecond}})
		e := w.onAir()
		e.send(1)
		var tapes []*tape
		for range 3 {
			tapes = append(tapes, w.dialTLS().tape(play(oldAgent)))
		}
		for _, size := range []int{20, 200, 20} { // packets in one pulse, some more than a write may hold
			e.send(size)
			for _, tape := range tapes {
				if tape.awaitPacket(t, e.next-1); tape.now().missing != 0 {
					t.Fatalf("%+v", tape.now())
				}
			}
		}
	})
}

// A viewer that goes away between its request and its place on a loop leaves nothing behind.
func TestVeilOfWhoLeavesAtOnce(t *testing.T) {
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	for range 30 {
		c := w.dialTLS()
		c.write(play(newAgent))
		_ = c.conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
		c.close()
	}
	w.shutdown() // which looks at places, packets and descriptors
}

// A client may change its keys in the midst of a stream and ask the server to do the same:
// OpenSSL does at the letter K, and shows what both say.
func TestVeilChangesKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is missing")
		}
		t.Skip("needs openssl")
	}
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(1)
	w.serveTLS()
	said := filepath.Join(t.TempDir(), "messages")
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", w.tlsA, "-tls1_3", "-msg", "-msgfile", said)
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
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	br := bufio.NewReader(out)
	until := func(text string) { // OpenSSL talks as well, in front of the answer
		t.Helper()
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				t.Fatalf("%v before %q", err, text)
			}
			if strings.Contains(line, text) {
				return
			}
		}
	}
	until("---\n")
	_, _ = io.WriteString(in, play(newAgent))
	until("HTTP/1.0 200")
	until("\r\n")
	for line := "x"; line != "\r\n"; {
		if line, err = br.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	tape := record(br, nil)
	tape.awaitPacket(t, 0)
	count := func(message string) int {
		b, _ := os.ReadFile(said)
		return strings.Count(string(b), message)
	}
	for i := 1; i <= 3; i++ {
		_, _ = io.WriteString(in, "K\n")
		worldtest.Eventually(t, "the server has changed its keys", func() bool {
			return count("<<< TLS 1.3, Handshake [length 0005], KeyUpdate") == i
		})
		e.send(5)
		if tape.awaitPacket(t, e.next-1); tape.now().missing != 0 {
			t.Fatalf("%+v", tape.now())
		}
	}
	if n := len(w.srv.Closed()); n != 0 {
		t.Errorf("%d viewers have left", n)
	}
}

// Memory for a viewer that does not read is bounded by one write, and given back.
func TestVeilOwesNoMoreThanOneWrite(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{ring: roomy, egress: egress})
		e := w.onAir()
		e.send(1)
		c := w.dialTLSBuffer(4096)
		if r := c.ask(play(oldAgent)); r.status != 200 {
			t.Fatal(r.status)
		}
		tape, goOn := c.pause()
		w.unread(e)
		owed := func() (n, capacity int) {
			for _, l := range w.srv.loops {
				l.call(t.Context(), func() {
					for _, g := range l.groups {
						for _, v := range g.viewers {
							n, capacity = n+len(v.veil.owed), capacity+cap(v.veil.owed)
						}
					}
				})
			}
			return n, capacity
		}
		if n, c := owed(); n == 0 || c > 2*sealedBytes(veilBytes+packetSize) {
			t.Errorf("%d bytes are owed, of %d", n, c)
		}
		goOn()
		tape.awaitPacket(t, e.next-1)
		worldtest.Eventually(t, "nothing is owed", func() bool { n, c := owed(); return n == 0 && c == 0 })
	})
}

func TestWireHasNothingForNow(t *testing.T) {
	w := &wire{onLoop: true, in: []byte("ab")}
	b := make([]byte, 1)
	for range 2 {
		if n, err := w.Read(b); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, err := w.Read(b)
	var ne net.Error
	//lint:ignore SA1019 it is what crypto/tls asks
	if !errors.As(err, &ne) || !ne.Temporary() {
		t.Errorf("%v, which TLS would take for the end", err)
	}
}
