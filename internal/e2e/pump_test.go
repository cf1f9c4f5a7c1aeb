package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// PumpProc is a running stream-pump, built with the race detector.
type PumpProc struct {
	Port, AdminPort int
	Config          string // path of its configuration file

	env     []string                  // beyond the test's own environment
	wrap    func(*exec.Cmd) *exec.Cmd // how the program is run otherwise than by itself, nil
	proc    *process
	stopped bool
}

// buildPump builds the program once per test run.
var buildPump = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(scratch, "stream-pump")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-o", binary, "../../cmd/stream-pump")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building stream-pump: %w\n%s", err, out)
	}
	return binary, nil
})

// Pump runs stream-pump with the configuration on free loopback ports and waits until it is ready. The
// configuration leaves out listen and admin; they are put in front of it. env are further NAME=value. At the end of the test the
// pump is asked to end, and has to do that with status 0 and without a word from the race detector.
func Pump(t *testing.T, config string, env ...string) *PumpProc {
	t.Helper()
	return pumpBy(t, config, nil, env...)
}

// pumpBy is Pump run in another way than by itself: wrap gets the command and gives the one to start.
func pumpBy(t *testing.T, config string, wrap func(*exec.Cmd) *exec.Cmd, env ...string) *PumpProc {
	t.Helper()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	p := &PumpProc{Port: freePort(t), AdminPort: freePort(t), env: env, wrap: wrap, stopped: true}
	p.Config = filepath.Join(t.TempDir(), "pump.yml")
	p.Rewrite(t, config)

	p.launch(t, binary)
	return p
}

// launch runs the binary with the configuration and waits until it is ready.
func (p *PumpProc) launch(t *testing.T, binary string) {
	t.Helper()
	cmd := exec.Command(binary, "run", p.Config)
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66")
	cmd.Env = append(cmd.Env, p.env...)
	if p.wrap != nil {
		cmd = p.wrap(cmd)
	}
	p.proc, p.stopped = start(t, "stream-pump", cmd), false
	t.Cleanup(func() { p.Stop(t) })
	eventually(t, 20*time.Second, "the pump is ready", func() bool {
		select {
		case <-p.proc.done:
			t.Fatalf("stream-pump ended: %v", p.proc.err)
		default:
		}
		return p.get(t, "/readyz", nil) == http.StatusOK
	})
}

// Kill ends the pump without warning, as kill -9 or a power cut does. Restart brings it back.
func (p *PumpProc) Kill() {
	p.stopped = true
	p.proc.kill()
}

// Restart runs a killed pump again, at the same ports and with the same configuration.
func (p *PumpProc) Restart(t *testing.T) {
	t.Helper()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	p.launch(t, binary)
}

// Rewrite replaces the configuration file; the pump reads it after Reload.
func (p *PumpProc) Rewrite(t *testing.T, config string) {
	t.Helper()
	text := fmt.Sprintf("listen: [127.0.0.1:%d]\nadmin: {listen: 127.0.0.1:%d}\n%s\n", p.Port, p.AdminPort, config)
	if err := os.WriteFile(p.Config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Reload sends SIGHUP. What it changes has to be waited for with WaitState or eventually.
func (p *PumpProc) Reload(t *testing.T) {
	t.Helper()
	if err := p.proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the pump with SIGTERM and judges how it ended. Later calls do nothing.
func (p *PumpProc) Stop(t *testing.T) {
	t.Helper()
	if p.stopped {
		return
	}
	p.stopped = true
	if !p.proc.stop(syscall.SIGTERM, 30*time.Second) {
		t.Error("stream-pump does not end after SIGTERM")
	}
	if p.proc.err != nil {
		t.Errorf("stream-pump: %v", p.proc.err)
	}
	p.checkRaces(t)
}

func (p *PumpProc) checkRaces(t *testing.T) {
	t.Helper()
	if races := p.proc.said(func(s string) bool { return strings.Contains(s, "DATA RACE") }); len(races) > 0 {
		t.Errorf("stream-pump: the race detector found %d races", len(races))
	}
}

// MMSH, HTTP and PushURL are the addresses of a stream for viewers, for plain requests (add ".asf" or ".asx"
// to the path) and for encoders.
func (p *PumpProc) MMSH(path string) string {
	return fmt.Sprintf("mmsh://127.0.0.1:%d/streams/%s", p.Port, path)
}
func (p *PumpProc) HTTP(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/streams/%s", p.Port, path)
}
func (p *PumpProc) PushURL(path string) string { return p.HTTP(path) + "_push" }

// StreamInfo is what the tests read of a stream in the API.
type StreamInfo struct {
	Path, Type, State string
	Viewers           int
	Uptime            float64 `json:"uptime_s"`
	PacketsIn         uint64  `json:"packets_in"`
	BytesOut          uint64  `json:"bytes_out"`
}

// Stream asks the API about a stream; ok is false when there is none.
func (p *PumpProc) Stream(t *testing.T, path string) (info StreamInfo, ok bool) {
	t.Helper()
	return info, p.get(t, "/api/v1/streams/"+path, &info) == http.StatusOK
}

// WaitState waits until the stream is in the state: "live", "offline" and so on.
func (p *PumpProc) WaitState(t *testing.T, path, state string, limit time.Duration) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("stream %s is %s", path, state), func() bool {
		info, ok := p.Stream(t, path)
		return ok && info.State == state
	})
}

// get asks the admin port and gives the status, 0 when there is no answer.
func (p *PumpProc) get(t *testing.T, path string, into any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), slack*5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", p.AdminPort, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if into != nil && resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	return resp.StatusCode
}

// PumpPush pushes the file with "stream-pump push" until it is killed, the file ends or the test does. With loop
// the file never ends.
func PumpPush(t *testing.T, file, url string, loop bool) *process {
	t.Helper()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"push", file, url}
	if loop {
		args = []string{"push", "-loop", file, url}
	}
	return start(t, "stream-pump push", exec.Command(binary, args...))
}

// handedOverTo finds in a line of the log which process has taken over, 0 when it does not say so.
func handedOverTo(text string) (pid int) {
	var entry struct{ PID int }
	if json.Unmarshal([]byte(text), &entry) != nil {
		return 0
	}
	return entry.PID
}
