package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/pump"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Args: "FILE", What: "serve the streams of a configuration file",
		Example: "stream-pump run /etc/stream-pump.yaml",
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants one configuration file, as in: stream-pump run stream-pump.yaml")
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			load := func() (*config.Config, error) { return reloadFile(args[0]) }
			parse := func(name string, text []byte) (*config.Config, error) { return parseText(args[0], name, text) }
			return serve(p, cfg, pump.Options{Load: load, Parse: parse})
		},
	}
}

func loadFile(name string) (*config.Config, error) {
	cfg, err := config.Load(name, os.Environ())
	var problems config.Problems
	if err == nil || errors.As(err, &problems) {
		return cfg, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Missing("stream-pump", name)
	}
	return nil, fmt.Errorf("%w: %w", cli.ErrFile, err)
}

// reloadFile is loadFile for a file that was there at the start.
func reloadFile(name string) (*config.Config, error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Gone(name)
	}
	return loadFile(name)
}

// parseText makes a configuration of a text that is to take the place of a file: relative
// paths start where that one is. name is that of the new file, for its ending.
func parseText(file, name string, text []byte) (*config.Config, error) {
	if name = filepath.Base(name); name == "." || name == string(filepath.Separator) {
		name = filepath.Base(file)
	}
	return config.LoadText(filepath.Join(filepath.Dir(file), name), text, os.Environ())
}

// demoFile is the configuration of the demo.
const demoFile = `streams:
  - {name: Test card, type: test_card, path: demo}
`

func demoCommand() *cli.Command {
	listen := ":8086"
	return &cli.Command{
		Name: "demo", Args: "[-listen :8086]", What: "serve a live test card: no file, no configuration",
		Example: "stream-pump demo -listen :8086\n  ffplay mmsh://localhost:8086/streams/demo",
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&listen, "listen", listen, "`address` to serve viewers at")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) > 0 {
				return cli.WrongUsage("takes no arguments")
			}
			cfg, err := config.Parse("demo", []byte(demoFile), nil)
			if err != nil {
				return err
			}
			cfg.Listen = []string{listen}
			return serve(p, cfg, pump.Options{AdminOptional: true, Ready: func(running *pump.Pump) { invite(p, running) }})
		},
	}
}

// invite says what to do now.
func invite(p *cli.Program, running *pump.Pump) {
	public := pump.Reachable(running.Addr())
	fmt.Fprintf(p.Out, `
The test card is on the air. Play it with one of these:

  vlc mmsh://%[1]s/streams/demo
  ffplay mmsh://%[1]s/streams/demo
  mpv mmsh://%[1]s/streams/demo

`, public)
	if a := running.AdminAddr(); a != nil {
		fmt.Fprintf(p.Out, "Status page: http://%s/\n", pump.Reachable(a))
	}
	fmt.Fprint(p.Out, "Ctrl-C ends it.\n\n")
}

// lastWords is how long the end waits for standard error to take what was logged.
const lastWords = time.Second

func serve(p *cli.Program, cfg *config.Config, o pump.Options) error {
	spool := pump.NewSpool(p.Err)
	defer spool.Close(lastWords)
	log, level, err := p.Logger(spool, cfg.Log)
	if err != nil {
		return err
	}
	spool.Report(log)
	signals, stop := notifyAll()
	defer stop()
	o.Log, o.Level, o.Signals = log, level, signals
	o.Version, _ = p.VersionInfo()
	return pump.Run(context.Background(), cfg, o)
}

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Args: "FILE", What: "say what is wrong with a configuration file, or print what is in force",
		Example: "stream-pump check stream-pump.yaml",
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants one configuration file, as in: stream-pump check stream-pump.yaml")
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			_, err = p.Out.Write(cfg.YAML(true))
			return err
		},
	}
}
