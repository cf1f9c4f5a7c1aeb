package linktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	port      = 8086
	adminPort = 8087
)

// pump is a running stream-pump in a namespace.
type pump struct {
	proc   *process
	client http.Client // in the namespace
}

// startPump serves the streams (YAML) in the namespace and waits until it is ready. At the end of the test the pump is
// asked to end and has to do that with status 0.
func startPump(t *testing.T, in namespace, streams string) *pump {
	t.Helper()
	file := filepath.Join(scratch, string(in)+".yml")
	text := fmt.Sprintf("port: %d\nadmin: {listen: \"127.0.0.1:%d\"}\n%s", port, adminPort, streams)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: in.dial}
	p := &pump{client: http.Client{Transport: transport, Timeout: slack * 5 * time.Second}}
	p.proc = start(t, in, "stream-pump", "run", file)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		p.proc.ask(t, syscall.SIGTERM, 20*time.Second)
		if p.proc.err != nil {
			t.Errorf("%s: %v", p.proc.name, p.proc.err)
		}
	})
	eventually(t, 20*time.Second, p.proc.name+" is ready", func() bool {
		if !p.proc.alive() {
			t.Fatalf("%s has ended: %v", p.proc.name, p.proc.err)
		}
		return p.get(t, "/readyz", nil) == http.StatusOK
	})
	return p
}

// streamState is what the tests read of a stream in the API.
type streamState struct {
	State     string
	Viewers   int
	PacketsIn uint64 `json:"packets_in"`
	BytesIn   uint64 `json:"bytes_in"`
	BytesOut  uint64 `json:"bytes_out"`
}

// stream asks for the state of the stream; the zero value stands for no answer.
func (p *pump) stream(t *testing.T, path string) (s streamState) {
	t.Helper()
	p.get(t, "/api/v1/streams/"+path, &s)
	return s
}

// get asks the admin port and gives the status, 0 when there is no answer.
func (p *pump) get(t *testing.T, path string, into any) int {
	t.Helper()
	resp, err := p.client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", adminPort, path))
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
