package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// NATSProc is a running nats-server.
type NATSProc struct {
	Name          string
	Port, Monitor int
	conf          string
	proc          *process
}

// NATSCluster runs a cluster of n servers with JetStream, set as docs/fleet.md asks for.
func NATSCluster(t *testing.T, n int) []*NATSProc {
	t.Helper()
	routes := make([]string, n)
	ports := make([]int, n)
	for i := range routes {
		ports[i] = freePort(t)
		routes[i] = fmt.Sprintf("nats://127.0.0.1:%d", ports[i])
	}
	nodes := make([]*NATSProc, n)
	for i := range nodes {
		dir := t.TempDir()
		nodes[i] = &NATSProc{Name: fmt.Sprintf("n%d", i), Port: freePort(t), Monitor: freePort(t), conf: filepath.Join(dir, "nats.conf")}
		// Not advertised: a client that is cut off from the servers it was told of does not find another way.
		text := fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:%d\"\nhttp: \"127.0.0.1:%d\"\njetstream {store_dir: %q, sync_interval: always}\ncluster {name: test, listen: \"127.0.0.1:%d\", routes: [%s], no_advertise: true}\n",
			nodes[i].Name, nodes[i].Port, nodes[i].Monitor, dir, ports[i], strings.Join(routes, ", "))
		if err := os.WriteFile(nodes[i].conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes[i].Start(t)
	}
	return nodes
}

// Start runs the server, or runs it again.
func (n *NATSProc) Start(t *testing.T) {
	t.Helper()
	n.proc = start(t, "nats-server "+n.Name, exec.Command(built(t, natsProgram), "-c", n.conf))
}

