package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

// relayWorld is a house with two pumps that take a stream from a server, of which the house prefers the first.
type relayWorld struct {
	house  *HouseProc
	pumps  map[string]*PumpProc
	signer *PumpProc // has the house's keys, and does not run
	told   notices
}

const relaySigning = "signing: {keys: [{name: k, secret: 0123456789abcdef}]}\n"

func newRelayWorld(t *testing.T, settings string) *relayWorld {
	t.Helper()
	x := &relayWorld{pumps: map[string]*PumpProc{}}
	hook := httptest.NewServer(&x.told)
	t.Cleanup(hook.Close)
	source := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true, Config: filepath.Join(t.TempDir(), "source.yml")}
	source.Rewrite(t, "streams: [{path: source, type: test_card}]")
	source.launch(t, built(t, pumpProgram))
	from := fmt.Sprintf("type: mmsh_pull, source_options: {host: 127.0.0.1, port: %d, path: /streams/source}", source.Port)
	streams := "streams: [{path: Studio, " + from + "}, {path: Signed, " + from + ", play: {signed: true}}, {path: Closed, " + from + ", play: {deny: [127.0.0.0/8]}}]\n"
	x.house = newHouse(t, "desk", "pumps_roster_json: pumps.json\n"+settings+relaySigning+operatorUser+
		fmt.Sprintf("webhooks: [{url: %q, events: [viewer_joined, viewer_left, pump_up]}]\n", hook.URL)+streams)
	x.house.write(t, "pumps.json", fmt.Sprintf(`[{"id": "first", "key": %q, "networks": [{"cidr": "127.0.0.0/8", "priority": 5}]},
		{"id": "second", "key": %q, "networks": [{"cidr": "127.0.0.0/8", "priority": 1}]}]`, keyOf("first"), keyOf("second")))
	x.house.Start(t)
	x.house.WaitReady(t, time.Minute)
	for _, id := range []string{"first", "second"} {
		x.pumps[id] = fleetPump(t, id, x.house.Secure(""), x.house.CA(t))
		for _, path := range []string{"studio", "signed", "closed"} {
			x.pumps[id].WaitState(t, path, "live", 45*time.Second)
		}
	}
	x.signer = &PumpProc{Config: filepath.Join(t.TempDir(), "sign.yml")}
	if err := os.WriteFile(x.signer.Config, []byte(relaySigning+"streams: [{path: Studio, type: test_card}, {path: Signed, type: test_card, play: {signed: true}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the house sends viewers to the first pump", func() bool { return x.house.sends("127.0.0.1") == x.pumps["first"].Port })
	return x
}

// fed is who takes a stream from a pump, as the house tells it: pumps, and viewers.
func (x *relayWorld) fed(pump, stream string) (pumps, others int) {
	for _, v := range x.crowd("pumps=true&pump=" + pump + "&stream=" + stream) {
		if v.Kind == "pump" {
			pumps++
		} else {
			others++
		}
	}
	return pumps, others
}

type crowdMember struct {
	Pump, ID, Client, Stream, Address, Kind, Health, Reason string
	Bytes                                                   int64
	LagMS                                                   int64 `json:"lag_ms"`
}

func (x *relayWorld) crowd(query string) []crowdMember {
	var said struct{ Viewers []crowdMember }
	x.house.api(http.MethodGet, "/api/v1/viewers?limit=1000&"+query, &said)
	return said.Viewers
}

// metric is a number of the house's metrics page, -1 if it is not there.
func (x *relayWorld) metric(t *testing.T, name string) int {
	t.Helper()
	req := newRequest(t, http.MethodGet, x.house.Plain("/metrics"))
	req.SetBasicAuth(operatorName, operatorPassword)
	resp, err := plainClient.Do(req)
	if err != nil {
		return -1
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	for l := range strings.Lines(string(text)) {
		var n int
		if rest, ok := strings.CutPrefix(l, name+" "); ok {
			if _, err := fmt.Sscan(rest, &n); err == nil {
				return n
			}
		}
	}
	return -1
}

// notices are what a webhook was told.
type notices struct {
	mu   sync.Mutex
	said []string
}

func (n *notices) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var told struct {
		Events []struct {
			Event, Pump string
			Viewer      struct {
				ClientID string `json:"client_id"`
				Reason   string
			}
		}
	}
	if json.NewDecoder(r.Body).Decode(&told) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range told.Events {
		n.said = append(n.said, strings.TrimSpace(strings.Join([]string{e.Event, e.Pump, e.Viewer.ClientID, e.Viewer.Reason}, " ")))
	}
}

func (n *notices) has(want string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.said {
		if s == want {
			return true
		}
	}
	return false
}

