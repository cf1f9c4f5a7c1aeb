package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A running program compares another file with what it has: with its own environment,
// and with paths that start where its own file is.
func TestDiffAsksTheRunningProgram(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		name = filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const head = "listen: [127.0.0.1:0]\nadmin: {listen: 127.0.0.1:0}\nlog: {format: json}\n"
	file := write("etc/pump.yaml", head+"streams: []\n")
	write("etc/slate.asf", "there is such a file")
	cmd, log := startPump(t, "run", file)
	admin := await(t, log, "listening", func(r record) bool { return r.For == "operators" }).Address
	diff := func(name, text string) (status int, out string) {
		var b, errs bytes.Buffer
		status = func() int {
			p := program()
			p.Out, p.Err = &b, &errs
			return p.Main([]string{"diff", "-admin", admin, write(name, text)})
		}()
		return status, b.String() + errs.String()
	}
	for _, c := range []struct {
		name, text string
		status     int
		want       string
	}{
		{"etc/pump.yaml", head + "streams: []\n", 0, "Nothing differs."},
		{"new/next.yaml", head + "streams: [{path: s, type: file_loop, file: slate.asf}]\n", 0, "stream s: added"},
		{"new/gone.yaml", head + "streams: [{path: s, type: file_loop, file: nix.asf}]\n", 2, "etc/gone.yaml:4:44: "},
		{"new/slow.yaml", head + "event_loops: 3\nstreams: []\n", 1, "for event_loops needs a restart"},
	} {
		if status, out := diff(c.name, c.text); status != c.status || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, want %d: %s, want %q", c.name, status, c.status, out, c.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
