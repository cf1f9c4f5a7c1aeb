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
