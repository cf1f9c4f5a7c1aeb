package house

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// The command asks the running house, which knows who watches; nothing is put in force.
func TestPlanOfARunningHouse(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "a", "networks": ["0.0.0.0/0"]}, {"id": "b", "networks": ["10.0.0.0/8"]}]`)
	load := configured(t, dir, "pumps_roster_json: pumps.json\nstreams: [{path: Studio, type: test_card}]\n")
	h := start(t, load)
	if !h.Fleet().AddHouse("@other", false) { // whom it serves itself stays there, whatever the roster says
		t.Fatal("the other house is not known")
	}
	for _, id := range []string{"a", "b", "@other"} {
		b := &fleet.Batch{Pump: id, Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{
			Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive, BPS: 1_000_000}},
		}}
		for i := range 4 {
			v := &fleet.Viewer{ID: fmt.Sprint(i), Stream: "Studio", Address: "192.0.2.1", Kind: "mmsh", Health: fleet.HealthGood}
			if i == 3 {
				v.Kind = fleet.KindPump // it comes by itself, not through the house
			}
			b.Events = append(b.Events, fleet.Event{Kind: fleet.KindJoin, Viewer: v})
		}
		if _, ok := h.Fleet().Apply(b, live.Direct); !ok {
			t.Fatal("the pump is not known")
		}
	}
	d, err := OpenDesk(within(t), h.cfg.Load(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.Plan(within(t), "new.json", []byte(`[{"id": "b", "max_viewers": 5, "networks": ["0.0.0.0/0"]}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []roster.Move{{From: "a", To: "b", Viewers: 2, AtOnce: true}}
	if p.Viewers != 6 || p.Stay != 3 || len(p.Moves) != 1 || p.Moves[0] != want[0] || len(p.Refused) != 1 || p.Refused[0].Viewers != 1 {
		t.Errorf("%+v", p)
	}
	var problems config.Problems
	if _, err := d.Plan(within(t), "new.json", []byte(`[{"id": "b"}, {"id": "b"}]`)); !errors.As(err, &problems) {
		t.Errorf("a wrong roster: %v", err)
	}
	if ids(h) != "a b" {
		t.Error("a plan was put in force")
	}
}

func TestOnlyAHouseThatRunsPlans(t *testing.T) {
	cfg, err := configured(t, t.TempDir(), "streams: []\n")()
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDesk(within(t), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Plan(within(t), "new.json", []byte(`[]`)); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
}
