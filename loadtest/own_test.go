package loadtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nothing given but the number of viewers: a pump is built from this module, and the source is a child process.
func TestOwnPumpAndSource(t *testing.T) {
	if testing.Short() {
		t.Skip("building the pump is left out of short runs")
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pump, err := buildPump(t.Context(), moduleRoot(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		with func(*Options)
	}{
		{"MMSH", func(*Options) {}},
		{"Windows-like", func(o *Options) { o.WMP = true }},
	} {
		o := Options{Clients: 100, Ramp: 0, Duration: 700 * time.Millisecond, Rate: 500_000, Self: []string{"env", asCommand + "=1", self}, PumpYAML: "drain: {timeout: 1s}\n",
			Pump: pump}
		tc.with(&o)
		rep := mustRun(t, o)
		wantVerdict(t, rep, Pass)
		if rep.Server.PID == 0 || rep.Server.RSS == 0 || rep.Source == nil || rep.Source.Published == 0 || rep.Latency.Count == 0 {
			t.Errorf("%s: server %+v, source %+v, latency %+v", tc.name, rep.Server, rep.Source, rep.Latency)
		}
		if err := syscall.Kill(rep.Server.PID, 0); err == nil {
			t.Errorf("%s: the pump still runs", tc.name)
		}
	}
}

// What a pump that cannot start said is in the error.
func TestAPumpThatDoesNotStart(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	script := filepath.Join(t.TempDir(), "stream-pump")
	if err := os.WriteFile(script, []byte("#!"+sh+"\necho 'no licence for this moon phase' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), Options{Clients: 1, Pump: script})
	if err == nil || !strings.Contains(err.Error(), "moon phase") {
		t.Errorf("error %v, want what the pump said", err)
	}
}

// A port that was free a moment ago and is taken when the pump wants it is no failure: there are others.
func TestAPortIsTakenMeanwhile(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	for name, says := range map[string]string{"once": "", "for ever": "still "} {
		tried := filepath.Join(t.TempDir(), "tried")
		script := filepath.Join(t.TempDir(), "stream-pump")
		text := "#!" + sh + "\n[ ! -e " + tried + " ] || { echo '" + says + "no licence' >&2; [ '" + says + "' ] || exit 1; }\n" +
			"touch " + tried + "\necho 'listen tcp 127.0.0.1:1: bind: address already in use' >&2\nexit 1\n"
		if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err = Run(t.Context(), Options{Clients: 1, Pump: script})
		if err == nil || !strings.Contains(err.Error(), says+"no licence") || strings.Contains(err.Error(), "in use") != (says != "") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestModuleRoot(t *testing.T) {
	t.Parallel()
	if root := moduleRoot(); filepath.Base(filepath.Dir(filepath.Join(root, "loadtest", "x"))) != "loadtest" || root == "" {
		t.Errorf("module root %q", root)
	}
}

func TestOnlyTheEndOfWhatAChildSaysIsKept(t *testing.T) {
	var b tail
	for range 100 {
		b.Write(bytes.Repeat([]byte("x"), 1000))
	}
	b.Write([]byte("the end"))
	if s := b.String(); len(s) > tailBytes || !strings.HasSuffix(s, "the end") {
		t.Errorf("%d bytes kept", len(s))
	}
}

func TestLinesOfAChild(t *testing.T) {
	var got []string
	w := &lineWriter{line: func(s string) { got = append(got, s) }}
	for _, part := range []string{"a", "b\nc", "\n\nd"} {
		w.Write([]byte(part))
	}
	if strings.Join(got, "|") != "ab|c|" {
		t.Errorf("lines %q", got)
	}
}
