package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/house/simulate"
	"github.com/stream-pump/stream-pump/internal/cli"
)

// simulateCommand's flags are those of one run.
func simulateCommand() *cli.Command {
	o := simulate.Options{}
	return &cli.Command{
		Name: "simulate", What: "measure a house of its own with a fleet and viewers that are not there, and print a table; a pump that is overrun, viewers the house does not know and a slow repair end it with status 1",
		Example: "pump-house simulate -pumps 1000 -viewers 1000000",
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&o.Pumps, "pumps", 1000, "`number` of pumps")
			fs.IntVar(&o.Viewers, "viewers", 100_000, "`number` of viewers")
			fs.IntVar(&o.Rate, "rate", 10_000, "viewers `a second`; 0: as fast as they can")
			fs.IntVar(&o.HTTPPumps, "http-pumps", -1, "`number` of pumps that speak HTTP, the others are in the process; -1: 500 at most")
			fs.Float64Var(&o.HTTPViewers, "http-viewers", 0.1, "`share` of viewers that ask over HTTP, the others call the handler")
			fs.IntVar(&o.Burst, "burst", 1000, "`number` of viewers that come within one second to a pump of 300, at the end")
			fs.DurationVar(&o.Interval, "interval", time.Second, "`time` between two reports of a pump")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 0 {
				return cli.WrongUsage("simulate wants no arguments, only flags, as in: pump-house simulate -pumps 1000 -viewers 1000000")
			}
			if o.HTTPPumps < 0 {
				o.HTTPPumps = min(o.Pumps, 500)
			}
			return runSimulation(p, o)
		},
	}
}

func runSimulation(p *cli.Program, o simulate.Options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.Dir, err = os.MkdirTemp("", "pump-house-simulate-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	o.Progress = p.Err
	r, err := simulate.Run(ctx, o)
	var wrong *simulate.OptionsError
	switch {
	case errors.As(err, &wrong):
		return cli.WrongUsage("%s", wrong.Error())
	case err != nil:
		return err
	}
	if err := r.Write(p.Out); err != nil {
		return err
	}
	for _, f := range r.Failures() {
		err = errors.Join(err, fmt.Errorf("fell short: %s", f))
	}
	return err
}