// watcher follows a stream as players do that follow no redirect, and decodes no more than times.
type watcher struct {
	*rawViewer
	packets atomic.Int64
	back    atomic.Int64 // packets whose time is before that of the one in front
	headers atomic.Int64
	ended   atomic.Bool // by the protocol
	done    chan error
}

func watchByHouse(t *testing.T, x *relayWorld, path string) *watcher {
	t.Helper()
	v, err := joinRaw(x.house.Port, path, false)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	w := &watcher{rawViewer: v, done: make(chan error, 1)}
	t.Cleanup(v.close)
	go func() { w.done <- w.read() }()
	eventually(t, 30*time.Second, path+" plays", func() bool { return w.packets.Load() > 5 })
	return w
}

func (w *watcher) read() error {
	var size int
	var last uint32
	for {
		f, err := w.next(time.Minute)
		if err != nil {
			return err
		}
		switch f.kind {
		case 'H':
			w.headers.Add(1)
			h, err := asf.ParseHeader(f.payload)
			if err != nil {
				return err
			}
			size = h.PacketSize
		case 'E':
			w.ended.Store(true)
		case 'D':
			p, err := asf.ParsePacket(f.payload, size, asf.StreamSet{})
			if err != nil {
				return err
			}
			if p.SendTime < last {
				w.back.Add(1)
			}
			last = p.SendTime
			w.packets.Add(1)
		}
	}
}

// goesOn waits until the watcher has got many more packets.
func (w *watcher) goesOn(t *testing.T, what string) {
	t.Helper()
	seen := w.packets.Load()
	eventually(t, 60*time.Second, what, func() bool { return w.packets.Load() > seen+50 })
}

func (w *watcher) end(t *testing.T, what string) error {
	t.Helper()
	select {
	case err := <-w.done:
		return err
	case <-time.After(60 * time.Second):
		t.Fatalf("%s: it does not end", what)
		return nil
	}
}

// MPlayer and two more players that follow no redirect come to the house, which takes the stream once from the pump
// it prefers; that pump dies, one of them is thrown out, the others leave, and the stream is let go.
func TestTheHouseTakesAStreamOnceForAllItServes(t *testing.T) {
	t.Parallel()
	x := newRelayWorld(t, "relay: {viewers: 3, linger: 2s}\n")
	anna, ben := watchByHouse(t, x, "studio?id=anna"), watchByHouse(t, x, "STUDIO?id=ben")
	stop := x.mplayer(t)

	eventually(t, 30*time.Second, "the pump has one viewer: the house", func() bool {
		pumps, others := x.fed("first", "Studio")
		return pumps == 1 && others == 0
	})
	if pumps, others := x.fed("second", "Studio"); pumps+others != 0 {
		t.Errorf("the other pump has %d pumps and %d viewers", pumps, others)
	}
	eventually(t, 30*time.Second, "the house tells whom it serves", func() bool {
		list := x.crowd("pump=@desk")
		good := 0 // a busy machine lets one be late now and then
		for _, v := range list {
			if v.Stream != "Studio" || v.Address != "127.0.0.1" || v.Kind != "mmsh" {
				t.Fatalf("%+v", v)
			}
			if v.Health == "good" {
				good++
			}
		}
		return good == 3 && len(list) == 3 && x.metric(t, "pump_house_relayed_viewers") == 3
	})
	var said struct {
		Fresh   bool
		Viewers []crowdMember
	}
	if code := x.house.api(http.MethodGet, "/api/v1/clients/anna", &said); code != http.StatusOK || !said.Fresh || len(said.Viewers) != 1 ||
		said.Viewers[0].Pump != "@desk" || said.Viewers[0].Bytes == 0 {
		t.Errorf("anna: %d %+v", code, said)
	}
	eventually(t, 30*time.Second, "the webhook is told who came", func() bool { return x.told.has("viewer_joined @desk anna") && x.told.has("viewer_joined @desk ben") })
	x.isFull(t)
	stop()

	x.pumps["first"].Kill()
	for _, w := range []*watcher{anna, ben} {
		w.goesOn(t, "it goes on from the other pump")
	}
	eventually(t, 30*time.Second, "the other pump has one viewer", func() bool {
		pumps, others := x.fed("second", "Studio")
		return pumps == 1 && others == 0
	})

	began := time.Now()
	if code := x.house.api(http.MethodDelete, "/api/v1/clients/anna", nil); code != http.StatusOK {
		t.Errorf("throwing anna out: %d", code)
	}
	_ = anna.end(t, "anna was thrown out")
	t.Logf("anna was thrown out within %v", time.Since(began).Round(time.Millisecond))
	eventually(t, 30*time.Second, "the webhook is told who left", func() bool { return x.told.has("viewer_left @desk anna kicked") })
	ben.goesOn(t, "ben is left alone")
	ben.close()
	for name, w := range map[string]*watcher{"anna": anna, "ben": ben} {
		if w.back.Load() != 0 || w.headers.Load() != 1 {
			t.Errorf("%s: %d packets went back in time, and there were %d headers", name, w.back.Load(), w.headers.Load())
		}
	}
	eventually(t, 60*time.Second, "the stream is let go", func() bool {
		pumps, others := x.fed("second", "Studio")
		return pumps == 0 && others == 0 && x.metric(t, "pump_house_relayed_viewers") == 0
	})
	if x.told.has("pump_up @desk") {
		t.Error("the pump within the house is told of like one of the roster")
	}
	ann := watchByHouse(t, x, "studio?id=ann") // and it comes back when it is wanted
	ann.close()
}

