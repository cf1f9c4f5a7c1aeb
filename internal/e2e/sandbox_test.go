package e2e

import (
	"os/exec"
	"testing"
)

// What systemd itself says of the units: their exposure is at most 1.5 of 10, of which the network alone, that a server
// needs, is more than half.
func TestUnitsAreSandboxed(t *testing.T) {
	need(t, "systemd-analyze")
	for _, unit := range []string{"stream-pump.service", "pump-house.service"} {
		out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=15", "../../packaging/systemd/"+unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
