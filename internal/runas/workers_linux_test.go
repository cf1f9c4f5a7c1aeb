package runas

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/internal/uring"
)

// What the test's own program is told to be, and how it ends.
const (
	workersVariable = "STREAM_PUMP_TEST_WORKERS"
	before, after   = "before", "after"
	noRing          = 77
)

func TestMain(m *testing.M) {
	when, ok := os.LookupEnv(workersVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if err := beDropped(when); err != nil {
		fmt.Println(err)
		if errors.Is(err, errNoRing) {
			os.Exit(noRing)
		}
		os.Exit(1)
	}
}

var errNoRing = errors.New("no io_uring here")

// beDropped is a program with an io_uring, made while it is root as a server's is, whose workers in the kernel are made to
// exist before or after it becomes nobody. It tells how they are.
func beDropped(when string) error {
	if err := Prepare(Want{User: "nobody"}); err != nil {
		return err
	}
	runtime.LockOSThread()
	ring, err := uring.New(8, uring.SubmitAll)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoRing, err)
	}
	defer ring.Close()
	if when == before {
		if err := work(ring); err != nil {
			return err
		}
	}
	a, err := Drop(Want{User: "nobody"})
	if err != nil {
		return err
	}
	if err := work(ring); err != nil {
		return err
	}
	return verify(proc, a, ourselves)
}

// work has the kernel do what it would do at once by its workers, and sees that there are some.
func work(ring *uring.Ring) error {
	const nop, byWorkers = 0, 1 << 4
	for range 8 {
		ring.Put(uring.Entry{Op: nop, Flags: byWorkers})
	}
	if err := ring.Finish(func(uring.Completion) {}); err != nil {
		return err
	}
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		return err
	}
	for _, name := range names {
		if text, _ := os.ReadFile(name); strings.HasPrefix(string(text), "iou-wrk-") {
			return nil
		}
	}
	return fmt.Errorf("%w: the kernel has no workers among %d threads", errNoRing, len(names))
}

// The kernel works for an io_uring on threads of its own, which are the program's and which neither Go nor the C library
// knows. Those that come after the user has changed are that user's, though the ring is older. One that was there before
// stays root's: then the program does not serve.
func TestWorkersOfAnIOUring(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	for when, want := range map[string]string{after: "", before: "the program has not become nobody: a thread has kept user ids"} {
		t.Run("made to exist "+when, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), workersVariable+"="+when)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case errors.As(err, &exit) && exit.ExitCode() == noRing:
				t.Skipf("%s", out)
			case want == "" && err != nil:
				t.Errorf("%v: %s", err, out)
			case want != "" && (err == nil || !strings.Contains(string(out), want)):
				t.Errorf("%v: %s, want %s", err, out, want)
			}
		})
	}
}
