package simulate

import (
	"errors"
	"io"
	"time"
)

// Options say how large the fleet is.
type Options struct {
	Pumps       int
	Viewers     int
	Rate        int           // viewers a second; 0: as many as can be
	HTTPPumps   int           // of the pumps: over HTTP
	HTTPViewers float64       // share of the viewers: over HTTP
	Burst       int           // viewers who come within one second to a pump of 300, at the end; 0: none
	Interval    time.Duration // of telemetry
	Dir         string        // for what the house keeps; it is filled
	Progress    io.Writer     // a line now and then; nil: none
}

// Bounds of a simulation.
const (
	maxPumps   = 5000
	maxViewers = 5_000_000
)

func (o *Options) check() error {
	var errs []error
	if o.Pumps < regionSize || o.Pumps > maxPumps {
		errs = append(errs, errors.New("-pumps is from 5 to 5000"))
	}
	if o.Viewers < 1 || o.Viewers > maxViewers {
		errs = append(errs, errors.New("-viewers is from 1 to 5000000"))
	}
	if o.Rate < 0 || o.HTTPPumps < 0 || o.HTTPPumps > o.Pumps || o.HTTPViewers < 0 || o.HTTPViewers > 1 || o.Burst < 0 {
		errs = append(errs, errors.New("-rate, -http-pumps (at most -pumps), -http-viewers (0 to 1) and -burst are not negative"))
	}
	if o.Interval < 100*time.Millisecond || o.Interval > time.Minute {
		errs = append(errs, errors.New("-interval is from 100ms to 1m"))
	}
	if err := errors.Join(errs...); err != nil {
		return &OptionsError{err}
	}
	return nil
}

// OptionsError says what is wrong with [Options], in the words of the command's flags.
type OptionsError struct{ error }
