package pump

import (
	"errors"
	"testing"
)

// Descriptors are kept for what is no connection; what is configured counts where it is less.
func TestConnectionsByOpenFiles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files openFiles
		keys  string
		want  int
	}{
		{"what is left", openFiles{most: 20_000}, "", 20_000 - keptFiles - keptFilesForStream},
		{"less is configured", openFiles{most: 20_000}, "limits: {connections: 500}\n", 500},
		{"more is configured than there is", openFiles{most: 1024}, "limits: {connections: 5000}\n", 1024 - keptFiles - keptFilesForStream},
		{"few", openFiles{most: 128}, "", 64},
		{"not known", openFiles{err: errors.New("no")}, "", 0},
		{"not known, configured", openFiles{err: errors.New("no")}, "limits: {connections: 500}\n", 500},
		{"no limit at all", openFiles{most: 1 << 63}, "", 1<<30 - keptFiles - keptFilesForStream},
	} {
		p := &Pump{files: tc.files}
		if got := p.bounds(parse(t, local+tc.keys+card)).Connections; got != tc.want {
			t.Errorf("%s: %d connections, want %d", tc.name, got, tc.want)
		}
	}
}

// Half of all connections may be unfinished heads of one address, and so many that a house full
// of viewers can come at once, unless the configuration says a number.
func TestUnfinishedHeadsByConnections(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files openFiles
		keys  string
		want  int
	}{
		{"half of what open files allow", openFiles{most: 20_000}, "", (20_000 - keptFiles - keptFilesForStream) / 2},
		{"half of what is configured", openFiles{most: 20_000}, "limits: {connections: 5000}\n", 2500},
		{"few connections", openFiles{most: 20_000}, "limits: {connections: 120}\n", leastHeads},
		{"a number", openFiles{most: 20_000}, "limits: {unfinished_heads_per_address: 7}\n", 7},
		{"it is not known how many files may be open", openFiles{err: errors.New("no")}, "", 0},
	} {
		p := &Pump{files: tc.files}
		if got := p.bounds(parse(t, local+tc.keys+card)).HeadsPerAddress; got != tc.want {
			t.Errorf("%s: %d unfinished heads of an address, want %d", tc.name, got, tc.want)
		}
	}
}
