package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/internal/disk"
	"github.com/stream-pump/stream-pump/pump/tool"
)

// errRefused is the outcome of a diff whose reload would change nothing.
var errRefused = errors.New("a reload would be refused")

func diffCommand() *cli.Command {
	var admin string
	var asJSON bool
	return &cli.Command{
		Name: "diff", Args: "[-admin HOST:PORT] FILE | OLD NEW", What: "tell what a reload would change, and whom it would disturb",
		Example: "stream-pump diff /etc/stream-pump.yaml\n  stream-pump diff stream-pump.yaml.orig stream-pump.yaml",
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&admin, "admin", "", "`address` of the running pump's admin port (default: admin.listen of FILE)")
			fs.BoolVar(&asJSON, "json", false, "print JSON")
		},
		Run: func(p *cli.Program, args []string) error {
			var r tool.DiffReport
			var err error
			switch {
			case len(args) == 1:
				r, err = askDiff(args[0], admin)
			case len(args) == 2 && admin == "":
				r, err = diffFiles(args[0], args[1])
			case len(args) == 2:
				return cli.WrongUsage("-admin is for one file, which is compared with what a running pump has")
			default:
				return cli.WrongUsage("wants the new file, as in: stream-pump diff stream-pump.yaml; or, without a running pump, the old and the new one")
			}
			if err == nil && r.Refused() {
				err = errRefused
			}
			return report(p, r, asJSON, err == nil || errors.Is(err, errRefused), func() error { return r.WriteText(p.Out) }, err)
		},
	}
}

func diffFiles(old, new string) (tool.DiffReport, error) {
	a, errA := loadFile(old)
	b, errB := loadFile(new)
	if err := joinProblems(errA, errB); err != nil {
		return tool.DiffReport{}, err
	}
	return tool.Diff(a, b), nil
}

// joinProblems keeps the problems of two files one list, so that they are told alike.
func joinProblems(a, b error) error {
	var first, second config.Problems
	if errors.As(a, &first) && errors.As(b, &second) {
		return append(first, second...)
	}
	return errors.Join(a, b)
}

// askDiff asks the running pump. The file is looked at here first, since what is wrong
// with it does not depend on a pump; whether the files that it names are there does.
func askDiff(file, admin string) (tool.DiffReport, error) {
	text, err := disk.Read(file, config.MaxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return tool.DiffReport{}, fmt.Errorf("%w: there is no %s", cli.ErrFile, file)
	}
	if err != nil {
		return tool.DiffReport{}, fmt.Errorf("%w: %w", cli.ErrFile, err)
	}
	cfg, err := config.Parse(file, text, os.Environ())
	if err != nil {
		return tool.DiffReport{}, err
	}
	if admin == "" {
		admin = cfg.Admin.Listen
	}
	if admin == "" {
		return tool.DiffReport{}, cli.WrongUsage("%s turns the admin port off; name the pump's with -admin, or compare two files: stream-pump diff OLD NEW", file)
	}
	r, err := tool.AskDiff(context.Background(), admin, filepath.Base(file), text)
	if errors.Is(err, tool.ErrNoPump) {
		return r, fmt.Errorf("%w (is it running? -admin names another port; without a pump compare two files: stream-pump diff OLD %s)", err, filepath.Base(file))
	}
	return r, err
}
