package loadtest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asCommand has the test binary be the command, so that a run can start its source as a child.
const asCommand = "LOADTEST_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr, Build{}))
	}
	goleak.VerifyTestMain(m)
}
