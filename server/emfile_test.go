package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// fewFilesEnv tells a copy of the test binary to be the server that runs out of files.
const fewFilesEnv = "STREAM_PUMP_TEST_FEW_FILES"

// TestFewFilesServer is no test: it is the server of TestOutOfFiles, in a process of
// its own because the limit is the process's.
func TestFewFilesServer(t *testing.T) {
	if os.Getenv(fewFilesEnv) == "" {
		t.Skip("only as a child of TestOutOfFiles")
	}
	w := newWorld(t, plan{})
	e := w.onAir()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(openFiles(t)) + 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	stop := e.flow(5 * time.Millisecond)
	if _, err := io.WriteString(os.Stdout, "\naddress "+w.addr+"\n"); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	for words := bufio.NewScanner(os.Stdin); words.Scan(); { // until the parent closes it
		for _, f := range taken {
			_ = f.Close()
		}
		for taken = nil; words.Text() == "take"; {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			taken = append(taken, f)
		}
		if _, err := io.WriteString(os.Stdout, "\ndone\n"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
}

// fewFiles is the child, seen by its parent.
type fewFiles struct {
	testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startFewFiles starts the child and returns its address too.
func startFewFiles(t *testing.T) (f *fewFiles, addr string) {
	t.Helper()
	f = &fewFiles{TB: t, cmd: exec.Command(os.Args[0], "-test.run=^TestFewFilesServer$", "-test.timeout=5m")}
	f.cmd.Env = append(os.Environ(), fewFilesEnv+"=1")
	f.cmd.Stderr = os.Stderr
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	f.out = bufio.NewReader(out)
	return f, f.hear("address ")
}

// hear waits for a line that begins so, and returns what follows.
func (f *fewFiles) hear(begin string) string {
	f.Helper()
	for {
		line, err := f.out.ReadString('\n')
		if err != nil {
			f.Fatalf("the server says no %q: %v", begin, err)
		}
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), begin); ok {
			return rest
		}
	}
}

// tell has the child take every descriptor that is left ("take"), or give them back.
func (f *fewFiles) tell(word string) {
	f.Helper()
	if _, err := io.WriteString(f.in, word+"\n"); err != nil {
		f.Fatal(err)
	}
	f.hear("done")
}

func (f *fewFiles) end() {
	f.Helper()
	_ = f.in.Close()
	rest, _ := io.ReadAll(f.out)
	if err := f.cmd.Wait(); err != nil {
		f.Errorf("the server: %v\n%s", err, rest)
	}
}

// Descriptors run out: those who watch go on, new ones are turned away and not left
// waiting, whether there is one left to accept them with or none; and when descriptors are
// free again everything is as before.
func TestOutOfFiles(t *testing.T) {
	child, addr := startFewFiles(t)
	w := &world{TB: t, addr: addr}
	var clients []*client
	var tapes []*tape
	for i := range 3 {
		clients = append(clients, w.dial())
		tapes = append(tapes, clients[i].tape(play(oldAgent)))
	}
	progress := func(why string) {
		t.Helper()
		for _, tape := range tapes {
			seen := tape.now().packets
			worldtest.Eventually(t, why, func() bool {
				at := tape.now()
				if at.err != nil || at.missing != 0 {
					t.Fatalf("%s: %v, %d packets are missing", why, at.err, at.missing)
				}
				return at.packets > seen+20
			})
		}
	}
	progress("viewers get packets")
	var crowd []net.Conn
	for range 40 {
		c, err := dialBuffer(addr, 0)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	progress("viewers get packets while descriptors run out")
	worldtest.Eventually(t, "some are turned away", func() bool { return turnedAway(crowd) >= 10 })
	progress("viewers get packets while others are turned away")
	child.tell("take")
	var late []net.Conn
	for range 10 {
		c, err := dialBuffer(addr, 0)
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, c)
	}
	worldtest.Eventually(t, "all are turned away, without a descriptor for any", func() bool { return turnedAway(late) == len(late) })
	progress("viewers get packets without a descriptor left")
	child.tell("give")
	for _, c := range append(crowd, late...) {
		_ = c.Close()
	}
	worldtest.Eventually(t, "newcomers are served again", func() bool {
		c, err := dialBuffer(addr, 0)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(busy))
		_, _ = io.WriteString(c, play(oldAgent))
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "HTTP/1.0 200 OK\r\n"
	})
	progress("viewers get packets afterwards")
	for range 3 { // and the door is still open
		c := w.dial()
		c.tape(play(oldAgent)).awaitPacket(t, 1)
		c.close()
	}
	for _, c := range clients {
		c.close()
	}
	child.end()
}

// Nobody is let in with the descriptor of the spare: who comes while it is missing is turned away, and it has his.
func TestNobodyHasTheSparesDescriptor(t *testing.T) {
	w, _ := describable(t)
	w.srv.spare.close()
	w.srv.spare.mu.Lock()
	w.srv.spare.short = true // as when it could not be opened again
	w.srv.spare.mu.Unlock()
	c, err := dialBuffer(w.addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	worldtest.Eventually(t, "he is turned away", func() bool { return turnedAway([]net.Conn{c}) == 1 })
	worldtest.Eventually(t, "the spare is there", func() bool { return w.srv.spare.whileThere(func() error { return nil }) == nil })
	w.dial().ask(describe(oldAgent))
}

// While one acceptor gives up the spare descriptor for a moment, under a deadline, the
// others must not take the deadline for the end of the listener.
func TestSpareLeavesOtherAcceptorsAlone(t *testing.T) {
	w, _ := describable(t)
	for range 3 {
		w.dial().ask(describe(oldAgent)) // the acceptors run
		w.srv.spare.use(w.ln)
	}
	w.dial().ask(describe(oldAgent))
}

// turnedAway counts the connections that the server has closed.
func turnedAway(list []net.Conn) (n int) {
	for _, c := range list {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			n++
		}
	}
	return n
}
