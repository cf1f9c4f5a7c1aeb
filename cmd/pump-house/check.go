package main

import (
	"errors"
	"fmt"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/internal/cli"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Args: "FILE", What: "say what is wrong with a configuration file and its roster, run the roster's expectations, or print what is in force",
		Example: "pump-house check pump-house.yaml",
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants one configuration file, as in: pump-house check pump-house.yaml")
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			n, met, err := house.CheckRoster(cfg)
			if err != nil {
				return rosterError(err)
			}
			if _, err := p.Out.Write(cfg.YAML(true)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Out, "# The roster has %s; %s met.\n", some(n, "pump", "pumps"), some(met, "expectation is", "expectations are"))
			return err
		},
	}
}

// some writes a number of things.
func some(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

// rosterError makes a roster file that cannot be read wrong configuration.
func rosterError(err error) error {
	var problems config.Problems
	if errors.As(err, &problems) {
		return err
	}
	return fmt.Errorf("%w: %w", cli.ErrFile, err)
}
