package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/internal/cli"
)

// usualFile is the configuration where none is named.
const usualFile = "pump-house.yaml"

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Args: "FILE", What: "run a house with a configuration file",
		Example: "pump-house run /etc/pump-house.yaml",
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants one configuration file, as in: pump-house run pump-house.yaml")
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			load := func() (*config.House, error) { return reloadFile(args[0]) }
			return serve(p, cfg, load)
		},
	}
}

func serve(p *cli.Program, cfg *config.House, load func() (*config.House, error)) error {
	log, level, err := p.Logger(p.Err, cfg.Log)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	version, _ := p.VersionInfo()
	return house.Run(context.Background(), cfg, house.Options{Log: log, Level: level, Version: version, Load: load, Signals: signals, Embed: embed})
}

// loadFile reads a configuration and the roster it names.
func loadFile(name string) (*config.House, error) {
	cfg, err := config.LoadHouse(name, os.Environ())
	var problems config.Problems
	switch {
	case err == nil || errors.As(err, &problems):
		return cfg, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, cli.Missing("pump-house", name)
	}
	return nil, fmt.Errorf("%w: %w", cli.ErrFile, err)
}

// reloadFile is loadFile for a file that was there at the start.
func reloadFile(name string) (*config.House, error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Gone(name)
	}
	return loadFile(name)
}
