package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

const (
	manyPumps   = 1000
	manyViewers = 50_000
)

// many gives the fleet a thousand pumps: one at the top, 30 below it, the others below these.
func (w *world) many() {
	r := &roster.Roster{}
	for i := range manyPumps {
		p := roster.Pump{ID: fmt.Sprintf("p%04d", i), Title: fmt.Sprintf("Pump %d", i), MaxViewers: 300, Enabled: true}
		p.Networks = []roster.Network{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)}}
		if i > 0 {
			p.Parents = []string{aboveOf(i)}
		}
		r.Pumps = append(r.Pumps, p)
	}
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	if err := w.desk.set(r.Pumps); err != nil {
		w.t.Fatal(err)
	}
	w.fleet.SetStreams([]live.Stream{{Path: "studio", Name: "Studio", Type: "mmsh_pull", Enabled: true}})
}

func aboveOf(i int) string {
	if i <= 30 {
		return "p0000"
	}
	return fmt.Sprintf("p%04d", 1+i%30)
}

// report lets all pumps say what they do; the first time with those who watch.
func (w *world) report(round int64) {
	const each = manyViewers / manyPumps
	for i := range manyPumps {
		id := fmt.Sprintf("p%04d", i)
		parent := ""
		if i > 0 {
			parent = aboveOf(i)
		}
		n := each + (round+int64(i))%7
		b := &fleet.Batch{Pump: id, Boot: boot, Number: round + 1, First: 1, State: &fleet.State{
			UptimeS: round, CPU: 0.5, Processors: 4, Memory: 1 << 28, Viewers: n, Joined: 10 * n, InBPS: 1_000_000, OutBPS: n * 1_000_000,
			Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, Viewers: n, BPS: 1_000_000, InBPS: 1_000_000, OutBPS: n * 1_000_000, Parent: parent, Source: "http://192.0.2.7:8080/live"}},
		}}
		if round > 0 {
			b.First = each + 1
		}
		for v := 0; round == 0 && v < each; v++ {
			b.Events = append(b.Events, fleet.Event{Kind: fleet.KindJoin, Viewer: &fleet.Viewer{
				ID: strconv.Itoa(v), Client: fmt.Sprintf("c%d-%d", i, v), Stream: "studio", Address: fmt.Sprintf("10.%d.%d.%d", i>>8, i&255, v),
				Agent: "NSPlayer/12.00.19041.0001", Kind: "mmsh", Bytes: 1 << 20, Health: fleet.HealthGood,
			}})
		}
		if _, ok := w.fleet.Apply(b, live.Direct); !ok {
			w.t.Fatal("no such pump")
		}
	}
}

