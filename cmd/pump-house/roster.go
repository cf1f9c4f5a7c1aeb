package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/internal/disk"
)

func rosterCommand() *cli.Command {
	file := usualFile
	return &cli.Command{
		Name: "roster", Args: "import ROSTER | export", What: "put a roster file in force, or print the roster that is",
		Example: "pump-house roster import pumps.json\n  pump-house roster export > pumps.json",
		Flags:   func(fs *flag.FlagSet) { configFlag(fs, &file) },
		Run: func(p *cli.Program, args []string) error {
			switch {
			case len(args) == 2 && args[0] == "import":
				return withDesk(p, file, func(ctx context.Context, d house.Desk) error { return importRoster(ctx, p, d, args[1]) })
			case len(args) == 1 && args[0] == "export":
				return withDesk(p, file, func(ctx context.Context, d house.Desk) error {
					text, err := d.Export(ctx)
					if err != nil {
						return err
					}
					_, err = p.Out.Write(text)
					return err
				})
			}
			return cli.WrongUsage("wants import and a file, or export")
		},
	}
}

func configFlag(fs *flag.FlagSet, file *string) {
	fs.StringVar(file, "config", *file, "configuration `file` of the house")
}

func importRoster(ctx context.Context, p *cli.Program, d house.Desk, name string) error {
	text, err := readRoster(name)
	if err != nil {
		return err
	}
	if err := d.Import(ctx, name, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%s is in force.\n", name)
	return err
}

func readRoster(name string) ([]byte, error) {
	text, err := disk.Read(name, config.MaxRosterBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cli.ErrFile, err)
	}
	return text, nil
}

// withDesk opens the house of a configuration, running or not.
func withDesk(p *cli.Program, file string, do func(context.Context, house.Desk) error) error {
	cfg, err := loadFile(file)
	if err != nil {
		return err
	}
	quiet := config.Log{Format: cfg.Log.Format, Level: "warn"}
	log, _, err := p.Logger(p.Err, quiet)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	d, err := house.OpenDesk(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer d.Close()
	err = do(ctx, d)
	if err != nil {
		log.Debug("not done", slog.Any("error", err))
	}
	return err
}

func inviteCommand() *cli.Command {
	file, id, valid := usualFile, "", time.Duration(0)
	return &cli.Command{
		Name: "invite", Args: "-id PUMP [-valid 24h]", What: "print an invite with which one new pump joins, once",
		Example: "pump-house invite -id calgary",
		Flags: func(fs *flag.FlagSet) {
			configFlag(fs, &file)
			fs.StringVar(&id, "id", "", "`id` of the pump, which the roster has to have")
			fs.DurationVar(&valid, "valid", 0, "how long it is good; default: certificates.invites of the configuration")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) > 0 || id == "" {
				return cli.WrongUsage("wants an id, as in: pump-house invite -id calgary")
			}
			if valid < 0 {
				return cli.WrongUsage("-valid %v is not above zero", valid)
			}
			return withDesk(p, file, func(ctx context.Context, d house.Desk) error {
				a, err := d.Invite(ctx, id, valid)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.Out, a.Invite)
				return errors.Join(err, tell(p, id, a.Expires))
			})
		},
	}
}

// tell says to a person what to do with the invite; a script reads the first line.
func tell(p *cli.Program, id string, until time.Time) error {
	_, err := fmt.Fprintf(p.Err, "Good once, until %s. In the configuration of the pump:\n\n  house: {url: https://THIS-HOUSE:8091, id: %s, invite: THE-LINE-ABOVE}\n", until.Local().Format(time.DateTime), id)
	return err
}
