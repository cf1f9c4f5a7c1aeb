package pump

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Kinds of listener.
const (
	publicDoor = "public"
	tlsDoor    = "tls"
	adminDoor  = "admin"
)

// socket is a listener with the place it has in the configuration, by which the next
// program finds it when it is handed over.
type socket struct {
	Kind    string `json:"kind"`
	Address string `json:"address"`         // as configured, or the one it has if it was given
	Given   bool   `json:"given,omitempty"` // opened by the service manager: takes the place of what is configured
	ln      *net.TCPListener
}

// sockets opens listeners, or finds them among those handed over by the program before.
// It belongs to one goroutine.
type sockets struct {
	open      []socket
	inherited []socket
}

// listen returns the listener for an address as configured, dual stack where the address
// has no host.
func (s *sockets) listen(kind, address string) (net.Listener, error) {
	for i, in := range s.inherited {
		if in.Kind == kind && in.Address == address && !in.Given {
			s.inherited = append(s.inherited[:i], s.inherited[i+1:]...)
			s.open = append(s.open, in)
			return in.ln, nil
		}
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, explainListen(kind, address, err)
	}
	tcp := ln.(*net.TCPListener)
	s.open = append(s.open, socket{Kind: kind, Address: address, ln: tcp})
	return tcp, nil
}

// closeInherited closes what the program before had and this one has no use for.
func (s *sockets) closeInherited() {
	for _, in := range s.inherited {
		_ = in.ln.Close()
	}
	s.inherited = nil
}

// closeAll closes what was opened; closing twice does no harm.
func (s *sockets) closeAll() {
	for _, o := range s.open {
		_ = o.ln.Close()
	}
	s.closeInherited()
}

// explainListen says which address could not be listened on, and what would be right.
func explainListen(kind, address string, err error) error {
	key := map[string]string{publicDoor: "port or listen", tlsDoor: "ssl_port", adminDoor: "admin.listen"}[kind]
	hint := ""
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = fmt.Sprintf("another program has this port; stop it (ss -ltnp shows which), or set %s to a free one", key)
	case errors.Is(err, syscall.EACCES):
		hint = fmt.Sprintf("ports below 1024 need the capability CAP_NET_BIND_SERVICE; grant it, or set %s to a higher one", key)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = fmt.Sprintf("this machine does not have that address; set %s to one of its own, or leave the host out", key)
	case errors.As(err, &dns):
		hint = fmt.Sprintf("the host cannot be resolved; set %s to an address of this machine, or leave the host out", key)
	default:
		return fmt.Errorf("listening on %s: %w", address, err)
	}
	return &ListenError{Address: address, Hint: hint, Err: err}
}

// ListenError says which address could not be listened on and what to do about it.
type ListenError struct {
	Address string
	Hint    string
	Err     error
}

func (e *ListenError) Error() string {
	var sys *os.SyscallError
	what := e.Err.Error()
	if errors.As(e.Err, &sys) {
		what = strings.ToLower(sys.Err.Error())
	}
	return fmt.Sprintf("listening on %s: %s (%s)", e.Address, what, e.Hint)
}

// Unwrap returns what the operating system said.
func (e *ListenError) Unwrap() error { return e.Err }
