package linktest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
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
	dismiss, err := guard(scratch, near, far)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the guard:", err)
		_ = os.RemoveAll(scratch)
		return 1
	}
	defer dismiss()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// guard starts a process that clears up when its stdin is closed: when it is dismissed, or when this process dies,
// whatever the reason.
func guard(folder string, names ...namespace) (dismiss func(), err error) {
	args := []string{"-c", `cat >/dev/null; rm -rf -- "$1"; shift; for name; do ip netns del "$name"; done`, "guard", folder}
	for _, n := range names {
		args = append(args, string(n))
	}
	cmd := exec.Command("sh", args...)
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
