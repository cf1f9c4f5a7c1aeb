package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/pump/tool"
)

func pushCommand() *cli.Command {
	var o tool.PushOptions
	var asJSON bool
	return &cli.Command{
		Name: "push", Args: "[-loop] FILE.asf URL", What: "be an encoder: push an ASF file in real time",
		Example: "stream-pump push -loop film.asf http://localhost:8086/streams/studio_push",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.Loop, "loop", false, "play the file for ever")
			fs.BoolVar(&o.Retry, "retry", false, "connect again when the server is lost")
			fs.BoolVar(&o.Insecure, "insecure", false, "accept any certificate of an https server")
			fs.BoolVar(&asJSON, "json", false, "print the summary as JSON")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 2 {
				return cli.WrongUsage("wants a file and an address, as in: stream-pump push film.asf http://HOST:8086/streams/PATH_push")
			}
			o.File, o.URL = args[0], args[1]
			log, _, err := p.Logger(p.Err, config.Log{})
			if err != nil {
				return err
			}
			o.Log = log
			live := isTerminal(p.Err)
			if live {
				o.Progress = func(r tool.PushReport) { fmt.Fprintf(p.Err, "\r%v\x1b[K", r) }
			}
			ctx, stop := notifyEnd(context.Background())
			defer stop()
			r, err := tool.Push(ctx, o)
			if live {
				fmt.Fprint(p.Err, "\r\x1b[K")
			}
			return report(p, r, asJSON, r.Packets > 0, func() error {
				_, err := fmt.Fprintf(p.Out, "%s to %s: %v\n", r.File, r.URL, r)
				return err
			}, err)
		},
	}
}

func probeCommand() *cli.Command {
	o := tool.ProbeOptions{Duration: 5 * time.Second}
	var asJSON bool
	return &cli.Command{
		Name: "probe", Args: "[-json] [-duration 5s] URL", What: "describe a live MMSH stream",
		Example: "stream-pump probe -duration 10s mmsh://localhost:8086/streams/demo",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&asJSON, "json", false, "print the report as JSON")
			fs.DurationVar(&o.Duration, "duration", o.Duration, "how long to watch")
			fs.BoolVar(&o.Insecure, "insecure", false, "accept any certificate of an https server")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants one address, as in: stream-pump probe mmsh://HOST:8086/streams/PATH")
			}
			if o.Duration <= 0 {
				return cli.WrongUsage("-duration %v is not above zero", o.Duration)
			}
			o.URL = args[0]
			ctx, stop := notifyEnd(context.Background())
			defer stop()
			r, err := tool.Probe(ctx, o)
			return report(p, r, asJSON, err == nil, func() error { return r.WriteText(p.Out) }, err)
		},
	}
}

// report prints what a tool has found, if it is worth printing, and passes its error on.
func report(p *cli.Program, r any, asJSON, worth bool, text func() error, err error) error {
	if errors.Is(err, tool.ErrAddress) {
		return cli.WrongUsage("%v", err)
	}
	if !worth {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(p.Out)
		enc.SetIndent("", "  ")
		return errors.Join(err, enc.Encode(r))
	}
	return errors.Join(err, text())
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
