package pump

import (
	"io"
	"net"
	"net/netip"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Spool keeps a log from waiting, or failing, for what takes its lines.
type Spool = telemetry.Spool

// NewSpool returns a spool in front of a file, terminal or pipe.
func NewSpool(w io.Writer) *Spool { return telemetry.NewSpool(w) }

// Reachable returns an address under which this machine reaches a listener: localhost in
// place of every address.
func Reachable(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return a.String()
	}
	_, port, _ := net.SplitHostPort(a.String())
	return net.JoinHostPort("localhost", port)
}