// leads tells whether the server leads the group that keeps the houses' state.
func (n *NATSProc) leads() bool {
	resp, err := plainClient.Get(fmt.Sprintf("http://127.0.0.1:%d/jsz?accounts=true&streams=true", n.Monitor))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	var said struct {
		Accounts []struct {
			Streams []struct {
				Name    string
				Cluster struct{ Leader string }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if json.NewDecoder(resp.Body).Decode(&said) != nil {
		return false
	}
	for _, a := range said.Accounts {
		for _, s := range a.Streams {
			if s.Name == "KV_pumphouse-state" {
				return s.Cluster.Leader == n.Name
			}
		}
	}
	return false
}

// tellingPump is a pump as a house sees one: it says hello and tells what it does, now and then, and comes
// again when its house does not answer any more.
type tellingPump struct {
	id      string
	address string
	boot    string
	session string
	number  int64
	every   time.Duration
	state   func() *fleet.State
	stop    chan struct{}
	done    sync.WaitGroup
}

func newTellingPump(t *testing.T, id, address string) *tellingPump {
	return newTellingPumpOf(t, id, address, 500*time.Millisecond, func() *fleet.State {
		return &fleet.State{Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, BPS: 300_000}}}
	})
}

func newTellingPumpOf(t *testing.T, id, address string, every time.Duration, state func() *fleet.State) *tellingPump {
	p := &tellingPump{id: id, address: address, boot: fleet.NewBoot(), every: every, state: state, stop: make(chan struct{})}
	p.done.Go(p.run)
	t.Cleanup(func() { close(p.stop); p.done.Wait() })
	return p
}

func (p *tellingPump) run() {
	for {
		if p.session == "" {
			var w fleet.Welcome
			if p.post(fleet.PathHello, fleet.Hello{Pump: p.id, Boot: p.boot, Clock: time.Now(), Port: 8086}, &w) == nil {
				p.session = w.Session
			}
		}
		if p.session != "" {
			p.number++
			b := fleet.Batch{Pump: p.id, Boot: p.boot, Number: p.number, First: 1, State: p.state()}
			if p.post(fleet.PathTelemetry, b, nil) != nil {
				p.session = ""
			}
		}
		select {
		case <-p.stop:
			return
		case <-time.After(p.every):
		}
	}
}

func (p *tellingPump) post(path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, p.address+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if p.session == "" {
		req.SetBasicAuth(p.id, keyOf(p.id))
	} else {
		req.Header.Set("Authorization", "Bearer "+p.session)
	}
	resp, err := plainClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// askers ask the houses for a stream, so many times a second altogether. Each has a house that it likes best, and goes
// to the next one when that does not answer, as a frontend does.
type askers struct {
	houses []*HouseProc
	stop   chan struct{}
	done   sync.WaitGroup
	served []atomic.Int64 // by house
	missed atomic.Int64   // by a house; the next one was asked

	busy *neighbours

	mu      sync.Mutex
	longest time.Duration // that one of them got no redirect from any house
	ended   time.Time     // then
	lastBad string
}

const askersCount = 40

func newAskers(t *testing.T, houses []*HouseProc, perSecond int) *askers {
	a := &askers{busy: watchNeighbours(t), houses: houses, stop: make(chan struct{}), served: make([]atomic.Int64, len(houses))}
	for i := range askersCount {
		a.done.Go(func() { a.ask(i, time.Second*askersCount/time.Duration(perSecond)) })
	}
	t.Cleanup(a.end)
	return a
}

func (a *askers) end() {
	select {
	case <-a.stop:
	default:
		close(a.stop)
	}
	a.done.Wait()
}

func (a *askers) ask(i int, every time.Duration) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: slack * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	since := time.Now() // of the last redirect
	for n, due := 0, time.Now(); ; n++ {
		due = due.Add(every)
		select {
		case <-a.stop:
			return
		case <-time.After(time.Until(due)):
		}
		began := time.Now()
		for k := range a.houses {
			h := (i + k) % len(a.houses)
			bad := a.redirect(c, a.houses[h], i*1000+n%1000)
			if bad == "" {
				a.served[h].Add(1)
				since = time.Now()
				break
			}
			a.missed.Add(1)
			a.mu.Lock()
			a.lastBad = a.houses[h].Name + ": " + bad
			a.mu.Unlock()
		}
		a.mu.Lock()
		if now := time.Now(); max(now.Sub(since), since.Sub(began)) > a.longest {
			a.longest, a.ended = max(now.Sub(since), since.Sub(began)), now
		}
		a.mu.Unlock()
		if rest := time.Now().Add(time.Since(began)); rest.After(due) {
			due = rest // the machine cannot bear so many: leave as much of it to those who are asked
		}
	}
}

// redirect asks one house, and returns what was wrong.
func (a *askers) redirect(c *http.Client, h *HouseProc, viewer int) string {
	req, err := http.NewRequest(http.MethodGet, h.Plain(fmt.Sprintf("/streams/studio?id=v%d", viewer)), nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("User-Agent", "NSPlayer/9.0")
	resp, err := c.Do(req)
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound || !strings.Contains(resp.Header.Get("Location"), "/streams/studio?id=v") {
		return fmt.Sprintf("%s to %q", resp.Status, resp.Header.Get("Location"))
	}
	return ""
}

// judge fails the test if somebody was without a redirect for long since the last call, and begins anew.
func (a *askers) judge(t *testing.T, what string) {
	t.Helper()
	a.mu.Lock()
	longest, ended, bad := a.longest, a.ended, a.lastBad
	a.longest, a.lastBad = 0, ""
	a.mu.Unlock()
	var served []int64
	for i := range a.served {
		served = append(served, a.served[i].Swap(0))
	}
	t.Logf("%s: redirects by house %v, %d had to ask the next house (last: %s), the longest without one was %v", what, served, a.missed.Swap(0), bad, longest.Round(time.Millisecond))
	a.busy.within(t, what+": the longest that somebody got no redirect", ended.Add(-longest), longest, 2*time.Second)
}

// changer changes the roster all the time, at each house in turn, and remembers what was acknowledged.
type changer struct {
	houses []*HouseProc
	stop   chan struct{}
	done   sync.WaitGroup
	acked  atomic.Int64
	failed atomic.Int64
}

// fleetRoster has the three pumps and so many more. Keys are given once: those that a file leaves out stay what they are.
func fleetRoster(more int, keys bool) string {
	var b strings.Builder
	b.WriteString("[")
	for i := range 3 {
		key := ""
		if keys {
			key = fmt.Sprintf(`, "key": %q`, keyOf(fmt.Sprintf("p%d", i)))
		}
		fmt.Fprintf(&b, `{"id": "p%d", "url": "http://192.0.2.%d:8086", "networks": ["127.0.0.0/8"]%s},`, i, i+1, key)
	}
	for i := range more {
		fmt.Fprintf(&b, `{"id": "new-%d"},`, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "]"
}

func newChanger(t *testing.T, houses []*HouseProc) *changer { return newChangerFrom(t, houses, 0) }

// newChangerFrom goes on where so many changes were acknowledged.
func newChangerFrom(t *testing.T, houses []*HouseProc, acked int64) *changer {
	c := &changer{houses: houses, stop: make(chan struct{})}
	c.acked.Store(acked)
	c.done.Go(func() {
		for i := 0; ; i++ {
			if n := int(c.acked.Load()) + 1; c.houses[i%len(c.houses)].Import(fleetRoster(n, false)) == nil {
				c.acked.Store(int64(n))
			} else {
				c.failed.Add(1)
			}
			select {
			case <-c.stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	t.Cleanup(c.end)
	return c
}

func (c *changer) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.done.Wait()
}

// more waits until so many more changes were acknowledged.
func (c *changer) more(t *testing.T, n int64, what string) {
	t.Helper()
	before, began := c.acked.Load(), time.Now()
	eventually(t, time.Minute, fmt.Sprintf("%d more changes are acknowledged: %s", n, what), func() bool { return c.acked.Load() >= before+n })
	t.Logf("%s: %d changes acknowledged within %v, %d refused so far", what, n, time.Since(began).Round(time.Millisecond), c.failed.Load())
}

// Three houses keep their fleet in a cluster of three real NATS servers. While viewers are sent on, two thousand a second,
// and the roster changes all the time, a house and the server that leads are killed; then a house is cut off from all servers. At the
// end all servers and houses are killed at once, and started again: everything that was acknowledged is there.
func TestThreeHousesOnNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("plays real programs; left out with -short")
	}
	nodes := NATSCluster(t, 3)
	var direct, cuttable []string
	var links []*relay
	for _, n := range nodes {
		at := fmt.Sprintf("127.0.0.1:%d", n.Port)
		links = append(links, newRelay(t, at))
		direct = append(direct, "nats://"+at)
		cuttable = append(cuttable, fmt.Sprintf("nats://127.0.0.1:%d", links[len(links)-1].Port))
	}
	config := "streams: [{path: studio, type: test_card}]\nlog: {level: info}\nnats: {replicas: 3, urls: [\"%s\"]}\n"
	var houses []*HouseProc
	for i, urls := range [][]string{direct, direct, cuttable} {
		h := newHouse(t, fmt.Sprintf("house-%d", i), fmt.Sprintf(config, strings.Join(urls, `", "`)))
		h.Start(t)
		houses = append(houses, h)
	}
	var balanced []string
	for _, h := range houses {
		h.WaitReady(t, 90*time.Second)
		balanced = append(balanced, fmt.Sprintf("127.0.0.1:%d", h.Port))
	}
	if err := houses[0].Import(fleetRoster(0, true)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // each comes to a house of its own, and to the next one where that is gone
		at := newRelay(t, balanced[i], balanced[(i+1)%3], balanced[(i+2)%3])
		newTellingPump(t, fmt.Sprintf("p%d", i), fmt.Sprintf("http://127.0.0.1:%d", at.Port))
	}
	for _, h := range houses {
		eventually(t, 30*time.Second, h.Name+" sends viewers on", func() bool { return status(h.Plain("/streams/studio.asx")) == http.StatusOK })
	}

	changes := newChanger(t, houses)
	viewers := newAskers(t, houses, 2000)
	changes.more(t, 5, "all is well")
	hold(2 * time.Second)
	viewers.judge(t, "all is well")

	houses[0].proc.kill()
	changes.more(t, 5, "a house is killed")
	hold(2 * time.Second)
	viewers.judge(t, "a house is killed")

	leader := -1
	for i, n := range nodes {
		if n.leads() {
			leader = i
		}
	}
	if leader < 0 {
		t.Fatal("no server leads")
	}
	nodes[leader].proc.kill()
	changes.more(t, 5, "the server that led is killed")
	hold(2 * time.Second)
	viewers.judge(t, "the server that led is killed")

	nodes[leader].Start(t)
	houses[0].Start(t)
	houses[0].WaitReady(t, time.Minute)
	changes.more(t, 5, "both are back")
	hold(2 * time.Second)
	viewers.judge(t, "both are back")
	acked := changes.acked.Load()
	for _, h := range houses {
		h.has(t, acked)
	}

	changes.end()
	for _, l := range links {
		l.Cut(true)
	}
	eventually(t, 20*time.Second, "the house finds out that it is cut off", func() bool { return !houses[2].Ready() })
	acked = changes.acked.Load()
	if err := houses[1].Import(fleetRoster(int(acked)+1, false)); err != nil {
		t.Errorf("the others take no change: %v", err)
	}
	viewers.judge(t, "a house is being cut off")
	hold(5 * time.Second) // longer than a silent pump lives
	if n := viewers.served[2].Load(); n == 0 {
		t.Error("the house that is cut off sends nobody on")
	}
	if n := viewers.missed.Load(); n > 0 {
		viewers.mu.Lock()
		t.Errorf("%d had to ask the next house: %s", n, viewers.lastBad)
		viewers.mu.Unlock()
	}
	viewers.judge(t, "a house is cut off")
	if err := houses[2].Import(fleetRoster(int(acked)+2, false)); err == nil {
		t.Error("the house that is cut off acknowledges a change")
	}
	for _, l := range links {
		l.Cut(false)
	}
	houses[2].WaitReady(t, time.Minute)
	for _, h := range houses {
		h.has(t, acked+1)
	}
	viewers.end()
	viewers.judge(t, "the house is back")

	changes = newChangerFrom(t, houses, acked+1)
	changes.more(t, 3, "before all of them are killed")
	for _, n := range nodes {
		_ = n.proc.cmd.Process.Kill()
	}
	for _, h := range houses {
		h.proc.kill()
	}
	for _, n := range nodes {
		n.proc.kill()
	}
	changes.end()
	acked = changes.acked.Load()
	for _, n := range nodes {
		n.Start(t)
	}
	for _, h := range houses {
		h.Start(t)
	}
	for _, h := range houses {
		h.WaitReady(t, 90*time.Second)
		h.has(t, acked)
	}
}

// hold lets what goes on go on: what is asked about is that nothing happens meanwhile.
func hold(d time.Duration) { time.Sleep(d) }

// has waits until the roster has all changes that were acknowledged.
func (h *HouseProc) has(t *testing.T, acked int64) {
	t.Helper()
	missing := ""
	eventually(t, 30*time.Second, h.Name+" has every change that was acknowledged", func() bool {
		text := h.Roster()
		for i := range acked {
			if missing = fmt.Sprintf(`"new-%d"`, i); !strings.Contains(text, missing) {
				return false
			}
		}
		return true
	})
}
