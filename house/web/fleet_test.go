package web

import (
	"fmt"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// boot of all pumps of the tests.
const boot = "0123456789abcdef"

// seven is a fleet of seven pumps: ottawa at the top, toronto and montreal below it, and four
// at the leaves.
func (w *world) seven() {
	w.t.Helper()
	net := func(s string) []roster.Network { return []roster.Network{{Prefix: netip.MustParsePrefix(s)}} }
	pumps := []roster.Pump{
		{ID: "ottawa", Title: "Ottawa", Networks: net("10.1.0.0/16"), MaxViewers: 500, Enabled: true},
		{ID: "toronto", Title: "Toronto", Parents: []string{"ottawa"}, Networks: net("10.2.0.0/16"), MaxViewers: 400, Enabled: true},
		{ID: "montreal", Title: "Montréal", Parents: []string{"ottawa", "toronto"}, Networks: net("10.3.0.0/16"), MaxViewers: 400, Enabled: true},
		{ID: "calgary", Title: "Calgary", Parents: []string{"toronto", "montreal"}, Networks: net("10.4.0.0/16"), MaxViewers: 300, Enabled: true},
		{ID: "winnipeg", Title: "Winnipeg", Parents: []string{"toronto"}, Networks: net("10.5.0.0/16"), MaxViewers: 300, Enabled: true},
		{ID: "halifax", Title: "Halifax", Parents: []string{"montreal"}, Networks: net("10.6.0.0/16"), MaxViewers: 120, Enabled: true},
		{ID: "gaspe", Title: "Gaspé", Parents: []string{"montreal"}, Networks: net("2001:db8::/32"), MaxViewers: 300, Enabled: true},
	}
	for i := range pumps {
		if _, err := w.desk.PutPump(w.t.Context(), pumps[i], 0); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, s := range []string{`{"path":"studio","name":"Studio","type":"mmsh_pull"}`, `{"path":"hall","name":"Great hall","type":"mmsh_push"}`} {
		if _, _, err := w.desk.PutStream(w.t.Context(), []byte(s), 0); err != nil {
			w.t.Fatal(err)
		}
	}
}

// parents of the tree as it is when all is well.
var parents = map[string]string{"toronto": "ottawa", "montreal": "ottawa", "calgary": "toronto", "winnipeg": "toronto", "halifax": "montreal", "gaspe": "montreal"}

// batches counts what each pump has told.
type teller struct {
	w      *world
	number map[string]int64
	next   map[string]int64
}

func (w *world) teller() *teller {
	return &teller{w, map[string]int64{}, map[string]int64{}}
}

// tell lets a pump say what it does; viewers are of studio, without pumps downstream.
func (p *teller) tell(pump string, viewers, downstream int64, events ...fleet.Event) {
	p.w.t.Helper()
	p.number[pump]++
	if p.next[pump] == 0 {
		p.next[pump] = 1
	}
	all := viewers + downstream
	s := fleet.State{
		UptimeS: 3600, CPU: 0.1 + float64(viewers)/500, Processors: 2, Memory: 80 << 20, Viewers: all, Joined: 4 * all, InBPS: 1_300_000, OutBPS: all * 1_000_000,
		Streams: []fleet.StreamState{
			{Path: "studio", State: fleet.StreamLive, Viewers: all, BPS: 1_000_000, InBPS: 1_000_000, OutBPS: all * 1_000_000, UpS: 3000, Parent: parents[pump], Source: "http://192.0.2.7:8080/live"},
			{Path: "hall", State: fleet.StreamConnecting},
		},
	}
	b := &fleet.Batch{Pump: pump, Boot: boot, Number: p.number[pump], State: &s, First: p.next[pump], Events: events}
	if err := b.Check(pump); err != nil {
		p.w.t.Fatal(err)
	}
	p.next[pump] += int64(len(events))
	if _, ok := p.w.fleet.Apply(b, live.Direct); !ok {
		p.w.t.Fatalf("no pump %s", pump)
	}
}

// join is an event of a viewer with an outside id.
func join(n int, client string) fleet.Event {
	return fleet.Event{Kind: fleet.KindJoin, Viewer: &fleet.Viewer{
		ID: fmt.Sprint(n), Client: client, Stream: "studio", Address: fmt.Sprintf("10.4.0.%d", n), Agent: "NSPlayer/12.00.19041.0001",
		Kind: "mmsh", ForMS: int64(n) * 61_000, Bytes: int64(n) * 7_654_321, LagMS: int64(n) * 90, Health: fleet.HealthGood,
	}}
}

// all lets the whole fleet say that all is well, with some viewers at calgary.
func (p *teller) all() {
	p.tell("ottawa", 41, 2)
	p.tell("toronto", 122, 2)
	p.tell("montreal", 87, 2)
	p.tell("calgary", 214, 0)
	p.tell("winnipeg", 63, 0)
	p.tell("halifax", 120, 0)
	p.tell("gaspe", 9, 0)
}

// minutes gives every pump a past.
func (p *teller) minutes() {
	for i := range 120 {
		wave := func(n, k int64) int64 { return n + (n*int64((i*int(k))%17)-n*8)/60 + int64(i)/8 }
		p.tell("ottawa", wave(30, 3), 2)
		p.tell("toronto", wave(100, 5), 2)
		p.tell("montreal", wave(70, 2), 2)
		p.tell("calgary", wave(180, 7), 0)
		p.tell("winnipeg", wave(50, 4), 0)
		p.tell("halifax", wave(90, 3), 0)
		p.tell("gaspe", wave(5, 6), 0)
		p.w.later(time.Second)
	}
}
