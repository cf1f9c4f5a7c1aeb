package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/paralleltest"
)

// scratch is one folder for the whole run: media, the built binary, sockets. Other users may read it,
// because VLC may run as one.
var scratch string

func TestMain(m *testing.M) {
	acmetest.Serve()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "stream-pump-e2e-"); err == nil {
		err = os.Chmod(scratch, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the test run:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()

	// The tests wait for the clock much more than they compute.
	if err := paralleltest.Allow(8); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// need skips the test, or fails it under CI, when one of the programs is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("plays real programs; left out with -short")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed; run scripts/install-test-deps", program)
		}
		t.Skipf("%s is not installed; scripts/install-test-deps installs it", program)
	}
}

// slack is how many times longer than a test says anything may take. The limits in the tests are those of a machine
// that has nothing else to do; on a slow or busy one a test is to take longer, and not to fail.
const slack = 4

// eventually polls until ok holds, and fails the test when it does not within the limit, and its slack.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	limit *= slack
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}
