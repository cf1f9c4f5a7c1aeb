package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"github.com/stream-pump/stream-pump/config"
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
		return tool.Plan{}, wrongUsage("takes no arguments, only flags")
	case err != nil:
		return tool.Plan{}, wrongUsage("-bitrate: %v", err)
	case rate <= 0 || l.viewers <= 0 || l.streams <= 0:
		return tool.Plan{}, wrongUsage("-viewers, -streams and -bitrate must be above 0")
	}
	return tool.MakePlan(tool.Load{Viewers: l.viewers, Bitrate: int64(rate), Streams: l.streams}), nil
}

// print writes what is to be said as text or JSON.
func (l *loadFlags) print(p *program, v fmt.Stringer) error {
	if !l.json {
		_, err := fmt.Fprint(p.out, v)
		return err
	}
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func planCommand() *command {
	var l loadFlags
	return &command{
		name: "plan", args: "[-viewers N] [-bitrate BPS]", what: "tell what a machine needs for an audience",
		example: "stream-pump plan -viewers 5000 -bitrate 1M",
		flags:   l.register,
		run: func(p *program, args []string) error {
			plan, err := l.plan(args)
			if err != nil {
				return err
			}
			return l.print(p, plan)
		},
	}
}

func doctorCommand() *command {
	var l loadFlags
	return &command{
		name: "doctor", args: "[-viewers N] [-bitrate BPS]", what: "check this machine against a plan",
		example: "stream-pump doctor -viewers 5000 -bitrate 1M",
		flags:   l.register,
		run: func(p *program, args []string) error {
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
