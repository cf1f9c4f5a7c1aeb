package hooks

import (
	"slices"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// The viewers of a pump that stays dead have left, told once each; when it comes back with
// them, they have joined.
func TestViewersOfADeadPumpAreToldOnce(t *testing.T) {
	w, r := newWorldOf(t, live.Options{DeadAfter: time.Millisecond, LostAfter: 2 * time.Millisecond}), newReceiver(t)
	w.sender(Options{Hooks: []Hook{{URL: r.URL, Events: []live.Kind{live.ViewerLeft, live.ViewerJoined}}}})
	w.say(nil, event(fleet.KindJoin, "1"), event(fleet.KindJoin, "2"))
	r.events(2)
	wait(t, func() bool {
		w.fleet.Sweep(false)
		return w.fleet.Watching() == 0
	})
	for range 10 {
		w.fleet.Sweep(false)
	}
	r.events(4)
	w.number++
	b := &fleet.Batch{Pump: "a", Boot: "00000000000000b1", Number: w.number, First: w.next, Snapshot: &fleet.Snapshot{
		After: w.next - 1, Parts: 1, Viewers: []fleet.Viewer{*event(fleet.KindJoin, "1").Viewer},
	}}
	if _, ok := w.fleet.Apply(b, live.Direct); !ok {
		t.Fatal("no such pump")
	}
	var told []string
	for _, e := range r.events(5) {
		told = append(told, string(e.Event)+" "+e.Viewer.ID+" "+e.Viewer.Health)
	}
	slices.Sort(told[2:4])
	want := []string{"viewer_joined 1 good", "viewer_joined 2 good", "viewer_left 1 gone", "viewer_left 2 gone", "viewer_joined 1 good"}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}
