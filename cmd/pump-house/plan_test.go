package main

import (
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/house/roster"
)

func TestAPlanIsForPeople(t *testing.T) {
	var b strings.Builder
	plan := &roster.Plan{
		Viewers: 130, Stay: 100, Pumps: []roster.PumpChange{{ID: "ottawa", What: "max_viewers: 300 → 200"}, {ID: "toronto", What: "removed"}},
		Moves:    []roster.Move{{From: "toronto", To: "ottawa", Viewers: 20, AtOnce: true}, {From: "ottawa", To: "calgary", Viewers: 8}},
		Refused:  []roster.Refusal{{From: "toronto", Viewers: 2, AtOnce: true, Why: "all pumps for them are full"}},
		Expected: 3, Unmet: []string{"10.1.3.7 goes to ottawa, not to toronto"},
	}
	if err := printPlan(&b, "new.json", plan); err != nil {
		t.Fatal(err)
	}
	want := `pump ottawa   max_viewers: 300 → 200
pump toronto  removed

Of the 130 viewers of now, with new.json:

100  stay where they are
20   toronto → ottawa   at once
8    ottawa → calgary   when they come again
2    toronto → nowhere  at once: all pumps for them are full

It is not as expected: 10.1.3.7 goes to ottawa, not to toronto

2 of 3 expectations are met.
`
	if b.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", b.String(), want)
	}
}
