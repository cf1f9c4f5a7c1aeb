package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/loadtest"
)

// build makes the programs that are measured.
func build(ctx context.Context, dir string) error {
	for name, pkg := range map[string]string{"stream-pump": "./cmd/stream-pump", "floor": "./bench/floor"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), pkg)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("building %s: %w", pkg, err)
		}
	}
	return nil
}

// measure runs one server under one workload.
func measure(ctx context.Context, dir string, c testCase, s server, duration time.Duration) (row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address, secure, admin := freeAddress(), freeAddress(), freeAddress()
	args := []string{"-listen", address, "-pulse", c.pulse.String()}
	switch {
	case s.egress != "" && !s.pump:
		args = append(args, "-uring")
	case s.pump:
		file := filepath.Join(dir, "bench.yaml")
		text := c.configuration(address, admin, s.egress)
		if s.tls {
			more, err := tlsConfiguration(dir, secure)
			if err != nil {
				return row{}, err
			}
			text = append(text, more...)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return row{}, err
		}
		args = []string{"run", file}
	}
	child, stop, err := start(ctx, filepath.Join(dir, s.binary), args...)
	if err != nil {
		return row{}, err
	}
	defer stop()
	if err := awaitListener(ctx, address); err != nil {
		return row{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return row{}, err
	}
	push := []string{source, strconv.Itoa(c.rate)}
	for _, path := range c.paths() {
		push = append(push, "http://"+address+"/streams/"+path+"_push")
	}
	_, stopSource, err := start(ctx, self, push...)
	if err != nil {
		return row{}, err
	}
	defer stopSource()
	for _, path := range c.paths() {
		if err := awaitStream(ctx, address, path); err != nil {
			return row{}, err
		}
	}
	if c.streams > 1 {
		if err := pause(ctx, ringFills); err != nil {
			return row{}, err
		}
	}
	base := "mmsh://" + address
	if s.tls {
		base = "mmshs://" + secure
	}
	return audience(ctx, c, s, duration, base, admin, child.Process.Pid)
}

// ringFills is how long a ring fills, by default. A hundred of them take memory meanwhile, packet by packet and page by
// page, which is a cost of the start and of no viewer.
const ringFills = 20 * time.Second

const configuration = `listen: ["%s"]
admin: {listen: "%s"}
pulse: {min: %s, max: %s}
egress: %s
log: {level: warn, format: text}
streams:
`

func (c testCase) configuration(address, admin, egress string) []byte {
	b := fmt.Appendf(nil, configuration, address, admin, c.pulse, c.pulse, egress)
	for _, path := range c.paths() {
		b = fmt.Appendf(b, "  - {type: mmsh_push, path: %s}\n", path)
	}
	return b
}

// tlsConfiguration makes a certificate and returns the settings of a TLS port.
func tlsConfiguration(dir, address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	cert, key := certtest.Write(must{}, dir, certtest.NewAuthority(must{}, "bench").Issue(must{}, certtest.Spec{}))
	return fmt.Sprintf("ssl: true\nssl_port: %s\nssl_cert: %s\nssl_key: %s\n", port, cert, key), nil
}

// must ends the benchmark where there can be no certificate.
type must struct{}

func (must) Helper() {}

func (must) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// audience brings the viewers up twice as long as it takes to settle, and reads the
// server's counters at both ends of a window inside of the steady state.
func audience(ctx context.Context, c testCase, s server, duration time.Duration, base, admin string, pid int) (row, error) {
	ramp := float64(min(c.viewers/2, 1000))
	r := row{Case: c.String(), Server: s.name, TLS: s.tls, Pump: s.pump, Viewers: c.viewers, PulseMS: float64(c.pulse.Milliseconds()), RateBPS: c.rate}
	counters := func() (map[string]float64, error) { return scrape(ctx, admin) }
	if !s.pump {
		counters = func() (map[string]float64, error) { return floorWrites(pid) }
	}
	before, err := counters()
	if err != nil {
		return r, fmt.Errorf("reading the server's counters: %w", err)
	}
	var counted window
	readings := make(chan error, 1)
	go func() {
		rise := time.Duration(float64(c.viewers)/ramp*float64(time.Second)) + 3*time.Second
		readings <- counted.read(ctx, counters, rise, duration-4*time.Second)
	}()
	var urls []string
	for _, path := range c.paths() {
		urls = append(urls, base+"/streams/"+path)
	}
	rep, err := loadtest.Run(ctx, loadtest.Options{Clients: c.viewers, URLs: urls, Insecure: s.tls,
		Duration: duration, Ramp: ramp, ServerPID: pid, Slow: c.stalled})
	if err != nil {
		return r, err
	}
	if err := <-readings; err != nil {
		return r, fmt.Errorf("reading the server's counters: %w", err)
	}
	r.fill(rep)
	r.count(counted)
	last, err := counters()
	if err != nil {
		return r, fmt.Errorf("reading the server's counters: %w", err)
	}
	r.Stall.fill(rep, last)
	r.RSSPerViewer = (float64(rep.Server.RSS) - float64(rep.Server.BaseRSS) - (counted.last[slabBytes] - before[slabBytes])) / float64(r.Viewers)
	return r, nil
}

// window is the pump's counters over a part of the steady state.
type window struct {
	page        map[string]float64 // what reading them costs: it is counted as well
	first, last map[string]float64
	length      time.Duration
}

// read waits, reads the counters, waits for the length of the window, and reads them
// again.
func (w *window) read(ctx context.Context, counters func() (map[string]float64, error), wait, length time.Duration) (err error) {
	if err := pause(ctx, wait); err != nil {
		return err
	}
	if w.page, err = counters(); err != nil {
		return err
	}
	if w.first, err = counters(); err != nil {
		return err
	}
	start := time.Now()
	if err := pause(ctx, length); err != nil {
		return err
	}
	w.last, err = counters()
	w.length = time.Since(start)
	return err
}

// delta is by how much a counter grew, less what a page adds to it.
func (w *window) delta(name string) float64 {
	return max(w.last[name]-w.first[name]-(w.first[name]-w.page[name]), 0)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start runs a program that must not outlive us; its errors are ours.
func start(ctx context.Context, program string, args ...string) (*exec.Cmd, func(), error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", filepath.Base(program), err)
	}
	return cmd, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}

func freeAddress() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // no loopback, no benchmark
	}
	defer ln.Close()
	return ln.Addr().String()
}

const startTimeout = 20 * time.Second

func awaitListener(ctx context.Context, address string) error {
	return poll(ctx, "the server to listen", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func awaitStream(ctx context.Context, address, path string) error {
	return poll(ctx, "the stream to be live", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/streams/"+path, nil)
		if err != nil {
			return false
		}
		req.Header.Set("User-Agent", "NSPlayer/4.1.0.3856")
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func poll(ctx context.Context, what string, ok func() bool) error {
	for deadline := time.Now().Add(startTimeout); !ok(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s", startTimeout, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// floorWrites returns the floor's system calls that write, as the kernel counts them,
// under the names that the pump has for its own.
func floorWrites(pid int) (map[string]float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseFloat(value, 64); err == nil && name == "syscw" {
			return map[string]float64{egressCalls: n, writeCalls: n}, nil
		}
	}
	return nil, fmt.Errorf("/proc/%d/io does not count writes", pid)
}

// scrape reads a metrics page: name with labels → value.
func scrape(ctx context.Context, admin string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	m := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 4<<20))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			m[name] = v
			if family, _, labelled := strings.Cut(name, "{"); labelled {
				m[family] += v // a name without labels: the sum over them
			}
		}
	}
	return m, lines.Err()
}
