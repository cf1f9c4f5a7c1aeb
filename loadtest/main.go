package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"
)

// Build is what the linker knows of a program.
type Build struct{ Version, Commit string }

// Exit statuses.
const (
	exitPassed = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the command: args without the program's name. It returns the exit status. SIGINT and SIGTERM end a run early,
// with its report; a second one ends it at once.
func Main(args []string, stdout, stderr io.Writer, build Build) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if len(args) > 0 {
		switch args[0] {
		case "version", "-version", "--version":
			fmt.Fprintln(stdout, build.String())
			return exitPassed
		case "push":
			return mainPush(ctx, args[1:], stdout, stderr)
		case "help":
			args = []string{"-h"}
		}
	}
	return mainRun(ctx, args, stdout, stderr)
}

// String is version, commit and Go version in a line.
func (b Build) String() string {
	if b.Version == "" {
		b.Version = "dev"
	}
	if info, ok := debug.ReadBuildInfo(); ok && b.Commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return fmt.Sprintf("loadtest %s commit %s %s", b.Version, b.Commit, runtime.Version())
}

// usageError prints what is wrong with a command line; asking for help is not.
func usageError(err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return exitPassed
	}
	if wrong := (wrongFile{}); errors.As(err, &wrong) {
		fmt.Fprintln(stderr, wrong)
		return exitUsage
	}
	fmt.Fprintf(stderr, "loadtest: %v\nloadtest -h tells how to use it\n", err)
	return exitUsage
}

func mainRun(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parseRun(args, stdout)
	if err != nil {
		return usageError(err, stderr)
	}
	if s.o.Log, err = s.log.Logger(stderr); err != nil {
		return usageError(err, stderr)
	}
	if self, err := os.Executable(); err == nil {
		s.o.Self = []string{self}
	}
	if !s.quiet {
		s.o.Progress = stderr
		if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			s.o.LiveLine = true
			s.o.LineWidth, _, _ = term.GetSize(int(f.Fd()))
		}
	}
	rep, err := Run(ctx, s.o)
	if err != nil {
		fmt.Fprintln(stderr, "loadtest:", err)
		return exitFailed
	}
	if err := s.write(rep, stdout); err != nil {
		fmt.Fprintln(stderr, "loadtest: writing the report:", err)
		return exitFailed
	}
	if rep.Verdict != Pass {
		return exitFailed
	}
	return exitPassed
}

// write puts the report where it was asked for.
func (s *settings) write(rep *Report, stdout io.Writer) error {
	if !s.quiet && s.json != "-" {
		if err := rep.WriteText(stdout); err != nil {
			return err
		}
	}
	if s.json != "" {
		if err := toFile(s.json, stdout, rep.WriteJSON); err != nil {
			return err
		}
	}
	if s.html != "" {
		return toFile(s.html, stdout, rep.WriteHTML)
	}
	return nil
}

// WriteJSON writes the report as JSON.
func (rep *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rep)
}

// toFile writes a file as a whole or not at all.
func toFile(name string, stdout io.Writer, write func(io.Writer) error) error {
	if name == "-" {
		return write(stdout)
	}
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() { // a pipe, /dev/stdout
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".loadtest-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
