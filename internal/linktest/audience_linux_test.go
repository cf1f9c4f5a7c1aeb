package linktest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// audience is a running loadtest: viewers of one stream.
type audience struct {
	proc *process
	file string
}

// verdict is what the tests read of the report of loadtest. Times are in ms.
type verdict struct {
	Verdict string
	Reasons []string
	Clients struct {
		Connected, Failed int
		AliveAtEnd        int `json:"alive_at_end"`
	}
	Duration float64 `json:"duration_s"`
	Mbit     float64 `json:"mbit_per_s"`
	Delivery struct{ Min, P50 float64 }
	Latency  struct{ P50, P99, Max float64 } `json:"latency_ms"`
	Join     struct{ P50, P99, Max float64 } `json:"join_ms"`
	Failures map[string]int
	Gaps     struct {
		Clients int
		Packets uint64
	}
	Protocol uint64 `json:"protocol_errors"`
	Ended    uint64
	Rejoined uint64 `json:"reconnects"`
	Stalls   struct {
		Clients int
		Longest float64 `json:"longest_ms"`
	}
	Errors []any
}

// watch brings viewers to the stream at the pump in the same namespace; once they are there they stay for as long as
// that.
func watch(t *testing.T, in namespace, path string, viewers int, stay time.Duration) *audience {
	t.Helper()
	a := &audience{file: filepath.Join(scratch, fmt.Sprintf("report-%d.json", time.Now().UnixNano()))}
	a.proc = start(t, in, "loadtest", "-quiet", "-json", a.file, "-clients", fmt.Sprint(viewers), "-ramp", "200",
		"-duration", stay.String(), "-url", fmt.Sprintf("mmsh://127.0.0.1:%d/streams/%s", port, path))
	return a
}

// leave ends the run early. What was on its way at that moment counts as missing.
func (a *audience) leave(t *testing.T) verdict {
	t.Helper()
	a.proc.ask(t, syscall.SIGINT, 15*time.Second)
	return a.report(t)
}

// finish waits for the end of the run.
func (a *audience) finish(t *testing.T, limit time.Duration) verdict {
	t.Helper()
	a.proc.await(t, limit)
	return a.report(t)
}

func (a *audience) report(t *testing.T) (v verdict) {
	t.Helper()
	text, err := os.ReadFile(a.file)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatalf("report of loadtest: %v", err)
	}
	return v
}
