package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is a house, seven pumps and their viewers:
//
//	encoder → top → left  → l1, l2
//	              → right → r1, r2
//
// Each pump in the middle is the second choice of the other's children.
type tree struct {
	house  *HouseProc
	pumps  map[string]*PumpProc
	source *process
	push   func() *process
	busy   *neighbours
}

var treeParents = map[string][]string{
	"top": nil, "left": {"top"}, "right": {"top"},
	"l1": {"left", "right"}, "l2": {"left", "right"}, "r1": {"right", "left"}, "r2": {"right", "left"},
}

// treeLeaves are the pumps that viewers are sent to, each with viewers of a network of their own.
var treeLeaves = []string{"l1", "l2", "r1", "r2"}

func leafNetwork(i int) string { return fmt.Sprintf("127.0.%d.0/24", i+1) }
func leafAddress(i int) string { return fmt.Sprintf("127.0.%d.1", i+1) }

func treeRoster() string {
	var list []string
	for _, id := range append([]string{"top", "left", "right"}, treeLeaves...) {
		networks := ""
		for i, leaf := range treeLeaves {
			if leaf == id {
				networks = fmt.Sprintf(`, "networks": [%q]`, leafNetwork(i))
			}
		}
		parents := ""
		if p := treeParents[id]; len(p) > 0 {
			parents = fmt.Sprintf(`, "parents": ["%s"]`, strings.Join(p, `", "`))
		}
		limit := ""
		if id == "left" || id == "right" { // as many as there are pumps below, who are no viewers
			limit = `, "max_viewers": 2`
		}
		list = append(list, fmt.Sprintf(`{"id": %q, "key": %q%s%s%s}`, id, keyOf(id), parents, networks, limit))
	}
	return "[" + strings.Join(list, ",\n") + "]"
}

// treeConfig is the house's, with more streams.
func treeConfig(more string) string {
	return "pumps_roster_json: pumps.json\nstreams: [{name: Studio, path: studio, type: mmsh_push}" + more + "]\n" + operatorUser
}