// isFull sees that one more is refused, and that log and metrics say why.
func (x *relayWorld) isFull(t *testing.T) {
	t.Helper()
	before := x.metric(t, `pump_house_answers_total{answer="relay_full"}`)
	req := newRequest(t, http.MethodGet, x.house.Plain("/streams/studio?id=late"))
	req.Header.Set("User-Agent", "NSPlayer/4.1.0.3856")
	req.Header.Set("Pragma", "xPlayStrm=1")
	req.Proto, req.ProtoMinor = "HTTP/1.0", 0
	v, err := joinRaw(x.house.Port, "studio?id=late", false)
	if err == nil {
		v.close()
	}
	if !errors.Is(err, errBusy) {
		t.Errorf("one too many: %v", err)
	}
	if now := x.metric(t, `pump_house_answers_total{answer="relay_full"}`); now != before+1 {
		t.Errorf("refused, by the metrics: %d, then %d", before, now)
	}
	x.house.proc.waitSays(t, "too many players that follow no redirect")
}

// mplayer lets MPlayer play by way of the house, until the function it returns is called; without MPlayer somebody
// else takes its place.
func (x *relayWorld) mplayer(t *testing.T) (stop func()) {
	t.Helper()
	if _, err := exec.LookPath("mplayer"); err != nil {
		w := watchByHouse(t, x, "studio?id=mplayer")
		return w.close
	}
	cmd := exec.Command("mplayer", "-noconfig", "all", "-vo", "null", "-ao", "null", "-nolirc", "-frames", "250",
		fmt.Sprintf("mmsh://127.0.0.1:%d/streams/Studio?id=mplayer", x.house.Port))
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	p := start(t, "mplayer", cmd)
	return func() {
		t.Helper()
		if !p.ended(2*time.Minute) || p.err != nil {
			t.Errorf("MPlayer: %v\n%s", p.err, p.tail(20))
		}
		p.kill()
		var last []crowdMember
		eventually(t, 30*time.Second, "MPlayer is told of among those who have left", func() bool {
			last = x.crowd("state=gone&client=mplayer&pump=@desk")
			return len(last) > 0
		})
		for _, v := range last {
			if v.Reason != "left" || v.Bytes < 100_000 {
				t.Errorf("MPlayer left: %+v", v)
			}
		}
	}
}

// What a stream asks of its viewers holds for those whom the house serves: it checks by itself.
func TestTheHouseChecksWhomItServes(t *testing.T) {
	t.Parallel()
	x := newRelayWorld(t, "relay: {viewers: 3, linger: 2s}\n")
	good := x.signer.sign(t, "signed", time.Hour, "anna")
	for name, c := range map[string]struct{ path, want string }{
		"no signature":        {"signed?id=anna", "403"},
		"somebody else's":     {strings.Replace(good, "id=anna", "id=ben", 1), "403"},
		"of another stream":   {strings.Replace(x.signer.sign(t, "studio", time.Hour, "anna"), "Studio", "Signed", 1), "403"},
		"a network of nobody": {"closed", "403"},
	} {
		v, err := joinRaw(x.house.Port, c.path, false)
		if err == nil {
			v.close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	w := watchByHouse(t, x, good)
	eventually(t, 30*time.Second, "the house takes it from the pump, with an address of its own", func() bool {
		pumps, others := x.fed("first", "Signed")
		return pumps == 1 && others == 0
	})
	w.close()
	short := watchByHouse(t, x, x.signer.sign(t, "signed", 20*time.Second, "clara"))
	if err := short.end(t, "its time is over"); !errors.Is(err, io.EOF) || !short.ended.Load() {
		t.Errorf("at the end of its time: %v", err)
	}
	eventually(t, 30*time.Second, "it is told why", func() bool { return x.told.has("viewer_left @desk clara expired") })

	dora := watchByHouse(t, x, "studio?id=dora")
	if err := x.house.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := dora.end(t, "the house ends"); !errors.Is(err, io.EOF) || !dora.ended.Load() {
		t.Errorf("at the house's end: %v", err)
	}
	if !x.house.proc.ended(time.Minute) || x.house.proc.err != nil {
		t.Errorf("the house: %v", x.house.proc.err)
	}
}
