package soak

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is one that runs, can be killed and run again, and has to end in order at the end of the test.
type program struct {
	name string
	args []string
	log  *os.File
	cmd  *exec.Cmd
}

func startProgram(t *testing.T, log string, args ...string) *program {
	t.Helper()
	p := &program{name: filepath.Base(log), args: args}
	var err error
	if p.log, err = os.Create(log); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *program) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stderr = p.log
	p.cmd.Env = append(os.Environ(), "GOGC=25") // as in startPump
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// again kills it without a word and runs it anew.
func (p *program) again(t *testing.T) {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.start(t)
}

func (p *program) stop(t *testing.T) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s: %v", p.name, err)
	}
	_ = p.log.Close()
	text, _ := os.ReadFile(p.log.Name())
	if strings.Contains(string(text), "panic") {
		t.Errorf("the log of %s tells of a panic", p.name)
	}
	if t.Failed() {
		t.Logf("the log of %s ends with:\n%s", p.name, text[max(0, len(text)-4<<10):])
	}
}

// receiver is whom the house's webhook tells: slow, and at times not willing.
type receiver struct {
	calm atomic.Bool // it answers at once
	got  atomic.Int64
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	if !r.calm.Load() {
		select {
		case <-time.After(time.Duration(rand.IntN(400)) * time.Millisecond):
		case <-req.Context().Done():
		}
		switch rand.IntN(8) {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 1:
			panic(http.ErrAbortHandler)
		}
	}
	r.got.Add(1)
}

// household is a house with its pumps: one at the top, and two below it, which viewers are sent to.
type household struct {
	dir        string
	port, tls  int
	house      *program
	pumps      map[string]*program
	topAdmin   int
	client     *http.Client // keeps no connection
	token      string       // of an operator
	hook       receiver
	hookServer string
}

// pumpIDs are the pumps of the roster, the top first.
var pumpIDs = []string{"top", "left", "right"}

// hashed is the hash of the password.
const password, hashed = "correct horse battery", "$2a$10$iXKNQq0vIfAjRTC3kdO2Iuv.a1kXSrDm51Ca4gu5fKVQa3zGXzZHK"

// roster has the three pumps, and others that never come. Keys are given once: those that a file leaves out stay.
func roster(keys bool, more ...string) string {
	const all = `"networks": ["127.0.0.0/8"], "max_viewers": 100000`
	key := func(id string) string {
		if !keys {
			return ""
		}
		return fmt.Sprintf(`, "key": "key of %s"`, id)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `[{"id": "top"%s}`, key("top"))
	for _, id := range pumpIDs[1:] {
		fmt.Fprintf(&b, `,{"id": %q, "parents": ["top"], %s%s}`, id, all, key(id))
	}
	for _, id := range more {
		fmt.Fprintf(&b, `,{"id": %q, "parents": ["left"], %s}`, id, all)
	}
	return b.String() + "]"
}

func newHousehold(t *testing.T) *household {
	t.Helper()
	houseBinary, pumpBinary := build(t, "pump-house"), build(t, "stream-pump")
	dir, err := os.MkdirTemp("", "soak") // the name of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ports := freePorts(t, 2)
	h := &household{dir: dir, port: ports[0], tls: ports[1], pumps: map[string]*program{}}
	h.client = &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	hook := httptest.NewServer(&h.hook)
	t.Cleanup(hook.Close)
	h.hookServer = hook.URL
	h.write(t, "pumps.json", roster(true))
	h.configure(t, 0)
	h.house = startProgram(t, filepath.Join(dir, "house.log"), houseBinary, "run", filepath.Join(dir, "house.yaml"))
	eventually(t, 2*time.Minute, "the house is ready", func() bool { return h.status("/readyz") == http.StatusOK })
	h.write(t, "ca.pem", h.ask(t, http.MethodGet, "/ca.pem", ""))
	h.logIn(t)
	for _, id := range pumpIDs {
		doors := freePorts(t, 2)
		if id == "top" {
			h.topAdmin = doors[1]
		}
		h.write(t, id+".yaml", terms+fmt.Sprintf("listen: [127.0.0.1:%d]\nadmin: {listen: 127.0.0.1:%d}\nhouse: {url: 'https://127.0.0.1:%d', id: %s, key: key of %s, ca: ca.pem, cache: cache-%s}\n",
			doors[0], doors[1], h.tls, id, id, id))
		h.pumps[id] = startProgram(t, filepath.Join(dir, id+".log"), pumpBinary, "run", filepath.Join(dir, id+".yaml"))
	}
	eventually(t, 2*time.Minute, "the top pump serves its operator", func() bool {
		resp, err := h.client.Get((&pump{admin: h.topAdmin}).adminURL("/readyz"))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return true
	})
	eventually(t, 2*time.Minute, "all pumps have all streams", func() bool {
		_, calm := h.look(t)
		return calm && h.status("/streams/studio.asx") == http.StatusOK && h.status("/streams/second.asx") == http.StatusOK
	})
	return h
}

func (h *household) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		t.Error(err)
	}
}

// configure writes the house's file; n makes the webhook another one.
func (h *household) configure(t *testing.T, n int) {
	t.Helper()
	h.write(t, "house.yaml", fmt.Sprintf(`name: soak
listen: ['127.0.0.1:%d']
ssl_listen: ['127.0.0.1:%d']
ssl_names: [127.0.0.1]
pumps_roster_json: pumps.json
telemetry: {interval: 500ms, dead_after: 2s}
relay: {viewers: 20, linger: 1s}
metrics: {allow: [127.0.0.1]}
users: [{name: operator, role: steer, password_hash: '%s'}]
webhooks: [{url: '%s/%d', secret: a secret of the webhook}]
streams: [{path: studio, type: test_card}, {path: second, type: test_card}]
`, h.port, h.tls, hashed, h.hookServer, n))
}

func (h *household) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", h.port, path)
}

func (h *household) secure(path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", h.tls, path)
}

func (h *household) status(path string) int {
	resp, err := h.client.Get(h.url(path))
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// tryAsk asks the house as the operator, and returns the answer and its status; 0: there was none.
func (h *household) tryAsk(method, path, body string) (text string, status int) {
	req, err := http.NewRequest(method, h.url(path), strings.NewReader(body))
	if err != nil {
		return "", 0
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return "", 0
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return string(b), resp.StatusCode
}

// ask wants success, and asks again while the house is not able to.
func (h *household) ask(t *testing.T, method, path, body string) (text string) {
	t.Helper()
	status := 0
	eventually(t, 2*time.Minute, method+" "+path+" is answered", func() bool {
		text, status = h.tryAsk(method, path, body)
		return status != 0 && status != http.StatusServiceUnavailable
	})
	if status/100 != 2 {
		t.Errorf("%s %s: %d %s", method, path, status, text)
	}
	return text
}
