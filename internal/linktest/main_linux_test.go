package linktest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/internal/paralleltest"
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
	dismiss, err := guard(scratch)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the guard:", err)
		_ = os.RemoveAll(scratch)
		return 1
	}
	defer dismiss()
	// Each test has a cable of its own, and waits for the clock; all of them together take a tenth of a processor.
	if err := paralleltest.Allow(5); err != nil {
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

// guard starts a process that clears up when its stdin is closed: when it is dismissed, or when this process dies,
// whatever the reason.
func guard(folder string) (dismiss func(), err error) {
	const script = `cat >/dev/null; rm -rf -- "$1"; for file in "$2"*; do [ ! -e "$file" ] || ip netns del "${file##*/}"; done`
	cmd := exec.Command("sh", "-c", script, "guard", folder, named(os.Getpid(), "").file())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for the guard
	alive, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	return func() {
		_ = alive.Close()
		_ = cmd.Wait() // no good status: the tests have removed the namespaces themselves
	}, nil
}
