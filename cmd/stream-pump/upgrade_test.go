package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// record is a line of the log.
type record struct {
	Msg, Address, For string
	Pid               int
}

// startPump runs the program and returns its log, line by line, which closes when every
// program that writes to it is gone.
func startPump(t *testing.T, args ...string) (*exec.Cmd, <-chan record) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "stream-pump")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	_ = read.SetReadDeadline(time.Now().Add(60 * time.Second))
	lines := make(chan record, 1024)
	go func() {
		defer close(lines)
		defer func() { _ = read.Close() }()
		for s := bufio.NewScanner(read); s.Scan(); {
			var r record
			if json.Unmarshal(s.Bytes(), &r) == nil {
				lines <- r
			}
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, lines
}

func await(t *testing.T, log <-chan record, what string, fits func(record) bool) record {
	t.Helper()
	for r := range log {
		if fits(r) {
			return r
		}
	}
	t.Fatalf("the log ended without: %s", what)
	return record{}
}

// SIGUSR2: a new program has the same sockets, the old one ends by itself, and whoever
// asks meanwhile is answered.
func TestUpgrade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pump.yaml")
	text := "listen: [127.0.0.1:0]\nadmin: {listen: 'off'}\nlog: {format: json}\nstreams: [{path: card, type: test_card}]\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, log := startPump(t, "run", file)
	address := await(t, log, "listening", func(r record) bool { return r.Msg == "listening" }).Address
	await(t, log, "live", func(r record) bool { return r.Msg == "source connected" })
	asking, err := net.Dial("tcp", address) // has asked half of what it wants, and is served all the same
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asking.Close() }()
	const request = "GET /streams/card HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nPragma: xPlayStrm=1\r\n\r\n"
	if _, err := io.WriteString(asking, request[:40]); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	over := await(t, log, "handed over", func(r record) bool { return r.Msg == "handed over" })
	await(t, log, "draining", func(r record) bool { return strings.HasPrefix(r.Msg, "draining") })
	if _, err := io.WriteString(asking, request[40:]); err != nil {
		t.Fatal(err)
	}
	_ = asking.SetReadDeadline(time.Now().Add(time.Minute))
	answer := bufio.NewReader(asking)
	if status, err := answer.ReadString('\n'); err != nil || !strings.Contains(status, " 200 ") {
		t.Errorf("who had connected is answered %q, %v", status, err)
	}
	if _, err := io.CopyN(io.Discard, answer, 64<<10); err != nil {
		t.Errorf("who had connected: %v", err)
	}
	_ = asking.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the old program: %v", err)
	}
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + address + "/streams/card.asx")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the new program answers %d", resp.StatusCode)
	}
	if err := syscall.Kill(over.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	last := record{}
	for r := range log { // ends when the new program is gone as well
		last = r
	}
	if last.Msg != "stopped" {
		t.Errorf("the new program's last word is %q", last.Msg)
	}
}

func TestDemo(t *testing.T) {
	cmd, log := startPump(t, "-log-format", "json", "demo", "-listen", "127.0.0.1:0")
	var listening, live bool // in no order
	await(t, log, "listening and live", func(r record) bool {
		if strings.HasPrefix(r.For, "viewers") {
			if listening = true; !strings.HasPrefix(r.Address, "127.0.0.1:") {
				t.Errorf("listening at %s", r.Address)
			}
		}
		live = live || r.Msg == "source connected"
		return listening && live
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}
