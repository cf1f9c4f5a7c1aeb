package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/internal/cli"
)

func authorityCommand() *cli.Command {
	dir := "."
	return &cli.Command{
		Name: "authority", Args: "[-dir FOLDER] HOUSE...", What: "make the certificates with which the servers of several houses know each other",
		Example: "pump-house authority -dir certificates house-1.example.org house-2.example.org house-3.example.org",
		Flags:   func(fs *flag.FlagSet) { fs.StringVar(&dir, "dir", dir, "`folder` to write to") },
		Run: func(p *cli.Program, args []string) error {
			if len(args) == 0 {
				return cli.WrongUsage("wants the names or addresses of the houses, as they stand in nats.cluster.routes")
			}
			files, err := house.WriteAuthority(dir, args, time.Now())
			if err != nil {
				return err
			}
			for _, f := range files {
				if _, err := fmt.Fprintln(p.Out, f); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