func newTree(t *testing.T) *tree {
	t.Helper()
	file := MakeMedia(t, smallMedia)
	x := &tree{pumps: map[string]*PumpProc{}, busy: watchNeighbours(t)}
	x.house = newHouse(t, "house", treeConfig(""))
	x.house.write(t, "pumps.json", treeRoster())
	x.house.Start(t)
	x.house.WaitReady(t, time.Minute)
	ca := x.house.CA(t)
	for id := range treeParents {
		x.pumps[id] = fleetPump(t, id, x.house.Secure(""), ca)
	}
	eventually(t, 30*time.Second, "the top has its configuration", func() bool {
		_, ok := x.pumps["top"].Stream(t, "studio")
		return ok
	})
	x.push = func() *process {
		return start(t, "the encoder", exec.Command("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "level+warning",
			"-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "asf", x.pumps["top"].PushURL("studio")))
	}
	x.source = x.push()
	for id := range treeParents {
		eventually(t, 45*time.Second, id+" delivers", func() bool { return x.packets(t, id) > 0 })
	}
	return x
}

func (x *tree) packets(t *testing.T, id string) uint64 {
	t.Helper()
	info, _ := x.pumps[id].Stream(t, "studio")
	return info.PacketsIn
}

// source tells which pump delivers to another one; empty: none.
func (x *tree) parent(t *testing.T, id string) string {
	t.Helper()
	var info struct{ Source string }
	if x.pumps[id].get(t, "/api/v1/streams/studio", &info) != http.StatusOK {
		return ""
	}
	for other, p := range x.pumps {
		if strings.Contains(info.Source, fmt.Sprintf("127.0.0.1:%d", p.Port)) {
			return other
		}
	}
	return ""
}

// seats is how many viewers each leaf has, as the house's page shows them.
func (x *tree) seats() map[string]int64 {
	var said struct {
		Pumps []struct {
			ID      string
			State   string
			Viewers int64
		}
	}
	if x.house.api(http.MethodGet, "/api/v1/fleet", &said) != http.StatusOK {
		return nil
	}
	seats := map[string]int64{}
	for _, p := range said.Pumps {
		if p.State == "up" {
			seats[p.ID] = p.Viewers
		}
	}
	return seats
}

// repaired waits until pumps get packets from another pump, and tells how long it took.
func (x *tree) repaired(t *testing.T, from time.Time, ids ...string) {
	t.Helper()
	for _, id := range ids {
		var before uint64
		want := treeParents[id][1]
		eventually(t, 30*time.Second, id+" has packets from "+want, func() bool {
			if x.parent(t, id) != want {
				before = 0
				return false
			}
			n := x.packets(t, id)
			if before == 0 {
				before = n
			}
			return n > before
		})
		x.busy.within(t, id+" has packets from "+want, from, time.Since(from), healing)
	}
}

// What is promised of a fleet.
const (
	healing   = 5 * time.Second // to get over what happens to it
	spreading = 2 * time.Second // of a change, to every pump
	kicking   = time.Second     // a viewer, wherever he is
)

// perLeaf is how many viewers watch at each leaf.
const perLeaf = 50

// A real encoder, seven pumps, a house, and viewers whom the house sends to the leaves. In mid-play a pump in the middle, the
// house and the encoder are killed in turn.
func TestFleetTree(t *testing.T) {
	need(t, "ffmpeg")
	x := newTree(t)
	ends := make([]func() loadReport, len(treeLeaves))
	for i := range treeLeaves {
		eventually(t, 20*time.Second, "the house sends viewers to "+treeLeaves[i], func() bool {
			return x.house.sends(leafAddress(i)) == x.pumps[treeLeaves[i]].Port
		})
		ends[i] = viewers(t, perLeaf, leafAddress(i), x.house.Plain("/streams/studio"))
	}
	var seats map[string]int64
	defer func() { t.Logf("viewers as the page last told: %v", seats) }()
	full := func() bool {
		seats = x.seats()
		for _, id := range treeLeaves {
			if seats[id] != perLeaf {
				return false
			}
		}
		return true
	}
	eventually(t, 45*time.Second, "every viewer is on the page", full)
	for _, id := range treeLeaves {
		eventually(t, 45*time.Second, id+" has the stream from its first parent", func() bool { return x.parent(t, id) == treeParents[id][0] })
	}
	x.downstream(t)
	x.changes(t)
	x.kicks(t)

	killed := time.Now()
	x.pumps["left"].Kill()
	x.repaired(t, killed, "l1", "l2")
	eventually(t, 10*time.Second, "the page shows that it is down", func() bool { _, up := x.seats()["left"]; return !up })
	x.pumps["left"].Restart(t)
	for _, id := range []string{"l1", "l2"} {
		eventually(t, 45*time.Second, id+" is back at its first parent", func() bool { return x.parent(t, id) == "left" })
	}

	x.house.proc.kill()
	before := map[string]uint64{}
	for id := range x.pumps {
		before[id] = x.packets(t, id)
	}
	for id := range x.pumps {
		eventually(t, 10*time.Second, id+" goes on without the house", func() bool { return x.packets(t, id) > before[id]+60 })
	}
	began := time.Now()
	x.house.Start(t)
	eventually(t, 45*time.Second, "the house knows every viewer again", full)
	t.Logf("the house knew the fleet %v after its start", time.Since(began).Round(time.Millisecond))

	// The encoder comes back at once, and then after a time in which all pumps have given up and ask now and then.
	for _, away := range []bool{false, true} {
		x.source.kill()
		x.pumps["top"].WaitState(t, "studio", "connecting", 20*time.Second)
		if away {
			for _, id := range treeLeaves {
				x.pumps[id].WaitState(t, "studio", "connecting", 30*time.Second)
			}
			hold(10 * time.Second)
		}
		before := map[string]uint64{}
		for _, id := range treeLeaves {
			before[id] = x.packets(t, id)
		}
		x.source = x.push()
		x.pumps["top"].WaitState(t, "studio", "live", 20*time.Second)
		back := time.Now()
		for _, id := range treeLeaves {
			eventually(t, 40*time.Second, id+" has packets again", func() bool { return x.packets(t, id) > before[id] })
		}
		x.busy.within(t, "packets are at the leaves after the encoder came back", back, time.Since(back), healing)
	}
	eventually(t, 20*time.Second, "every viewer is still there", full)

	for i, end := range ends {
		r := end()
		t.Logf("%s: %+v", treeLeaves[i], r)
		if r.Clients.Failed != 0 || r.Clients.AliveAtEnd != perLeaf || r.Protocol != 0 || r.Ended != 0 {
			t.Errorf("%s: of %d viewers %d failed, %d were there at the end, %d protocol errors, %d connections were ended", treeLeaves[i], perLeaf, r.Clients.Failed, r.Clients.AliveAtEnd, r.Protocol, r.Ended)
		}
		if treeLeaves[i][0] == 'r' && r.Gaps.Packets != 0 {
			t.Errorf("%s: viewers under a pump that nobody killed missed %d packets", treeLeaves[i], r.Gaps.Packets)
		}
		x.accounts(t, treeLeaves[i], r)
	}
}

// downstream sees that pumps below one are links and no viewers: they take no viewer's place there.
func (x *tree) downstream(t *testing.T) {
	t.Helper()
	type pump struct {
		Viewers, Downstream int64
		Full                bool
	}
	for _, id := range []string{"left", "right"} {
		var said pump
		eventually(t, 20*time.Second, id+" has two pumps below it", func() bool {
			return x.house.api(http.MethodGet, "/api/v1/pumps/"+id, &said) == http.StatusOK && said.Downstream == 2
		})
		if said != (pump{Downstream: 2}) {
			t.Errorf("%s has room for two viewers, and is %+v", id, said)
		}
	}
}

// changes gives the fleet a second stream, and takes it away again: every pump has it at once, and viewers of the first one
// notice nothing, as their own account tells at the end.
func (x *tree) changes(t *testing.T) {
	t.Helper()
	for _, more := range []string{", {name: Second, path: second, type: test_card}", ""} {
		x.house.configure(t, treeConfig(more))
		began := time.Now()
		if err := x.house.proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for id, p := range x.pumps {
			eventually(t, 20*time.Second, id+" has the change", func() bool {
				_, has := p.Stream(t, "second")
				return has == (more != "")
			})
		}
		x.busy.within(t, "a change is at all pumps", began, time.Since(began), spreading)
	}
}

// kicks lets a viewer in with an id from outside, finds him by it, and cuts him off.
func (x *tree) kicks(t *testing.T) {
	t.Helper()
	c := *clientFrom(leafAddress(0))
	c.CheckRedirect, c.Timeout = nil, 0
	resp, err := c.Get(x.house.Plain("/streams/studio.asf?id=anna"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	ended := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, resp.Body)
		ended <- n
	}()
	var said struct {
		Viewers []struct {
			Pump   string
			Bytes  int64
			Health string
		}
	}
	eventually(t, 10*time.Second, "the viewer is found by his id, and well", func() bool {
		return x.house.api(http.MethodGet, "/api/v1/clients/anna", &said) == http.StatusOK && len(said.Viewers) == 1 && said.Viewers[0].Bytes > 0 && said.Viewers[0].Health == "good"
	})
	if said.Viewers[0].Pump != treeLeaves[0] {
		t.Errorf("the viewer is told to be at %+v, want him at %s", said.Viewers[0], treeLeaves[0])
	}
	began := time.Now()
	if code := x.house.api(http.MethodDelete, "/api/v1/clients/anna", nil); code != http.StatusOK {
		t.Errorf("kicking: %d", code)
	}
	select {
	case n := <-ended:
		x.busy.within(t, fmt.Sprintf("a viewer with %d bytes is cut off", n), began, time.Since(began), kicking)
	case <-time.After(slack * healing):
		t.Error("a viewer that was kicked is still served")
	}
}

// accounts compares what the page says of those who have left a pump with what they say themselves.
func (x *tree) accounts(t *testing.T, id string, r loadReport) {
	t.Helper()
	var said struct {
		All     int
		Viewers []struct {
			Bytes  uint64
			Reason string
		}
	}
	gone := func() bool {
		return x.house.api(http.MethodGet, "/api/v1/viewers?state=gone&limit=1000&pump="+id, &said) == http.StatusOK && said.All >= perLeaf
	}
	eventually(t, 20*time.Second, "the page tells who has left "+id, gone)
	var bytes uint64
	for _, v := range said.Viewers {
		bytes += v.Bytes
	}
	if said.All != perLeaf {
		t.Errorf("%s: the page tells of %d viewers who have left, there were %d", id, said.All, perLeaf)
	}
	// A viewer counts what it got while all were there, the pump all it ever gave: what a viewer gets at once to begin with, too.
	const around = 5 * 350_000 / 8 * perLeaf // five seconds of the stream
	if bytes < r.Bytes || bytes-r.Bytes > around {
		t.Errorf("%s: the page tells of %d bytes, the viewers of %d", id, bytes, r.Bytes)
	}
	t.Logf("%s: %d bytes on the page, %d at the viewers", id, bytes, r.Bytes)
}

// sends is the port of the pump to which the house sends a viewer with this address, 0 if it sends him nowhere.
func (h *HouseProc) sends(from string) int {
	resp, err := clientFrom(from).Get(h.Plain("/streams/studio"))
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		return 0
	}
	var port int
	_, _ = fmt.Sscan(to.Port(), &port)
	return port
}
