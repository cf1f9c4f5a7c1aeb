package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
)

// maxSockets bounds how many sockets a program takes.
const maxSockets = 1024

// Socket is a listening TCP socket that the manager has opened.
type Socket struct {
	Name     string // FileDescriptorName= of the socket unit, by default the unit's name
	Listener *net.TCPListener
}

// TakeSockets returns the sockets that were passed to this process, and takes them out of the
// environment. On an error none is left open.
func TakeSockets() ([]Socket, error) {
	if n := os.Getenv("LISTEN_FDS"); n != "" {
		if count, err := strconv.Atoi(n); err != nil || count < 0 || count > maxSockets {
			return nil, fmt.Errorf("LISTEN_FDS %q is no number of sockets (0 to %d)", n, maxSockets)
		}
	}
	var list []Socket
	var errs []error
	for _, f := range activation.Files(true) {
		ln, err := listenerOf(f)
		_ = f.Close() // the listener has a duplicate of its own
		if err != nil {
			errs = append(errs, fmt.Errorf("the socket %q passed by the service manager: %w", f.Name(), err))
			continue
		}
		list = append(list, Socket{Name: f.Name(), Listener: ln})
	}
	if err := errors.Join(errs...); err != nil {
		for _, s := range list {
			_ = s.Listener.Close()
		}
		return nil, err
	}
	return list, nil
}

func listenerOf(f *os.File) (*net.TCPListener, error) {
	const right = "ListenStream= with a port, or an address and a port"
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, right)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return nil, fmt.Errorf("a listener of type %s, not TCP (%s)", ln.Addr().Network(), right)
	}
	return tcp, nil
}
