package systemd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain is also the program that sockets are passed to: it prints what it was given.
func TestMain(m *testing.M) {
	if os.Getenv("STREAM_PUMP_TEST_TAKE") == "" {
		os.Exit(m.Run())
	}
	list, err := TakeSockets()
	if err != nil {
		fmt.Println("error:", err)
	}
	for _, s := range list {
		fmt.Println(s.Name, s.Listener.Addr())
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if _, set := os.LookupEnv(name); set {
			fmt.Println(name, "is still set")
		}
	}
}

// take passes the files to a process of their own as systemd does and returns what it
// prints. pid is what LISTEN_PID says, by default the process's.
func take(t *testing.T, files []*os.File, count, names, pid string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if pid == "" {
		pid = "$$"
	}
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=`+pid+` exec "$0"`, self)
	cmd.Env = append(os.Environ(), "STREAM_PUMP_TEST_TAKE=1", "LISTEN_FDS="+count, "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func tcp(t *testing.T) (*os.File, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return fileOf(t, ln.(*net.TCPListener)), ln.Addr().String()
}

func fileOf(t *testing.T, ln interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestSocketsArePassedWithTheirNames(t *testing.T) {
	a, addrA := tcp(t)
	b, addrB := tcp(t)
	got := take(t, []*os.File{a, b}, "2", "public:admin", "")
	if want := []string{"public " + addrA, "admin " + addrB}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSocketsThatAreNotTaken(t *testing.T) {
	a, _ := tcp(t)
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packets.Close() }()
	for name, c := range map[string]struct {
		files             []*os.File
		count, names, pid string
		want              string
	}{
		"none":                  {nil, "", "", "", ""},
		"for another process":   {[]*os.File{a}, "1", "public", "1", ""},
		"a count below 0":       {[]*os.File{a}, "-1", "public", "", `error: LISTEN_FDS "-1" is no number of sockets`},
		"a count beyond reason": {[]*os.File{a}, "1000000000", "public", "", `error: LISTEN_FDS "1000000000" is no number of sockets`},
		"no count":              {[]*os.File{a}, "many", "public", "", `error: LISTEN_FDS "many" is no number of sockets`},
		"a local socket":        {[]*os.File{a, fileOf(t, ln.(*net.UnixListener))}, "2", "public:tls", "", `error: the socket "tls" passed by the service manager: a listener of type unix, not TCP`},
		"one of packets":        {[]*os.File{fileOf(t, packets)}, "1", "public", "", `error: the socket "public" passed by the service manager`},
		"a descriptor too many": {[]*os.File{a}, "2", "public:tls", "", `error: the socket "tls" passed by the service manager`},
	} {
		t.Run(name, func(t *testing.T) {
			got := take(t, c.files, c.count, c.names, c.pid)[0]
			if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
