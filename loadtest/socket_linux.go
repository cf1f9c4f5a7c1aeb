package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// network makes connections for all loops of a run.
type network struct {
	proxy   netip.AddrPort // where plain HTTP goes, when valid
	from    netip.Addr     // where all connections come from, when valid
	sources atomic.Int32   // addresses 127.0.0.x to connect from towards loopback
	turn    atomic.Uint32

	mu    sync.Mutex
	found map[string]netip.AddrPort // hosts of redirects
}

// find is the address of a redirect's host, or of the proxy.
func (n *network) find(t *target) (netip.AddrPort, error) {
	if n.proxy.IsValid() && !t.tls {
		return n.proxy, nil
	}
	n.mu.Lock()
	addr, ok := n.found[t.address()]
	n.mu.Unlock()
	if ok {
		return addr, nil
	}
	addr, err := resolve(context.Background(), t.host, t.port)
	if err != nil {
		return addr, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.found == nil {
		n.found = map[string]netip.AddrPort{}
	}
	const hosts = 1000
	if len(n.found) < hosts {
		n.found[t.address()] = addr
	}
	return addr, nil
}

const maxSources = 250

// connect begins a connection. When this machine's ports towards a loopback address are used up, it goes on from the
// next source address.
func (n *network) connect(to netip.AddrPort, slow bool) (int, error) {
	if n.from.IsValid() {
		return connectFrom(to, n.from, slow)
	}
	loopback := to.Addr().Is4() && to.Addr().IsLoopback()
	var err error
	for range 4 {
		var from netip.Addr
		if k := uint32(max(n.sources.Load(), 1)); loopback && k > 1 {
			from = netip.AddrFrom4([4]byte{127, 0, 0, 1 + byte(n.turn.Add(1)%k)})
		}
		var fd int
		if fd, err = connectFrom(to, from, slow); !errors.Is(err, unix.EADDRNOTAVAIL) || !loopback {
			return fd, err
		}
		n.sources.Store(min(n.sources.Load()+1, maxSources))
	}
	return -1, err
}

// connectFrom begins a connection from an address, or from the one that the system chooses.
func connectFrom(to netip.AddrPort, from netip.Addr, slow bool) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if slow {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, slowReceive) // only makes it show later
	}
	if from.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // without it ports run out sooner
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0)))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(to))
	}
	if err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// writeAll writes a request, which fits into any send buffer.
func writeAll(fd int, b []byte) bool {
	n, err := unix.Write(fd, b)
	return err == nil && n == len(b)
}

// dialError says what stopped a connection, alike for all that were stopped by the same.
func dialError(err error) string {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "no file descriptors left (raise the limit: ulimit -n)"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return "no local ports left (give more source addresses: -sources)"
	case errors.Is(err, unix.ECONNRESET):
		return "connection reset"
	case errors.Is(err, unix.ETIMEDOUT):
		return "connection timed out"
	}
	return "connecting: " + err.Error()
}

func readError(code unix.Errno) error {
	if code == unix.ECONNRESET {
		return errors.New("connection reset")
	}
	return fmt.Errorf("reading: %w", code)
}

// localPorts is how many ports connections from one address to another can use.
func localPorts() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var from, to int
	if err != nil {
		return 28_000
	}
	if n, _ := fmt.Fscan(bytes.NewReader(b), &from, &to); n != 2 || to < from {
		return 28_000
	}
	return to - from + 1
}

// sourcesFor is how many source addresses so many connections need: each takes less than half of its ports. Linux gives
// out the even ones first, or the odd ones; when all of those are taken, each further connect looks at all of them in vain
// before it finds one of the others, which takes longer than to serve ten viewers.
func sourcesFor(connections int) int { return min(1+connections*5/2/localPorts(), maxSources) }

// The three calls that a loop makes over and over go past the scheduler: telling it of each costs more than most of
// them take, and it would hand the processor on during every sleep. So a loop keeps its processor while it sleeps, which
// is why there is one more of them than loops.

// rawRead is recv(2) of a socket that never blocks.
func rawRead(fd int, b []byte) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), err
}

// rawEpoll is epoll_wait(2) without waiting; a call that was interrupted found nothing.
func rawEpoll(fd int, events []unix.EpollEvent) int {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if err != 0 {
		return 0
	}
	return int(n)
}

// rawSleep sleeps a few milliseconds at most; a signal may end it early.
func rawSleep(ns int64) {
	ts := unix.NsecToTimespec(ns)
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}
