package pump

import (
	"log/slog"
	"os"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
)

// Options are what a pump needs beside its configuration. The zero value works.
type Options struct {
	Log     *slog.Logger   // nil discards
	Level   *slog.LevelVar // set from log.level at a reload; nil leaves the level alone
	Version string         // of the program, for the status page

	// Load reads the configuration again for a reload; nil refuses reloads. A
	// [config.Problems] is told line by line.
	Load func() (*config.Config, error)

	// Parse makes a configuration of a text that may take the place of what Load reads;
	// nil refuses to compare one. name is that of a file, for its ending.
	Parse func(name string, data []byte) (*config.Config, error)

	// AdminOptional lets the pump go without the admin port when it cannot be had.
	AdminOptional bool

	// Signals tell [Run] what to do; nil leaves only its context.
	Signals <-chan os.Signal

	inside *Inside // set by [StartInside]: there are no ports

	houseWaits fleet.Waits // between attempts to reach the house; zero but in tests

	// Ready, if set, is called by [Run] once everything listens.
	Ready func(*Pump)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	return o
}
