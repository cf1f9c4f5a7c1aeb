package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	pumpProgram     = "../../cmd/stream-pump"
	loadtestProgram = "../../cmd/loadtest"
)

// Secure is an address at the door with TLS.
func (h *HouseProc) Secure(path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", h.SSLPort, path)
}

// operator is who may steer: the log-in of every house of the tests.
const operatorName, operatorPassword = "operator", "correct horse battery"

// operatorUser is that user in a configuration, with the hash of the password.
const operatorUser = "users: [{name: operator, role: steer, password_hash: '$2a$10$iXKNQq0vIfAjRTC3kdO2Iuv.a1kXSrDm51Ca4gu5fKVQa3zGXzZHK'}]\n"

// CA writes the certificate of the house's own authority to a file.
func (h *HouseProc) CA(t *testing.T) string {
	t.Helper()
	resp, err := plainClient.Get(h.Plain("/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the authority of %s: %s, %v", h.Name, resp.Status, err)
	}
	h.write(t, "ca.pem", string(text))
	return filepath.Join(h.Dir, "ca.pem")
}

// clientFrom is plainClient, but its connections come from a certain address of this machine.
func clientFrom(address string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: slack * 5 * time.Second}
	c := *plainClient
	c.Transport = &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext}
	return &c
}

// fleetPump runs stream-pump as a member of a fleet: it has nothing of its own but its doors, and where the house is.
func fleetPump(t *testing.T, id, house, ca string) *PumpProc {
	t.Helper()
	p := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true}
	p.Config = filepath.Join(t.TempDir(), "pump.yml")
	p.Rewrite(t, fmt.Sprintf("pull: {timeout: 4s}\nhouse: {url: %q, id: %s, key: %q, ca: %q, cache: %q}", house, id, keyOf(id), ca, filepath.Join(filepath.Dir(p.Config), "cache")))
	p.launch(t, built(t, pumpProgram))
	return p
}

// viewers runs loadtest until the returned function is called, which gives its report.
func viewers(t *testing.T, n int, from, address string, more ...string) (end func() loadReport) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	args := []string{"-clients", fmt.Sprint(n), "-url", address, "-from", from, "-ramp", "100", "-duration", "10m", "-json", report, "-quiet"}
	p := start(t, "loadtest from "+from, exec.Command(built(t, loadtestProgram), append(args, more...)...))
	return func() (r loadReport) {
		t.Helper()
		if !p.stop(syscall.SIGINT, 20*time.Second) {
			t.Errorf("loadtest from %s does not end", from)
		}
		text, err := os.ReadFile(report)
		if err == nil {
			err = json.NewDecoder(bytes.NewReader(text)).Decode(&r)
		}
		if err != nil {
			t.Fatalf("the report of the viewers from %s: %v", from, err)
		}
		return r
	}
}

// loadReport is what the tests read of loadtest's report.
type loadReport struct {
	Clients struct {
		Requested, Connected, Failed int
		AliveAtEnd                   int `json:"alive_at_end"`
	}
	Bytes    uint64 `json:"bytes_total"`
	Delivery struct{ Min float64 }
	Gaps     struct {
		Clients int
		Packets uint64
	}
	Protocol uint64 `json:"protocol_errors"`
	Stalls   struct {
		Clients int
		Count   uint64
		Longest float64 `json:"longest_ms"`
	}
	Ended uint64
}

// api asks a house's API as the operator.
func (h *HouseProc) api(method, path string, into any) int {
	req, err := http.NewRequest(method, h.Plain(path), nil)
	if err != nil {
		return 0
	}
	req.SetBasicAuth(operatorName, operatorPassword)
	resp, err := plainClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if into != nil && resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(into) != nil {
		return 0
	}
	return resp.StatusCode
}
