package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// tellTime is how long a message may take. A manager that does not read its socket must
// not hold up the program, least of all its end.
const tellTime = time.Second

// maxStatus bounds a status line, in bytes.
const maxStatus = 400

// Manager is the service manager that started the program. All methods may be called from
// any goroutine; those of a nil Manager do nothing.
type Manager struct {
	address string

	// Watchdog is how long the manager waits for a pat before it takes the program for
	// hung; 0: it does not watch.
	Watchdog time.Duration
}

// Connect finds the manager in the environment; nil when there is none. It takes out of the
// environment what holds for this process alone, so that a program started by this one may
// take its place.
func Connect() (*Manager, error) {
	m := &Manager{address: os.Getenv("NOTIFY_SOCKET")}
	if m.address == "" {
		return nil, nil
	}
	if !strings.HasPrefix(m.address, "/") && !strings.HasPrefix(m.address, "@") {
		return nil, fmt.Errorf("NOTIFY_SOCKET %q is no socket in the file system and no abstract one", m.address)
	}
	var err error
	if m.Watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		return nil, fmt.Errorf("reading WATCHDOG_USEC and WATCHDOG_PID: %w", err)
	}
	if m.Watchdog > 0 {
		_ = os.Unsetenv("WATCHDOG_PID")
	}
	return m, nil
}

// Tell sends one message with all the states, which take effect together.
func (m *Manager) Tell(states ...string) error {
	if m == nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(tellTime))
	if _, err := conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	return nil
}

// What can be told.
const (
	Ready    = daemon.SdNotifyReady    // it serves, or has read its configuration again
	Stopping = daemon.SdNotifyStopping // it is on its way down
	Pat      = daemon.SdNotifyWatchdog // it is not hung
)

// Reloading says that the configuration is being read again, until Ready, and when that
// began: systemd's Type=notify-reload wants to know.
func Reloading() string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return daemon.SdNotifyReloading + "\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10)
}

// Status is one line for people, shown by systemctl status.
func Status(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return "STATUS=" + strings.ToValidUTF8(text[:min(len(text), maxStatus)], "")
}

// MainPID says that another process is the service from now on.
func MainPID(pid int) string { return "MAINPID=" + strconv.Itoa(pid) }

// ExtendTimeout asks for so much time from now on until the next message, while starting or
// stopping.
func ExtendTimeout(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}
