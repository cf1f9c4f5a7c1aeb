// Command stream-pump reflects live MMSH streams: one encoder in, thousands of viewers
// out. See stream-pump -h.
package main

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
	"github.com/stream-pump/stream-pump/pump"
)

// Exit statuses.
const (
	exitFine   = 0
	exitFailed = 1 // while running
	exitUsage  = 2 // wrong usage or wrong configuration
)

// Set by the linker.
var (
	version = ""
	commit  = ""
)

func main() {
	// A crash ends by a signal and not with status 2, as Go has it otherwise: whoever starts
	// the program again must not take it for a wrong configuration.
	debug.SetTraceback("crash")
	os.Exit((&program{out: os.Stdout, err: os.Stderr}).main(os.Args[1:]))
}

// program is one run of the command, with its outputs.
type program struct {
	out, err io.Writer
	log      pump.LogOptions
	command  *command
}

// command is one thing the program can do.
type command struct {
	name    string
	args    string // in the usage line
	what    string
	example string
	flags   func(*flag.FlagSet)
	run     func(*program, []string) error
}

// usageError is wrong usage; its text says what would be right.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func wrongUsage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// main runs the command that the arguments name and returns the exit status.
func (p *program) main(args []string) int {
	err := p.dispatch(args)
	var usage *usageError
	var problems config.Problems
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitFine
	case errors.As(err, &usage):
		name := "stream-pump"
		if p.command != nil {
			name += " " + p.command.name
		}
		fmt.Fprintf(p.err, "%s: %s\nFor help: %s -h\n", name, usage.text, name)
		return exitUsage
	case errors.As(err, &problems):
		fmt.Fprintln(p.err, problems)
		return exitUsage
	case errors.Is(err, errFile):
		fmt.Fprintf(p.err, "stream-pump: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(p.err, "stream-pump: %v\n", pump.Redact(err))
	return exitFailed
}

func (p *program) dispatch(args []string) error {
	global := p.flagSet("stream-pump")
	p.logFlags(global)
	if err := p.parse(global, args, p.usage); err != nil {
		return err
	}
	args = global.Args()
	if len(args) == 0 {
		p.usage(p.err)
		return wrongUsage("nothing to do")
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return p.perform(c, args[1:])
		}
	}
	return p.perform(runCommand(), args) // a file alone
}

func (p *program) perform(c *command, args []string) error {
	p.command = c
	fs := p.flagSet(c.name)
	p.logFlags(fs)
	if c.flags != nil {
		c.flags(fs)
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
	return c.run(p, rest)
}

func (p *program) flagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

func (p *program) parse(fs *flag.FlagSet, args []string, usage func(io.Writer)) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(p.out)
		return err
	}
	if err != nil {
		return wrongUsage("%v", err)
	}
	return nil
}

func (p *program) logFlags(fs *flag.FlagSet) {
	fs.StringVar(&p.log.Format, "log-format", p.log.Format, "`format` of the log: auto, text or json")
	fs.StringVar(&p.log.Level, "log-level", p.log.Level, "least `level` that is logged: debug, info, warn or error")
}

// logger makes the log, to w; what the flags leave open, the configuration decides.
func (p *program) logger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar, error) {
	log, level, err := pump.NewLogger(w, p.log, pump.LogOptions{Format: c.Format, Level: c.Level})
	if err != nil {
		return nil, nil, wrongUsage("%v", err)
	}
	if p.log.Level != "" {
		return log, nil, nil // a reload does not overrule the flag
	}
	return log, level, nil
}

func versionCommand() *command {
	return &command{
		name: "version", what: "print version, commit and Go version", example: "stream-pump version",
		run: func(p *program, args []string) error {
			if len(args) > 0 {
				return wrongUsage("takes no arguments")
			}
			v, c := versionInfo()
			fmt.Fprintf(p.out, "stream-pump %s (commit %s, %s, %s/%s)\n", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// versionInfo returns what the linker was told, or else what the build recorded.
func versionInfo() (v, c string) {
	v, c = version, commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if v == "" {
		v = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && c == "" {
			c = s.Value
		}
	}
	if v == "" || v == "(devel)" {
		v = "dev"
	}
	if c == "" {
		c = "unknown"
	}
	return v, c
}
