package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/testcard"
)

// The test binary is the program itself when it is called by its name.
func TestMain(m *testing.M) {
	acmetest.Serve()
	testscript.Main(m, map[string]func(){"stream-pump": main})
}

// The command line is specified by the scripts in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exec-status": execStatus},
		Setup: func(e *testscript.Env) error { return os.WriteFile(e.Cd+"/card.asf", testcard.ASF, 0o644) },
	})
}

// execStatus runs a command that has to end with a status other than 0.
func execStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exec-status N command [args]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case err == nil:
		ts.Fatalf("ended with 0, want %d", want)
	case errors.As(err, &exit) && exit.ExitCode() != want:
		ts.Fatalf("ended with %d, want %d", exit.ExitCode(), want)
	case !errors.As(err, &exit):
		ts.Fatalf("%v", err)
	}
}
