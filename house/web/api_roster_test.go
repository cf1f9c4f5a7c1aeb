package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/house/roster"
)

// withoutCalgary is a roster whose halifax has room for two of calgary's viewers.
const withoutCalgary = `{
  "pumps": [
    {"id": "ottawa", "networks": ["10.1.0.0/16"]},
    {"id": "halifax", "max_viewers": 2, "networks": ["10.4.0.0/16"]}
  ],
  "expect": ["10.4.0.7 → halifax", "10.1.0.1 → halifax"]
}`

// A plan is for everybody who may look; it says who would move from where to where, who
// would be refused and why, which expectations are not met; and puts nothing in force.
func TestAPlanTellsWhoWouldMove(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	p.tell("calgary", 4, 0, join(1, "a"), join(2, "b"), join(3, ""), join(4, ""))
	ben := []string{"Authorization", basic("ben", "ben's password")}
	r := w.do(w.newClient(), http.MethodPost, "/api/v1/roster/plan", withoutCalgary, ben...)
	got := read[Plan](t, r)
	want := Plan{
		Viewers: 4, Move: 2, Refuse: 2, Moves: []PlanMove{{"calgary", "halifax", 2, true}}, Refusals: []PlanRefusal{{"calgary", 2, true, "all pumps for them are full"}},
		Pumps: got.Pumps, Expected: 2, Unmet: []string{"10.1.0.1 goes to ottawa, not to halifax"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got.Pumps) != 7 {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if len(w.fleet.View().Pumps) != 7 {
		t.Error("the plan was put in force")
	}
	if r := w.do(w.newClient(), http.MethodPut, "/api/v1/roster", withoutCalgary, ben...); r.status != http.StatusForbidden {
		t.Errorf("who may only look has applied it: %d", r.status)
	}
}

func TestProblemsOfAPlannedRosterHaveTheirPlace(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	r := w.steer(http.MethodPost, "/api/v1/roster/plan?name=new.json", "[\n  {\"id\": \"a\", \"parent_id\": \"b\"},\n  {\"id\": \"a b\"}\n]")
	if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, `"location":"2:`) || !strings.Contains(r.body, `"location":"3:`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.steer(http.MethodPost, "/api/v1/roster/plan?name=new.yaml", "- id: a\n  networks: [10.0.0.0/8]\n"); r.status != http.StatusOK {
		t.Errorf("YAML: %d %s", r.status, r.body)
	}
	if r := w.steer(http.MethodPost, "/api/v1/roster/plan", "["+strings.Repeat(" ", 17<<20)+"]"); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a roster without end: %d", r.status)
	}
}

// What was planned is applied only to the roster that it was planned for.
func TestAPlanIsAppliedToTheRosterItWasMadeFor(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	planned := w.steer(http.MethodPost, "/api/v1/roster/plan", withoutCalgary)
	tag := planned.header.Get("ETag")
	if export := w.steer(http.MethodGet, "/api/v1/roster", ""); tag == "" || export.header.Get("ETag") != tag {
		t.Errorf("the plan is for %q, in force is %q", tag, export.header.Get("ETag"))
	}
	if r := w.steer(http.MethodPut, "/api/v1/pumps/halifax/draining", `{"draining": true}`); r.status >= 300 {
		t.Fatal(r.body)
	}
	if r := w.steer(http.MethodPut, "/api/v1/roster", withoutCalgary, "If-Match", tag); r.status != http.StatusPreconditionFailed || len(w.fleet.View().Pumps) != 7 {
		t.Errorf("the roster has changed meanwhile: %d %s", r.status, r.body)
	}
	tag = w.steer(http.MethodPost, "/api/v1/roster/plan", withoutCalgary).header.Get("ETag")
	if r := w.steer(http.MethodPut, "/api/v1/roster", withoutCalgary, "If-Match", tag); r.status != http.StatusNoContent || len(w.fleet.View().Pumps) != 2 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A plan looks at everybody: one is made at a time.
func TestOnePlanAtATime(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	begun, end := make(chan struct{}), make(chan struct{})
	w.desk.planning = func() {
		close(begun)
		<-end
	}
	w.logIn(w.client, "anna")
	first := make(chan reply, 1)
	go func() { first <- w.do(w.client, http.MethodPost, "/api/v1/roster/plan", withoutCalgary) }()
	<-begun
	r := w.do(w.client, http.MethodPost, "/api/v1/roster/plan", withoutCalgary)
	close(end)
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("the second: %d %s", r.status, r.body)
	}
	if r := <-first; r.status != http.StatusOK {
		t.Errorf("the first: %d %s", r.status, r.body)
	}
}

func TestAPlanIsBounded(t *testing.T) {
	p := &roster.Plan{Viewers: 5000}
	for i := range 2500 {
		p.Moves = append(p.Moves, roster.Move{From: fmt.Sprint(i), To: "a", Viewers: 1})
		p.Pumps = append(p.Pumps, roster.PumpChange{ID: fmt.Sprint(i), What: "removed"})
	}
	if got := planOf(p); got.Move != 2500 || len(got.Moves) != maxRows || len(got.Pumps) != maxRows || got.Left != 3000 {
		t.Errorf("%d move; %d and %d rows, %d left out", got.Move, len(got.Moves), len(got.Pumps), got.Left)
	}
}
