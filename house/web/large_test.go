package web

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// width is what one follower was sent.
type width struct {
	first, rest int // bytes: of all there is, and of the figures after it
	pumps       int // told in these
}

// followed follows the fleet for so many seconds, in each of which something happens first.
func (w *world) followed(t *testing.T, seconds int, happens func(round int64)) (got width) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := w.newClient()
	c.Timeout = 0
	w.logIn(c, "ben")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	event := ""
	for round := 0; round < seconds && lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
			continue
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case ok && event == "fleet":
			got.first += len(data)
			happens(0)
		case ok && event == "figures":
			var f Figures
			if err := json.Unmarshal([]byte(data), &f); err != nil {
				t.Fatal(err)
			}
			got.rest += len(data)
			got.pumps += len(f.Pumps)
			round++
			happens(int64(round))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// In a large fleet each pump's figures are told in turn, and what a person must see is told at
// once.
func TestFiguresOfALargeFleetComeInTurn(t *testing.T) {
	w := newWorld(t, nil)
	w.many()
	w.report(0)
	f := follower{site: &site{opts: w.opts}}
	if o := f.whole(); len(o.Pumps) != manyPumps || o.Pumps[7].History != nil || len(o.History) == 0 {
		t.Errorf("%d pumps, with their past: %v; the past of all: %d", len(o.Pumps), o.Pumps[7].History != nil, len(o.History))
	}
	seen := map[string]bool{}
	rounds := int64(1 + manyPumps/maxFigures)
	for round := range rounds {
		w.report(round + 1)
		n := f.next(0).(Figures)
		if len(n.Pumps) != maxFigures {
			t.Fatalf("%d pumps are told", len(n.Pumps))
		}
		for i := range n.Pumps {
			seen[n.Pumps[i].ID] = true
		}
	}
	if len(seen) != manyPumps {
		t.Errorf("after %d seconds %d pumps have been told", rounds, len(seen))
	}
	w.report(rounds + 1)
	p := w.fleet.View().Pump("p0999")
	trouble := p.Report().State
	trouble.Faults = []string{"the disk is full"}
	if _, ok := w.fleet.Apply(&fleet.Batch{Pump: "p0999", Boot: boot, Number: rounds + 3, First: manyViewers/manyPumps + 1, State: &trouble}, live.Direct); !ok {
		t.Fatal("no such pump")
	}
	n := f.next(0).(Figures)
	if len(n.Pumps) != maxFigures+1 || n.Pumps[0].ID != "p0999" || len(n.Pumps[0].Faults) != 1 {
		t.Errorf("a pump in trouble waits for its turn: %d pumps, the first is %s", len(n.Pumps), n.Pumps[0].ID)
	}
}