// The page of a fleet of a thousand pumps with fifty thousand viewers, all of which report every
// second: what it is sent, and what it keeps and draws, is bounded whatever the fleet's size.
func TestThePageOfALargeFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newWorld(t, nil)
	w.many()
	w.report(0)
	for round := range int64(20) {
		w.later(time.Second)
		w.report(round + 1)
	}
	b := newBrowser(w)
	b.run("opening the page", chromedp.Navigate(w.server.URL+"/"))
	b.until("the log-in", "document.querySelector('form.login input:focus')")
	begun := time.Now()
	b.run("logging in", script(`const f = document.querySelector('form.login'); f.elements.name.value = 'anna'; f.elements.password.value = "anna's password"; f.requestSubmit()`))
	b.until("the first drawing", "document.querySelectorAll('.card').length > 0")
	first := time.Since(begun)
	b.until("the sum of all", "Number(document.querySelector('.tile .big').textContent.replaceAll(',', '')) > 40000")
	if got := b.eval("document.querySelectorAll('.card').length + ' ' + document.querySelector('.more').textContent"); got != "60 60 of 1,000 pumps are shown. Show more" {
		t.Errorf("cards: %s", got)
	}
	b.until("the past of what is looked at", "[...document.querySelectorAll('.card')].slice(0, 12).every((c) => c.querySelector('.line').getAttribute('d').length > 50)")
	b.picture("large-fleet-desktop-light")

	// What comes over the line in ten seconds of all pumps reporting, counted by a second follower and in the page itself.
	b.run("counting", script(`import('/static/fleet.js').then(({fleet}) => {
		const before = fleet.figures;
		window.told = {times: 0, bytes: 0, pumps: 0, ms: 0, worst: 0};
		fleet.figures = (f) => {
			const begun = performance.now();
			before.call(fleet, f);
			document.body.getBoundingClientRect(); // where everything is has been worked out, too
			const took = performance.now() - begun, t = window.told;
			window.told = {times: t.times + 1, bytes: t.bytes + JSON.stringify(f).length, pumps: t.pumps + f.pumps.length, ms: t.ms + took, worst: Math.max(t.worst, took)};
		};
	})`))
	b.until("the counter", "window.told")
	before := b.metrics()
	line := w.followed(t, 10, func(round int64) { w.later(time.Second); w.report(21 + round) })
	b.until("the page has been told as often", "window.told.times >= 9")
	after := b.metrics()
	var told struct{ Times, Bytes, Pumps, MS, Worst float64 }
	if err := json.Unmarshal([]byte(b.eval("JSON.stringify(window.told)")), &told); err != nil {
		t.Fatal(err)
	}
	t.Logf("the page was told %.0f times, %.0f KiB and %.0f pumps each; it took %.1f ms each and %.1f ms at most", told.Times, told.Bytes/told.Times/1024, told.Pumps/told.Times, told.MS/told.Times, told.Worst)
	if told.Bytes/told.Times > 400<<10 || told.Pumps/told.Times > maxFigures+50 || told.Pumps < 5*maxFigures {
		t.Errorf("the page was told %+v", told)
	}
	t.Logf("first drawing after %v; at the beginning %d KiB, then %d KiB a second with %d pumps a second; 10 s cost the page %.2f s of script and %.2f s in all; heap %.0f MiB, %.0f nodes",
		first, line.first>>10, line.rest/10>>10, line.pumps/10, after["ScriptDuration"]-before["ScriptDuration"], after["TaskDuration"]-before["TaskDuration"], after["JSHeapUsedSize"]/(1<<20), after["Nodes"])
	if line.first > 3<<20 || line.rest/10 > 400<<10 || line.pumps/10 > maxFigures+50 {
		t.Errorf("the line is wider than it should be: %+v", line)
	}
	if after["JSHeapUsedSize"] > 200<<20 || after["Nodes"] > 60_000 {
		t.Errorf("the page keeps too much: %v", after)
	}

	for page, want := range map[string]string{
		"viewers": "document.querySelectorAll('tbody tr').length === 200 && document.querySelector('main .dim').textContent === '200 of 50,000 are shown'",
		"tree":    "document.querySelectorAll('.node').length === 150 && document.querySelector('main .dim').textContent.includes('850 pumps are only in the words below')",
	} {
		b.run("going there", script("location.hash = '#/"+page+"'"))
		b.until(page, want)
		b.picture("large-" + page + "-desktop-light")
		if b.eval(overlap) != "false" {
			t.Errorf("%s: pumps lie over each other", page)
		}
	}
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"desktop", 1280, 900}} {
		b.run("the window", chromedp.EmulateViewport(size.width, size.height))
		b.scheme("dark")
		for page, there := range map[string]string{"tree": ".node", "fleet": ".card .line[d^='M1']"} {
			b.run("going there", script("location.hash = '#/"+page+"'"))
			b.until(page, `document.querySelector("`+there+`")`)
			b.check("large " + page + ", " + size.name)
			b.picture("large-" + page + "-" + size.name + "-dark")
		}
	}
	b.run("a search", script("location.hash = '#/viewers/c999-7'"))
	b.until("it finds one of 50,000", "document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody th').textContent === 'c999-7'")
	if m := b.metrics(); m["Nodes"] > 60_000 {
		t.Errorf("nodes that nobody sees any more are kept: %v", m["Nodes"])
	}
	for _, f := range b.faults {
		if !strings.Contains(f, "401") {
			t.Error(f)
		}
	}
}

// metrics are the browser's own of the page.
func (b *browser) metrics() map[string]float64 {
	b.w.t.Helper()
	var list struct {
		Metrics []struct {
			Name  string  `json:"name"`
			Value float64 `json:"value"`
		} `json:"metrics"`
	}
	b.run("measuring", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if err := t.Call(ctx, "Performance.enable", cdp.Empty{}, &struct{}{}); err != nil {
			return err
		}
		return t.Call(ctx, "Performance.getMetrics", cdp.Empty{}, &list)
	}))
	m := map[string]float64{}
	for _, x := range list.Metrics {
		m[x.Name] = x.Value
	}
	return m
}
