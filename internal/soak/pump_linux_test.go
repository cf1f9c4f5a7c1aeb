package soak

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/porttest"
)

// pump is a running stream-pump, as it is used: without the race detector, which would have a memory of its own.
type pump struct {
	cmd              *exec.Cmd
	port, tls, admin int
	config           string // path of the file
	head             string // of the file: its ports and certificate
	client           *http.Client
	stderr           *os.File
}

// build makes one of our programs.
func build(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "../../cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return binary
}

// startPump builds and runs a pump until the end of the test, when it has to end in order.
func startPump(t *testing.T) *pump {
	t.Helper()
	dir := t.TempDir()
	binary := build(t, "stream-pump")
	ports := freePorts(t, 3)
	p := &pump{port: ports[0], tls: ports[1], admin: ports[2], config: filepath.Join(dir, "pump.yaml")}
	p.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	cert, key := certtest.Write(t, dir, certtest.NewAuthority(t, "soak").Issue(t, certtest.Spec{}))
	p.head = fmt.Sprintf("listen: [127.0.0.1:%d]\nadmin: {listen: 127.0.0.1:%d}\nssl: true\nssl_port: %d\nssl_cert: %s\nssl_key: %s\n",
		p.port, p.admin, p.tls, cert, key)
	p.rewrite(t, false)
	var err error
	if p.stderr, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, "run", p.config)
	p.cmd.Stderr = p.stderr
	p.cmd.Env = append(os.Environ(), "GOGC=25") // what is no longer used goes soon, and the figures tell what is
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(t) })
	eventually(t, 20*time.Second, "the pump is ready", func() bool {
		resp, err := p.client.Get(p.adminURL("/readyz"))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func (p *pump) stop(t *testing.T) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stream-pump: %v", err)
	}
	_ = p.stderr.Close()
	if text, _ := os.ReadFile(p.stderr.Name()); strings.Contains(string(text), "panic") {
		t.Errorf("the log tells of a panic:\n%s", text[max(0, len(text)-8<<10):])
	}
}

// rewrite replaces the configuration file, by one with a stream more or without it.
func (p *pump) rewrite(t *testing.T, more bool) {
	t.Helper()
	if err := os.WriteFile(p.config, []byte(p.head+p.streams(more)), 0o600); err != nil {
		t.Error(err)
	}
}

func (p *pump) adminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", p.admin, path)
}

func (p *pump) reload(t *testing.T) {
	t.Helper()
	resp, err := p.client.Post(p.adminURL("/api/v1/reload"), "", nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("reload: %s", resp.Status)
	}
}

// standing is what a pump holds.
type standing struct {
	goroutines, files, connections, sessions, slabs int
	viewers, served                                 int
	memory, heap                                    int // bytes
}

// look reads the metrics page.
func (p *pump) look(t *testing.T) standing {
	t.Helper()
	f := readFigures(t, p.client, p.adminURL("/metrics"))
	return standing{
		goroutines: f.of(t, "go_goroutines"), files: f.of(t, "process_open_fds"), connections: f.of(t, "stream_pump_connections"),
		sessions: f.of(t, "stream_pump_push_sessions"), slabs: f.of(t, "stream_pump_slabs_live"), viewers: f.of(t, "stream_pump_viewers"),
		served: f.of(t, "stream_pump_viewers_total"), memory: f.of(t, "process_resident_memory_bytes"), heap: f.of(t, "go_memstats_heap_inuse_bytes"),
	}
}

// figures are sums of a metrics page, over all labels.
type figures map[string]float64

func readFigures(t *testing.T, client *http.Client, url string) figures {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	f := figures{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		i := strings.LastIndexByte(lines.Text(), ' ')
		if i < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var v float64
		_, _ = fmt.Sscan(lines.Text()[i+1:], &v)
		name, _, _ := strings.Cut(lines.Text()[:i], "{")
		f[name] += v
	}
	return f
}

func (f figures) of(t *testing.T, name string) int {
	t.Helper()
	v, there := f[name]
	if !there {
		t.Fatalf("no %s on the metrics page", name)
	}
	return int(v)
}

// freePorts are ports that nobody else has.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		ports = append(ports, porttest.Free(t))
	}
	return ports
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}
