package telemetry

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// silentRun tells the test below that it is the program to watch.
const silentRun = "STREAM_PUMP_TEST_SILENT"

// Standard error belongs to the log: importing the package prints nothing there,
// whatever the metrics library finds on the host.
func TestImportingPrintsNothing(t *testing.T) {
	if os.Getenv(silentRun) != "" {
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestImportingPrintsNothing$")
	cmd.Env = append(os.Environ(), silentRun+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr.String())
	}
}
