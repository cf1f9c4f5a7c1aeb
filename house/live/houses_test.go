package live

import (
	"fmt"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// from is a batch of a pump.
func from(pump string, b *fleet.Batch) *fleet.Batch {
	b.Pump = pump
	return b
}

func TestThePumpWithinAHouseIsNotOnTheRoster(t *testing.T) {
	f, _ := newFleet(t, "a")
	for range 2 { // once more changes nothing
		if !f.AddHouse("@desk", true) {
			t.Fatal("it is not taken")
		}
	}
	for _, id := range []string{"desk", "@", "@a b", ""} {
		if f.AddHouse(id, false) {
			t.Errorf("%q is taken for a house", id)
		}
	}
	b := from("@desk", batch("0123456789abcdef", 1, 1, join("1", "anna")))
	b.State = &fleet.State{Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive}}}
	if r, ok := f.Apply(b, Direct); !ok || r.Acked != 1 {
		t.Fatalf("its telemetry: %+v %v", r, ok)
	}
	v := f.View()
	if len(v.Pumps) != 1 || len(v.Houses) != 1 || v.Pump("@desk") != v.Houses[0] {
		t.Errorf("the view has %d pumps and %d houses", len(v.Pumps), len(v.Houses))
	}
	if list := f.ByClient("anna"); len(list) != 1 || list[0].Pump != "@desk" {
		t.Errorf("anna is at %+v", list)
	}
	for _, k := range kinds(f) {
		if k != ViewerJoined && k != RosterChanged {
			t.Errorf("told of: %s", k)
		}
	}
	f.SetRoster(&roster.Roster{}) // it stays whatever becomes of the roster
	if f.View().Pump("@desk") == nil || f.Watching() != 1 {
		t.Error("it went with the roster")
	}
}

// A house that has fallen silent is gone, with whom it served; this one is not, however little it says.
func TestAHouseThatFallsSilent(t *testing.T) {
	f, c := newFleet(t)
	f.AddHouse("@own", true)
	f.AddHouse("@other", false)
	for i, id := range []string{"@own", "@other"} {
		source := Source(i == 0)
		if _, ok := f.Apply(from(id, batch("0123456789abcdef", 1, 1, join("1", id))), source); !ok {
			t.Fatal(id)
		}
	}
	c.Add(10 * time.Second)
	f.Sweep(true)
	if f.View().Pump("@other") == nil {
		t.Error("another house is forgotten while nobody can be heard")
	}
	f.Sweep(false)
	if f.View().Pump("@other") != nil || len(f.ByClient("@other")) != 1 || f.ByClient("@other")[0].Left.IsZero() {
		t.Error("another house that is gone is not forgotten, or whom it served is still there")
	}
	if p := f.View().Pump("@own"); p == nil || p.Up() || f.Watching() != 1 {
		t.Error("the house has forgotten itself")
	}
	if _, ok := f.Apply(from("@own", batch("0123456789abcdef", 2, 2)), Direct); !ok || !f.View().Pump("@own").Up() {
		t.Error("it does not come back")
	}
}

func TestHousesAreBounded(t *testing.T) {
	f, _ := newFleet(t)
	for i := range maxHouses {
		if !f.AddHouse(fmt.Sprintf("@h%d", i), false) {
			t.Fatal(i)
		}
	}
	if f.AddHouse("@more", false) {
		t.Error("there is no end of houses")
	}
}
