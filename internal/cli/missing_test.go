package cli

import (
	"errors"
	"testing"
)

// Whoever names a file that is not there learns whether it was taken for a file or a command.
func TestMissing(t *testing.T) {
	for name, want := range map[string]string{
		"nix":             "nix is neither a file nor a command (stream-pump -h lists the commands)",
		"nix.yaml":        "there is no file nix.yaml (want the path of a configuration, as in /etc/stream-pump.yaml)",
		"/etc/nix":        "there is no file /etc/nix (want the path of a configuration, as in /etc/stream-pump.yaml)",
		"./stream-pump.d": "there is no file ./stream-pump.d (want the path of a configuration, as in /etc/stream-pump.yaml)",
	} {
		err := Missing("stream-pump", name)
		if want = ErrFile.Error() + ": " + want; !errors.Is(err, ErrFile) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
