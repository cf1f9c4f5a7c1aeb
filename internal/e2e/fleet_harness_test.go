package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// built gives a program of this module or of one that it uses, built once per test run, without the race detector: a
// fleet is many processes, and time counts.
func built(t *testing.T, pkg string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	binary := filepath.Join(scratch, "plain-"+filepath.Base(strings.TrimSuffix(pkg, "/v2")))
	if builds.done[pkg] {
		return binary
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	builds.done[pkg] = true
	return binary
}

var builds = struct {
	sync.Mutex
	done map[string]bool
}{done: map[string]bool{}}

// Packages with the programs of a fleet.
const (
	houseProgram = "../../cmd/pump-house"
	natsProgram  = "github.com/nats-io/nats-server/v2"
)

// HouseProc is a running pump-house.
type HouseProc struct {
	Name          string
	Port, SSLPort int
	Dir           string // of its configuration
	proc          *process
	control       *http.Client
}

// newHouse writes the configuration of a house and does not run it.
func newHouse(t *testing.T, name, config string) *HouseProc {
	t.Helper()
	h := &HouseProc{Name: name, Port: freePort(t), SSLPort: freePort(t)}
	var err error
	if h.Dir, err = os.MkdirTemp(scratch, "house"); err != nil { // a socket's name may not be long
		t.Fatal(err)
	}
	h.configure(t, config)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(h.Dir, "data", "control.sock"))
	}
	h.control = &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: slack * 15 * time.Second}
	return h
}

// configure writes the configuration; a house that runs reads it after SIGHUP.
func (h *HouseProc) configure(t *testing.T, config string) {
	t.Helper()
	h.write(t, "house.yaml", fmt.Sprintf("name: %s\nlisten: ['127.0.0.1:%d']\nssl_listen: ['127.0.0.1:%d']\nssl_names: [127.0.0.1]\ndata: data\n%s\n", h.Name, h.Port, h.SSLPort, config))
}

func (h *HouseProc) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start runs the house, or runs it again after it was killed. It does not wait.
func (h *HouseProc) Start(t *testing.T) {
	t.Helper()
	h.proc = start(t, "pump-house "+h.Name, exec.Command(built(t, houseProgram), "run", filepath.Join(h.Dir, "house.yaml")))
}

// WaitReady waits until changes are taken.
func (h *HouseProc) WaitReady(t *testing.T, limit time.Duration) {
	t.Helper()
	eventually(t, limit, h.Name+" is ready", func() bool {
		select {
		case <-h.proc.done:
			t.Fatalf("%s ended: %v", h.Name, h.proc.err)
		default:
		}
		return h.Ready()
	})
}

// Ready tells whether the house takes changes.
func (h *HouseProc) Ready() bool { return status(h.Plain("/readyz")) == http.StatusOK }

// Plain is an address at the house's door without TLS.
func (h *HouseProc) Plain(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", h.Port, path)
}

// Import puts a roster in force, as the command does, and returns nil once that is acknowledged.
func (h *HouseProc) Import(text string) error {
	req, err := http.NewRequest(http.MethodPut, "http://house/roster?name=pumps.json", strings.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := h.control.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		said, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, said)
	}
	return nil
}

// Roster is what the house says is in force; nothing if it does not answer.
func (h *HouseProc) Roster() string {
	resp, err := h.control.Get("http://house/roster")
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

// plainClient keeps no connection, so that nothing is left over.
var plainClient = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true}, Timeout: slack * 5 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// status is that of an answer, 0 when there is none.
func status(address string) int {
	resp, err := plainClient.Get(address)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// keyOf is the key of a pump in the rosters of the tests.
func keyOf(id string) string { return "the key of " + id }
