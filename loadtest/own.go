package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// ownServer is the pump and the source that a run without addresses starts for itself.
type ownServer struct {
	dir     string
	pump    *child
	source  *ownSource
	viewURL string
}

const (
	ownStream    = "loadtest"
	portTries    = 3 // a port can be gone between the look and its use
	pumpReady    = 45 * time.Second
	sourceReady  = 45 * time.Second
	buildTimeout = 5 * time.Minute
)

// startOwn starts both on free loopback ports and waits until the stream can be watched.
func startOwn(ctx context.Context, o Options, say func(string)) (own *ownServer, err error) {
	dir, err := os.MkdirTemp("", "loadtest-")
	if err != nil {
		return nil, err
	}
	own = &ownServer{dir: dir}
	defer func() {
		if err != nil {
			own.stop()
			own = nil
		}
	}()
	binary, err := findPump(ctx, o.Pump, dir, say)
	if err != nil {
		return own, err
	}
	var address string
	for range portTries {
		if address, err = own.startPump(ctx, binary, o.PumpYAML); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	if err != nil {
		return own, err
	}
	own.source, err = startSource(o, "http://"+address+"/streams/"+ownStream+"_push")
	if err != nil {
		return own, err
	}
	err = own.pump.until(ctx, sourceReady, "a live stream", func() bool { return own.source.failed() || isLive(ctx, address) })
	if err == nil && own.source.failed() {
		err = own.source.death()
	}
	return own, err
}

// startPump starts the pump on free loopback ports and waits until it listens.
func (o *ownServer) startPump(ctx context.Context, binary, more string) (address string, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return "", err
	}
	address = "127.0.0.1:" + strconv.Itoa(ports[0])
	o.viewURL = "mmsh://" + address + "/streams/" + ownStream
	file := filepath.Join(o.dir, "stream-pump.yaml")
	if err := os.WriteFile(file, []byte(pumpConfig(address, ports[1], more)), 0o600); err != nil {
		return "", err
	}
	if o.pump, err = startChild("stream-pump", []string{binary, "run", file}, nil); err != nil {
		return "", err
	}
	return address, o.pump.until(ctx, pumpReady, "listening", func() bool { return listens(address) })
}

// deaths says which of the two ended by itself, and what it said.
func (o *ownServer) deaths() []string {
	var list []string
	if !o.pump.alive() {
		list = append(list, o.pump.death().Error())
	}
	if o.source.failed() {
		list = append(list, o.source.death().Error())
	}
	return list
}

func (o *ownServer) stop() {
	if o.source != nil {
		o.source.stop()
	}
	if o.pump != nil {
		o.pump.stop()
	}
	os.RemoveAll(o.dir)
}

// pumpConfig is the pump's configuration: defaults, one stream.
func pumpConfig(address string, adminPort int, more string) string {
	return fmt.Sprintf(`listen: ["%s"]
admin: {listen: "127.0.0.1:%d"}
log: {level: warn, format: text}
streams:
  - {name: Load test, type: mmsh_push, path: %s}
%s`, address, adminPort, ownStream, more)
}

// findPump is the named binary, or the one beside ours, on the path, or built from the module we stand in.
func findPump(ctx context.Context, named, dir string, say func(string)) (string, error) {
	if named != "" {
		if !executable(named) {
			return "", fmt.Errorf("%s is no program", named)
		}
		return filepath.Abs(named)
	}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "stream-pump"); executable(beside) {
			return beside, nil
		}
	}
	if onPath, err := exec.LookPath("stream-pump"); err == nil {
		return filepath.Abs(onPath)
	}
	root := moduleRoot()
	if root == "" {
		return "", errors.New("no stream-pump beside this program nor on the path: build it (make build), or name a stream with -url")
	}
	say("building stream-pump")
	return buildPump(ctx, root, dir)
}

const modulePath = "github.com/stream-pump/stream-pump"

// moduleRoot is the folder of our module when we run inside it, else "".
func moduleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if mod, readErr := os.ReadFile(filepath.Join(dir, "go.mod")); readErr == nil {
			if first, _, _ := strings.Cut(string(mod), "\n"); strings.TrimSpace(first) == "module "+modulePath {
				return dir
			}
			return ""
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}

func buildPump(ctx context.Context, root, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	out := filepath.Join(dir, "stream-pump")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "./cmd/stream-pump")
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building stream-pump: %w\n%s", err, said[:min(len(said), tailBytes)])
	}
	return out, nil
}

// freePorts finds loopback ports that nobody listens on at the moment.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// isLive asks for a description of the stream.
func isLive(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/streams/"+ownStream, nil)
	if err != nil {
		return false
	}
	req.Header = mmsh.DescribeHeader(mmsh.ClientParams{})
	req.Close = true
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ownSource is the synthetic source: a process of its own where there is a command for it, else a goroutine.
type ownSource struct {
	process *child
	cancel  context.CancelFunc
	ended   chan struct{}

	mu   sync.Mutex
	last Source
	err  error
}

func startSource(o Options, pushURL string) (*ownSource, error) {
	s := &ownSource{ended: make(chan struct{})}
	if len(o.Self) > 0 {
		command := append(append([]string{}, o.Self...), "push", "-stats", "-rate", strconv.Itoa(o.Rate),
			"-packet", strconv.Itoa(o.Packet), "-key-interval", o.KeyInterval.String(), pushURL)
		var err error
		s.process, err = startChild("the synthetic source", command, func(line string) {
			var account Source
			if json.Unmarshal([]byte(line), &account) == nil {
				s.keep(account)
			}
		})
		return s, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ended)
		err := Push(ctx, PushOptions{URL: pushURL, Rate: o.Rate, Packet: o.Packet, KeyInterval: o.KeyInterval, Report: s.keep})
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}()
	return s, nil
}

func (s *ownSource) keep(account Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = account
}

// account is what the source said last.
func (s *ownSource) account() *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.last
	return &last
}

func (s *ownSource) failed() bool {
	if s.process != nil {
		return !s.process.alive()
	}
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *ownSource) death() error {
	if s.process != nil {
		return s.process.death()
	}
	return fmt.Errorf("the synthetic source ended: %w", s.err)
}

func (s *ownSource) stop() {
	if s.process != nil {
		s.process.stop()
		return
	}
	s.cancel()
	<-s.ended
}
