package pump

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/systemd"
)

// takeGiven adds the sockets that the service manager has opened for this process. Their
// names say which doors they are.
func (s *sockets) takeGiven() error {
	list, err := systemd.TakeSockets()
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range list {
		if !slices.Contains([]string{publicDoor, tlsDoor, adminDoor}, g.Name) {
			errs = append(errs, fmt.Errorf("the service manager passes a socket named %q, which is no door (FileDescriptorName=public, tls or admin in its socket unit)", g.Name))
		}
		s.inherited = append(s.inherited, socket{Kind: g.Name, Address: g.Listener.Addr().String(), Given: true, ln: g.Listener})
	}
	if err := errors.Join(errs...); err != nil {
		s.closeInherited()
		return err
	}
	return nil
}

// given returns the listeners of a kind that the service manager has opened.
func (s *sockets) given(kind string) (list []net.Listener) {
	s.inherited = slices.DeleteFunc(s.inherited, func(in socket) bool {
		if !in.Given || in.Kind != kind {
			return false
		}
		s.open = append(s.open, in)
		list = append(list, in.ln)
		return true
	})
	return list
}

// checkGiven finds sockets that the configuration has no use for: nobody would ever answer
// who connects there.
func (s *sockets) checkGiven(cfg *config.Config) error {
	var errs []error
	for _, in := range s.inherited {
		switch {
		case !in.Given:
		case in.Kind == tlsDoor && !cfg.SSL:
			errs = append(errs, fmt.Errorf("the service manager passes %s for TLS, and ssl is off (set ssl, ssl_key and ssl_cert, or disable the socket unit)", in.Address))
		case in.Kind == adminDoor && cfg.Admin.Listen == "":
			errs = append(errs, fmt.Errorf("the service manager passes %s for operators, and admin.listen is off (set it, or disable the socket unit)", in.Address))
		}
	}
	return errors.Join(errs...)
}
