package pump

import (
	"io"
	"log/slog"
	"net"
	"net/netip"

	"github.com/stream-pump/stream-pump/telemetry"
)

// LogOptions are the format and the least level of a log; empty fields are left to
// somebody else.
type LogOptions = telemetry.LogOptions

// Spool keeps a log from waiting, or failing, for what takes its lines.
type Spool = telemetry.Spool

// NewSpool returns a spool in front of a file, terminal or pipe.
func NewSpool(w io.Writer) *Spool { return telemetry.NewSpool(w) }

// NewLogger makes a log whose level can be changed. What the flags leave open is taken
// from the file.
func NewLogger(w io.Writer, flags, file LogOptions) (*slog.Logger, *slog.LevelVar, error) {
	o := flags.Or(file)
	at, err := telemetry.ParseLevel(o.Level)
	if err != nil {
		return nil, nil, err
	}
	level := new(slog.LevelVar)
	level.Set(at)
	log, err := telemetry.NewLogger(w, o.Format, level)
	return log, level, err
}

// Redact takes the secrets out of an error's text.
func Redact(err error) error { return telemetry.RedactError(err) }

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
