package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// smallPump is a pump with a limit, as houses and viewers see one: it tells how many watch, and turns away who comes when
// it is full.
type smallPump struct {
	*tellingPump
	limit int64

	mu                      sync.Mutex
	viewers, joined, turned int64
}

func newSmallPump(t *testing.T, id, address string, limit int64) *smallPump {
	p := &smallPump{limit: limit}
	p.tellingPump = newTellingPumpOf(t, id, address, 250*time.Millisecond, p.state)
	return p
}

func (p *smallPump) state() *fleet.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &fleet.State{
		Viewers: p.viewers, Joined: p.joined, Refused: p.turned,
		Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, Viewers: p.viewers, BPS: 300_000}},
	}
}

func (p *smallPump) come() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewers >= p.limit {
		p.turned++
		return
	}
	p.viewers++
	p.joined++
}

// Three houses in processes of their own, which know of each other by real NATS servers alone: a thousand viewers come
// within a second, to all three of them, and the one pump has room for three hundred. The houses fill it and send at most
// two in a hundred too many.
func TestABurstOverThreeHouses(t *testing.T) {
	if testing.Short() {
		t.Skip("plays real programs; left out with -short")
	}
	const limit, crowd = 300, 1000
	var urls []string
	for _, n := range NATSCluster(t, 3) {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", n.Port))
	}
	config := fmt.Sprintf("streams: [{path: studio, type: test_card}]\nnats: {replicas: 3, urls: [\"%s\"]}\n", strings.Join(urls, `", "`))
	var houses []*HouseProc
	for i := range 3 {
		h := newHouse(t, fmt.Sprintf("house-%d", i), config)
		h.Start(t)
		houses = append(houses, h)
	}
	for _, h := range houses {
		h.WaitReady(t, 90*time.Second)
	}
	if err := houses[0].Import(fmt.Sprintf(`[{"id": "small", "url": "http://192.0.2.1:8086", "networks": ["127.0.0.0/8"], "max_viewers": %d, "key": %q}]`, limit, keyOf("small"))); err != nil {
		t.Fatal(err)
	}
	pump := newSmallPump(t, "small", houses[0].Plain(""), limit)
	for _, h := range houses {
		eventually(t, 60*time.Second, h.Name+" sends viewers on", func() bool { return status(h.Plain("/streams/studio.asx")) == http.StatusOK })
	}

	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var sent, refused [3]atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for i := range crowd {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / crowd)))
		all.Go(func() {
			h := i % len(houses)
			resp, err := client.Get(houses[h].Plain(fmt.Sprintf("/streams/studio?id=v%d", i)))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusFound:
				sent[h].Add(1)
				time.Sleep(20*time.Millisecond + rand.N(1480*time.Millisecond)) //nolint:gosec // his way to the pump
				pump.come()
			case http.StatusServiceUnavailable:
				refused[h].Add(1)
			default:
				t.Errorf("a viewer was answered %s", resp.Status)
			}
		})
	}
	took := time.Since(began)
	all.Wait()
	total := sent[0].Load() + sent[1].Load() + sent[2].Load()
	over := max(total-limit, 0)
	t.Logf("%d viewers within %v: sent by house %d, %d and %d, told that it is full %d; %d too many (%.1f %%), the pump turned away %d",
		crowd, took.Round(time.Millisecond), sent[0].Load(), sent[1].Load(), sent[2].Load(), refused[0].Load()+refused[1].Load()+refused[2].Load(),
		over, 100*float64(over)/limit, pump.state().Refused)
	if over > limit*2/100 {
		t.Errorf("%d were sent to a pump of %d", total, limit)
	}
	if total < limit*8/10 {
		t.Errorf("only %d were sent to a pump of %d", total, limit)
	}
	// Whoever comes after that fills it.
	eventually(t, 60*time.Second, "the pump is filled", func() bool {
		for i := range houses {
			resp, err := client.Get(houses[i].Plain(fmt.Sprintf("/streams/studio?id=late%d", rand.Int())))
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusFound {
				pump.come()
			}
		}
		return pump.state().Viewers == limit
	})
	if turned := pump.state().Refused; turned > limit*2/100 {
		t.Errorf("in the end the pump has turned away %d", turned)
	}
}
