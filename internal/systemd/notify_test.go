package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manager listens as a service manager does and sets the environment so.
func manager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestStatesAreToldInOneMessage(t *testing.T) {
	for name, address := range map[string]string{
		"a socket in the file system": filepath.Join(t.TempDir(), "notify"),
		"an abstract socket":          fmt.Sprintf("@stream-pump-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			conn := manager(t, address)
			m, err := Connect()
			if err != nil || m == nil {
				t.Fatal(m, err)
			}
			if err := m.Tell(Ready, Status("two\nlines and\t a tab"), MainPID(42), ExtendTimeout(90*time.Second)); err != nil {
				t.Fatal(err)
			}
			want := "READY=1\nSTATUS=two lines and a tab\nMAINPID=42\nEXTEND_TIMEOUT_USEC=90000000"
			if got := receive(t, conn); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// The time of a reload is that of the clock which systemd compares it with.
func TestReloadingTellsWhen(t *testing.T) {
	before := Reloading()
	form := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=([0-9]+)$`)
	m := form.FindStringSubmatch(before)
	if m == nil {
		t.Fatalf("got %q", before)
	}
	micros, _ := strconv.ParseFloat(m[1], 64)
	uptime, err := os.ReadFile("/proc/uptime") // of the boot clock, which runs ahead by the time of sleep
	if err != nil {
		t.Skip(err)
	}
	seconds, _ := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
	if at := micros / 1e6; at <= 0 || at > seconds+1 {
		t.Errorf("%v s, while the machine is up for %v s", at, seconds)
	}
}

func TestStatusIsBounded(t *testing.T) {
	if got := Status(strings.Repeat("ä", 1000)); len(got) > maxStatus+len("STATUS=") || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// Without a manager, telling does nothing.
func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m, err := Connect()
	if m != nil || err != nil {
		t.Fatal(m, err)
	}
	if err := m.Tell(Ready); err != nil {
		t.Error(err)
	}
}

func TestWatchdog(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct {
		usec, pid string
		want      time.Duration
		wrong     bool
	}{
		"not asked for":       {"", "", 0, false},
		"for this process":    {"30000000", self, 30 * time.Second, false},
		"for whoever":         {"2000000", "", 2 * time.Second, false},
		"for another process": {"30000000", "1", 0, false},
		"no number":           {"soon", self, 0, true},
		"not above 0":         {"0", self, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			manager(t, filepath.Join(t.TempDir(), "notify"))
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			m, err := Connect()
			if c.wrong {
				if err == nil {
					t.Error("taken")
				}
				return
			}
			if err != nil || m.Watchdog != c.want {
				t.Fatalf("%v, %v; want %v", m, err, c.want)
			}
			if left := os.Getenv("WATCHDOG_PID"); c.want > 0 && left != "" {
				t.Error("a program started by this one would take the watchdog for another's")
			}
		})
	}
}

// A manager that does not read must not hold up the program.
func TestADeafManager(t *testing.T) {
	conn := manager(t, filepath.Join(t.TempDir(), "notify"))
	_ = conn.SetReadBuffer(1)
	m, err := Connect()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 10_000 {
		if err = m.Tell(Pat); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("10000 messages fit into a socket that nobody reads")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	_ = conn.Close()
	if err := m.Tell(Pat); err == nil {
		t.Error("a manager that is gone hears")
	}
}

func TestStrangeAddresses(t *testing.T) {
	for _, address := range []string{"vsock:2:1234", "notify", "tcp://127.0.0.1:1"} {
		t.Setenv("NOTIFY_SOCKET", address)
		if m, err := Connect(); err == nil {
			t.Errorf("%s: taken as %+v", address, m)
		}
	}
}
