package linktest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// scratch is one folder for the whole run: binaries, configurations, reports.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "stream-pump-linktest-"); err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the test run:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
