package loadtest

import (
	"testing"
)

func TestAServerThatDoesItsWorkPasses(t *testing.T) {
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	rep := mustRun(t, quick(s.url()))
	wantVerdict(t, rep, Pass)
	if c := rep.Clients; c.Connected != 10 || c.Failed != 0 || c.AliveAtEnd != 10 {
		t.Errorf("clients: %+v", c)
	}
	if rep.Delivery.Min != 1 || rep.Latency.Count == 0 || rep.Join.Count != 10 {
		t.Errorf("delivery %+v, latency %+v, join %+v", rep.Delivery, rep.Latency, rep.Join)
	}
}
