package server

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run when a goroutine is left behind. A copy of the test binary that
// a test has started as a child does the child's work instead.
func TestMain(m *testing.M) {
	if os.Getenv(fewFilesEnv) != "" {
		os.Exit(fewFilesChild())
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // gnet's packages start a pool of their own
}
