package gate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// paper is what an event stream is written on; it notes when each configuration came.
type paper struct {
	header http.Header

	mu      sync.Mutex
	configs []fleet.Config
	at      []time.Time
}

func (p *paper) Header() http.Header { return p.header }
func (p *paper) WriteHeader(int)     {}
func (p *paper) Flush()              {}

func (p *paper) Write(b []byte) (int, error) {
	m, err := fleet.NewMessageReader(bytes.NewReader(b)).Next()
	if err == nil && m.Event == fleet.EventConfig {
		var c fleet.Config
		if err := json.Unmarshal(m.Data, &c); err != nil {
			return 0, err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.configs, p.at = append(p.configs, c), append(p.at, time.Now())
	}
	return len(b), nil
}

// last returns the newest configuration, and when it came.
func (p *paper) last() (fleet.Config, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.at) == 0 {
		return fleet.Config{}, time.Time{}
	}
	return p.configs[len(p.configs)-1], p.at[len(p.at)-1]
}

// timed is a gate in a time of its own, in which only what waits for a clock takes any, and pumps on paper.
type timed struct {
	*world
	lines map[string]*paper
	stop  map[string]context.CancelFunc
	boots map[string]string
	said  map[string]int64
	done  sync.WaitGroup
}

// ask sends a request as if it had come by TLS.
func (x *timed) ask(ctx context.Context, w http.ResponseWriter, id, session, method, path string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		x.t.Error(err)
		return
	}
	r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(text))
	r.TLS = &tls.ConnectionState{}
	if session == "" {
		r.SetBasicAuth(id, "key of "+id)
	} else {
		r.Header.Set("Authorization", "Bearer "+session)
	}
	x.gate.ServeHTTP(w, r)
}

// join has a pump say hello and listen.
func (x *timed) join(id string) {
	x.t.Helper()
	a := httptest.NewRecorder()
	x.boots[id] = fleet.NewBoot()
	x.ask(x.t.Context(), a, id, "", http.MethodPost, fleet.PathHello, fleet.Hello{Pump: id, Boot: x.boots[id], Port: 8086, Clock: time.Now()})
	var w fleet.Welcome
	if err := json.Unmarshal(a.Body.Bytes(), &w); err != nil || a.Code != http.StatusOK {
		x.t.Fatalf("%s: %d %s", id, a.Code, a.Body)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &paper{header: http.Header{}}
	x.lines[id], x.stop[id] = p, stop
	x.done.Go(func() { x.ask(ctx, p, id, w.Session, http.MethodGet, fleet.PathEvents+"?digest=none", nil) })
}

// tell has a pump say that it delivers the stream.
func (x *timed) tell(id string) {
	x.said[id]++
	b := &fleet.Batch{Pump: id, Boot: x.boots[id], Number: x.said[id], First: 1, State: &fleet.State{Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive}}}}
	if _, ok := x.fleet.Apply(b, live.Direct); !ok {
		x.t.Errorf("%s is not on the roster", id)
	}
}

// live lets time pass, in which the house looks for silent pumps as often as it does, and those that live tell.
func (x *timed) live(d time.Duration, quiet ...string) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(live.SweepEvery)
		x.fleet.Sweep(false)
		for id := range x.lines {
			if len(quiet) == 0 || id != quiet[0] {
				x.tell(id)
			}
		}
	}
	synctest.Wait()
}

// What a house adds of its own to the time in which pumps learn what they should do: it gathers what comes together, and looks
// for silent pumps now and then. Everything else is sent on at once. The time here is the house's alone, and exact: nothing but
// its own waits takes any.
func TestHowLongAHouseTakes(t *testing.T) {
	const pumps = 30
	for _, c := range []struct {
		what   string
		within time.Duration // of the house's waits
		bound  time.Duration // what is promised, the machine's and the network's part included
		do     func(*timed)
		has    func(fleet.Config) bool
		quiet  string
	}{
		{
			"a stream is new", registry.Together + 2*gather, 2 * time.Second,
			func(x *timed) { x.stream(`{"path": "second", "type": "test_card"}`) },
			func(c fleet.Config) bool { return bytes.Contains(c.Settings, []byte(`"second"`)) }, "",
		},
		{
			"the connection to a parent breaks", brokenFor + live.SweepEvery + 2*gather, 5 * time.Second,
			func(x *timed) { x.stop["left"]() },
			func(c fleet.Config) bool { return c.Pump == "left" || !names(c, "left") }, "left",
		},
		{
			"a parent falls silent", live.DeadAfter + live.SweepEvery + 2*gather, 5 * time.Second,
			func(*timed) {},
			func(c fleet.Config) bool { return c.Pump == "left" || !names(c, "left") }, "left",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.within > c.bound-time.Second {
				t.Errorf("the house's waits add up to %v; that leaves less than a second of %v to all else", c.within, c.bound)
			}
			synctest.Test(t, func(t *testing.T) {
				x := &timed{world: &world{t: t, store: store.NewMemory(nil), log: &worldtest.Log{}}, lines: map[string]*paper{}, stop: map[string]context.CancelFunc{}, boots: map[string]string{}, said: map[string]int64{}}
				x.open("house-1")
				defer x.end()
				list := []roster.Pump{{ID: "left"}, {ID: "right"}}
				for i := range pumps {
					list = append(list, roster.Pump{ID: fmt.Sprint("p", i), Parents: []string{"left", "right"}})
				}
				for i := range list {
					list[i].URL = fmt.Sprintf("http://192.0.2.1:%d", 1000+i)
				}
				x.roster(list...)
				x.stream(`{"path": "studio", "type": "test_card"}`)
				for i := range list {
					x.join(list[i].ID)
					x.tell(list[i].ID)
				}
				x.live(10 * time.Second) // the house has settled
				for _, id := range []string{"p0", "p29"} {
					if have, _ := x.lines[id].last(); !names(have, "left") {
						t.Fatalf("%s has nothing of its parent: %s", id, have.Settings)
					}
				}
				began := time.Now()
				c.do(x)
				x.live(c.bound, c.quiet)
				longest := time.Duration(0)
				for id, p := range x.lines {
					have, at := p.last()
					if !c.has(have) {
						t.Fatalf("%s has not: %s", id, have.Settings)
					}
					longest = max(longest, at.Sub(began))
				}
				t.Logf("at all %d pumps after %v, of %v", len(list), longest, c.bound)
				if longest > c.within {
					t.Errorf("at all pumps after %v, want %v at most", longest, c.within)
				}
			})
		})
	}
}

func names(c fleet.Config, parent string) bool {
	for _, id := range c.Parents {
		if id == parent {
			return true
		}
	}
	return false
}

// end ends all that runs, as it must before the time does.
func (x *timed) end() {
	for _, stop := range x.stop {
		stop()
	}
	x.done.Wait()
	x.gate.Close()
	x.registry.Close()
	_ = x.store.Close()
}
