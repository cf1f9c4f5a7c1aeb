package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// overseer stands in for systemd: it opens the sockets, starts the pump with them, and hears what it is told.
type overseer struct {
	names []string
	files []*os.File
	conn  *net.UnixConn

	mu   sync.Mutex
	told []string
}

func newOverseer(t *testing.T) *overseer {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(publicDir(t), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	o := &overseer{conn: conn}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			o.mu.Lock()
			o.told = append(o.told, string(b[:n]))
			o.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-heard })
	return o
}

// open makes a socket with a name and returns its port.
func (o *overseer) open(t *testing.T, name string) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	o.names, o.files = append(o.names, name), append(o.files, f)
	return ln.Addr().(*net.TCPAddr).Port
}

// wrap has a shell say whom the variables are for: its own process, which becomes the program.
func (o *overseer) wrap(cmd *exec.Cmd) *exec.Cmd {
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = o.files
	cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(o.files)), "LISTEN_FDNAMES="+strings.Join(o.names, ":"),
		"NOTIFY_SOCKET="+o.conn.LocalAddr().String(), "WATCHDOG_USEC=3000000")
	return cmd
}

// count tells how many messages began so, after the first skip messages.
func (o *overseer) count(skip int, prefix string) (n, all int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.told[min(skip, len(o.told)):] {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n, len(o.told)
}

// Sockets that systemd has opened are the pump's doors, whatever ports are configured. They stay open while the pump is
// away, so that nobody is refused, and go on to a new program, of which systemd is told.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	o := newOverseer(t)
	port, secure, admin := o.open(t, "public"), o.open(t, "tls"), o.open(t, "admin")
	cert, key := certificate(t)
	p := &PumpProc{Port: port, AdminPort: admin, wrap: o.wrap, stopped: true, Config: filepath.Join(publicDir(t), "pump.yml")}
	taken, err := net.Listen("tcp", "127.0.0.1:0") // a pump that tried to open the configured port would not start
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	config := fmt.Sprintf("listen: ['%s']\nssl: true\nssl_port: %d\nssl_key: %s\nssl_cert: %s\nadmin: {listen: 127.0.0.1:1}\nstreams:\n  - {name: Card, type: test_card, path: card}\n",
		taken.Addr(), freePort(t), key, cert)
	if err := os.WriteFile(p.Config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p.launch(t, binary)
	p.WaitState(t, "card", "live", 10*time.Second)
	checkPlays(t, port, false)
	checkPlays(t, secure, true)
	if n, _ := o.count(0, "READY=1"); n != 1 {
		t.Errorf("READY was told %d times", n)
	}

	p.Kill()
	waiting, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatalf("refused while the pump is away: %v", err)
	}
	defer func() { _ = waiting.Close() }()
	_, _ = fmt.Fprint(waiting, "GET /streams/card.asx HTTP/1.0\r\nHost: pump\r\n\r\n")
	p.Restart(t)
	_ = waiting.SetReadDeadline(time.Now().Add(slack * 20 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(waiting), nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("who connected meanwhile got %v, %v", resp, err)
	}

	if err := p.proc.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	successor := handedOverTo(p.eventuallySaid(t, "handed over").text)
	eventually(t, 45*time.Second, "the old program has ended by itself", func() bool { return zombie(p.proc.cmd.Process.Pid) })
	_, past := o.count(0, "")
	if n, _ := o.count(0, fmt.Sprintf("MAINPID=%d", successor)); n != 1 {
		t.Errorf("the new process was told %d times", n)
	}
	if n, _ := o.count(0, "STOPPING=1"); n != 0 {
		t.Error("the service was said to stop, and it goes on")
	}
	p.WaitState(t, "card", "live", 10*time.Second)
	checkPlays(t, port, false)
	checkPlays(t, secure, true)
	eventually(t, 20*time.Second, "the new program pats the watchdog", func() bool { n, _ := o.count(past, "WATCHDOG=1"); return n >= 2 })
	if err := syscall.Kill(successor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !p.proc.ended(20 * time.Second) {
		t.Error("the new program has not ended after SIGTERM")
	}
	p.stopped = true
	p.checkRaces(t)
	if n, _ := o.count(past, "STOPPING=1"); n != 1 {
		t.Errorf("the end was told %d times", n)
	}
}

// A crash ends by a signal. With status 2, as Go programs end otherwise, it would look like a wrong configuration, and
// the unit starts nothing again that ended so.
func TestACrashIsNoWrongConfiguration(t *testing.T) {
	t.Parallel()
	binary, err := buildRelease()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(publicDir(t), "pump.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "listen: [127.0.0.1:%d]\nadmin: 'off'\nstreams: []\n", freePort(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "stream-pump", exec.Command(binary, "run", file))
	said := func(what string) func() bool {
		return func() bool { return len(p.said(func(s string) bool { return strings.Contains(s, what) })) > 0 }
	}
	eventually(t, 20*time.Second, "it serves", said("listening"))
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil { // as the watchdog of systemd does
		t.Fatal(err)
	}
	if !p.ended(20 * time.Second) {
		t.Fatal("it goes on")
	}
	if s := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGABRT {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
	if !said("goroutine ")() {
		t.Error("it does not say what its goroutines did")
	}
}

// systemd's own tool for trying socket activation starts the pump when the first viewer comes.
func TestStartedByTheFirstViewer(t *testing.T) {
	need(t, "systemd-socket-activate")
	t.Parallel()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	file := filepath.Join(publicDir(t), "pump.yml")
	if err := os.WriteFile(file, []byte("port: 1\nadmin: 'off'\nhold: 1s\nstreams:\n  - {name: Card, type: test_card, path: card}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "systemd-socket-activate", exec.Command("systemd-socket-activate", fmt.Sprintf("--listen=127.0.0.1:%d", port), "--fdname=public", binary, "run", file))
	eventually(t, 20*time.Second, "somebody listens", func() bool {
		return len(p.said(func(s string) bool { return strings.Contains(s, "Listening on") })) > 0
	})
	eventually(t, 20*time.Second, "the first viewer is served", func() bool {
		v, err := joinRaw(port, "card", false) // 503 until the test card is on the air
		if err != nil {
			return false
		}
		defer v.close()
		_, err = v.next(10 * time.Second)
		return err == nil
	})
	if !p.stop(syscall.SIGTERM, 20*time.Second) {
		t.Error("the pump has not ended after SIGTERM")
	}
}
