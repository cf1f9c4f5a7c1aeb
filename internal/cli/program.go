package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Exit statuses.
const (
	ExitFine   = 0
	ExitFailed = 1 // while running
	ExitUsage  = 2 // wrong usage or wrong configuration
)

// ErrFile says that a file of the configuration cannot be read: wrap it to end with
// [ExitUsage].
var ErrFile = errors.New("configuration file")

// Program is one run of a program with several commands.
type Program struct {
	Name     string
	What     string // one line
	Try      string // an example to paste
	Commands []*Command
	Default  *Command // for arguments that name no command; nil: that is wrong usage
	Out, Err io.Writer
	Log      telemetry.LogOptions // of the flags

	Version, Commit string // of the linker; empty: of the build

	command *Command
}

// Command is one thing that a program can do.
type Command struct {
	Name    string
	Args    string // in the usage line
	What    string
	Example string
	Flags   func(*flag.FlagSet)
	Run     func(*Program, []string) error
}

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// WrongUsage makes an error whose text says what would be right.
func WrongUsage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// Exit runs the command that the arguments of the process name, and ends the process. A crash
// ends by a signal and not with status 2, as Go has it otherwise: whoever starts the program
// again must not take it for a wrong configuration.
func (p *Program) Exit() {
	debug.SetTraceback("crash")
	os.Exit(p.Main(os.Args[1:]))
}

// Main runs the command that the arguments name and returns the exit status.
func (p *Program) Main(args []string) int {
	err := p.dispatch(args)
	var usage *usageError
	var problems config.Problems
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitFine
	case errors.As(err, &usage):
		name := p.Name
		if p.command != nil {
			name += " " + p.command.Name
		}
		fmt.Fprintf(p.Err, "%s: %s\nFor help: %s -h\n", name, usage.text, name)
		return ExitUsage
	case errors.As(err, &problems):
		fmt.Fprintln(p.Err, problems)
		return ExitUsage
	case errors.Is(err, ErrFile):
		fmt.Fprintf(p.Err, "%s: %v\n", p.Name, err)
		return ExitUsage
	}
	fmt.Fprintf(p.Err, "%s: %v\n", p.Name, telemetry.RedactError(err))
	return ExitFailed
}

func (p *Program) dispatch(args []string) error {
	global := p.flagSet(p.Name)
	p.logFlags(global)
	if err := p.parse(global, args, p.usage); err != nil {
		return err
	}
	args = global.Args()
	if len(args) == 0 {
		p.usage(p.Err)
		return WrongUsage("nothing to do")
	}
	for _, c := range p.Commands {
		if c.Name == args[0] {
			return p.perform(c, args[1:])
		}
	}
	if p.Default == nil {
		return WrongUsage("there is no command %q", args[0])
	}
	return p.perform(p.Default, args)
}

func (p *Program) perform(c *Command, args []string) error {
	p.command = c
	fs := p.flagSet(c.Name)
	p.logFlags(fs)
	if c.Flags != nil {
		c.Flags(fs)
	}
	var rest []string
	for len(args) > 0 { // flags may stand behind arguments
		if err := p.parse(fs, args, func(w io.Writer) { p.commandUsage(w, c, fs) }); err != nil {
			return err
		}
		if args = fs.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return c.Run(p, rest)
}

func (p *Program) flagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

func (p *Program) parse(fs *flag.FlagSet, args []string, usage func(io.Writer)) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(p.Out)
		return err
	}
	if err != nil {
		return WrongUsage("%v", err)
	}
	return nil
}

func (p *Program) logFlags(fs *flag.FlagSet) {
	fs.StringVar(&p.Log.Format, "log-format", p.Log.Format, "`format` of the log: auto, text or json")
	fs.StringVar(&p.Log.Level, "log-level", p.Log.Level, "least `level` that is logged: debug, info, warn or error")
}

// Logger makes the log, to w; what the flags leave open, the configuration decides. The
// level is nil where the flag rules it for good.
func (p *Program) Logger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar, error) {
	o := p.Log.Or(telemetry.LogOptions{Format: c.Format, Level: c.Level})
	at, err := telemetry.ParseLevel(o.Level)
	if err != nil {
		return nil, nil, WrongUsage("%v", err)
	}
	level := new(slog.LevelVar)
	level.Set(at)
	log, err := telemetry.NewLogger(w, o.Format, level)
	if err != nil {
		return nil, nil, WrongUsage("%v", err)
	}
	if p.Log.Level != "" {
		return log, nil, nil
	}
	return log, level, nil
}

func (p *Program) usage(w io.Writer) {
	fmt.Fprintf(w, "%s\n\nUsage:\n\n", p.What)
	for _, c := range p.Commands {
		fmt.Fprintf(w, "  %-46s %s\n", words(p.Name, c.Name, c.Args), c.What)
	}
	if p.Default != nil {
		fmt.Fprintf(w, "  %-46s %s\n", p.Name+" FILE", "the same as "+p.Default.Name+" FILE")
	}
	fmt.Fprintf(w, `
%s

Every command tells more with -h. Logs go to standard error: -log-format auto|text|json,
-log-level debug|info|warn|error. Exit status: 0 fine, 1 failed while running, 2 wrong
usage or wrong configuration.
`, p.Try)
}

func (p *Program) commandUsage(w io.Writer, c *Command, fs *flag.FlagSet) {
	fmt.Fprintf(w, "%s: %s\n\nUsage:\n\n  %s\n\nExample:\n\n  %s\n\nFlags:\n\n",
		c.Name, c.What, words(p.Name, c.Name, c.Args), c.Example)
	fs.SetOutput(w)
	fs.PrintDefaults()
}

// words puts blanks between words that are there.
func words(list ...string) string {
	s := ""
	for _, w := range list {
		if w == "" {
			continue
		}
		if s != "" {
			s += " "
		}
		s += w
	}
	return s
}

// VersionCommand prints version, commit and Go version.
func VersionCommand(name string) *Command {
	return &Command{
		Name: "version", What: "print version, commit and Go version", Example: name + " version",
		Run: func(p *Program, args []string) error {
			if len(args) > 0 {
				return WrongUsage("takes no arguments")
			}
			v, c := p.VersionInfo()
			fmt.Fprintf(p.Out, "%s %s (commit %s, %s, %s/%s)\n", p.Name, v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// VersionInfo returns what the linker was told, or else what the build recorded.
func (p *Program) VersionInfo() (version, commit string) {
	version, commit = p.Version, p.Commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if version == "" {
		version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && commit == "" {
			commit = s.Value
		}
	}
	if version == "" || version == "(devel)" {
		version = "dev"
	}
	if commit == "" {
		commit = "unknown"
	}
	return version, commit
}
