package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/pump/tool"
)

// loadFlags are the flags that describe an audience.
type loadFlags struct {
	viewers, streams int
	bitrate          string
	json             bool
}

func (l *loadFlags) register(fs *flag.FlagSet) {
	fs.IntVar(&l.viewers, "viewers", 1000, "viewers at once, of all streams together")
	fs.StringVar(&l.bitrate, "bitrate", "1M", "bit/s of each stream, such as 300k or 1.5M")
	fs.IntVar(&l.streams, "streams", 1, "streams at once")
	fs.BoolVar(&l.json, "json", false, "print JSON")
}

func (l *loadFlags) plan(args []string) (tool.Plan, error) {
	rate, err := config.ParseBandwidth(l.bitrate)
	switch {
	case len(args) > 0:
		return tool.Plan{}, cli.WrongUsage("takes no arguments, only flags")
	case err != nil:
		return tool.Plan{}, cli.WrongUsage("-bitrate: %v", err)
	case rate <= 0 || l.viewers <= 0 || l.streams <= 0:
		return tool.Plan{}, cli.WrongUsage("-viewers, -streams and -bitrate must be above 0")
	}
	return tool.MakePlan(tool.Load{Viewers: l.viewers, Bitrate: int64(rate), Streams: l.streams}), nil
}

// print writes what is to be said as text or JSON.
func (l *loadFlags) print(p *cli.Program, v fmt.Stringer) error {
	if !l.json {
		_, err := fmt.Fprint(p.Out, v)
		return err
	}
	e := json.NewEncoder(p.Out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func planCommand() *cli.Command {
	var l loadFlags
	return &cli.Command{
		Name: "plan", Args: "[-viewers N] [-bitrate BPS]", What: "tell what a machine needs for an audience",
		Example: "stream-pump plan -viewers 5000 -bitrate 1M",
		Flags:   l.register,
		Run: func(p *cli.Program, args []string) error {
			plan, err := l.plan(args)
			if err != nil {
				return err
			}
			return l.print(p, plan)
		},
	}
}

func doctorCommand() *cli.Command {
	var l loadFlags
	return &cli.Command{
		Name: "doctor", Args: "[-viewers N] [-bitrate BPS]", What: "check this machine against a plan",
		Example: "stream-pump doctor -viewers 5000 -bitrate 1M",
		Flags:   l.register,
		Run: func(p *cli.Program, args []string) error {
			plan, err := l.plan(args)
			if err != nil {
				return err
			}
			checkup := tool.Examine(plan, "/proc")
			if err := l.print(p, checkup); err != nil {
				return err
			}
			if !checkup.Healthy() {
				return errors.New("this machine does not fit the plan")
			}
			return nil
		},
	}
}
