package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// clock is moved by the test.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func watcherNamed(id string) Viewer {
	return Viewer{ID: id, Client: "client " + id, Stream: "card", Address: "192.0.2.1", Kind: "mmsh", Agent: "a player"}
}

func TestEventsAreNumberedAndKeptUntilAcknowledged(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	j := newJournal(c.read, 100)
	j.Joined(watcherNamed("1"))
	j.Joined(watcherNamed("2"))
	c.now = c.now.Add(3 * time.Second)
	j.Left(watcherNamed("1"), "left")
	first, list, lost, more := j.oldest()
	if first != 1 || len(list) != 3 || lost != 0 || more {
		t.Fatalf("from %d: %d events, %d lost, more %t", first, len(list), lost, more)
	}
	if list[0].AgoMS != 3000 || list[2].AgoMS != 0 || list[2].Kind != KindLeave || list[2].Reason != "left" || list[2].Viewer.Health != HealthGone {
		t.Errorf("events %+v", list)
	}
	j.ack(2)
	if first, list, _, _ = j.oldest(); first != 3 || len(list) != 1 || list[0].Kind != KindLeave {
		t.Errorf("after the receipt, from %d: %+v", first, list)
	}
	j.ack(1) // an old one
	j.ack(99)
	if first, list, _, _ = j.oldest(); first != 4 || len(list) != 0 {
		t.Errorf("a receipt for what never was: from %d, %d events", first, len(list))
	}
}

func TestAJournalThatIsFullLosesTheOldest(t *testing.T) {
	j := newJournal(time.Now, 10)
	for i := range 25 {
		j.Joined(watcherNamed(fmt.Sprint(i)))
	}
	first, list, lost, _ := j.oldest()
	if first != 16 || len(list) != 10 || lost != 15 || j.Lost() != 15 {
		t.Errorf("from %d: %d events, %d lost", first, len(list), lost)
	}
	if parts := j.snapshot(nil); len(parts[0].Viewers) != 25 || parts[0].After != 25 {
		t.Errorf("the list has %d viewers after %d", len(parts[0].Viewers), parts[0].After)
	}
}

func TestALeaveWithoutAJoinIsNoEvent(t *testing.T) {
	j := NewJournal()
	j.Left(watcherNamed("1"), "left")
	if _, list, _, _ := j.oldest(); len(list) != 0 {
		t.Errorf("events %+v", list)
	}
}

func TestHealthIsToldWhenItChanges(t *testing.T) {
	j := NewJournal()
	j.Joined(watcherNamed("1"))
	for _, poor := range []bool{false, true, true, false} {
		j.Standing([]Figures{{ID: "1", Bytes: 5, Poor: poor}, {ID: "nobody", Poor: poor}})
	}
	_, list, _, _ := j.oldest()
	var got []string
	for _, e := range list[1:] {
		got = append(got, e.Kind+" "+e.Viewer.Health)
	}
	if want := "health poor, health good"; strings.Join(got, ", ") != want {
		t.Errorf("told %v, want %s", got, want)
	}
}

// Whatever viewers call themselves, what is told passes the house's own checks and bounds.
func TestWhatIsToldPassesTheHousesChecks(t *testing.T) {
	j := NewJournal()
	for i := range 3 * MaxViewers / 2 {
		v := watcherNamed(fmt.Sprint(i))
		v.Agent, v.Client = strings.Repeat("<", 5000), strings.Repeat("<", MaxClient)
		v.LagMS, v.Bytes = -5, -1
		switch i % 100 {
		case 1:
			v.Client = "two\nlines"
		case 2:
			v.Agent = "\xff\x00 binary"
		}
		j.Joined(v)
	}
	told := 0
	for more := true; more; {
		var b Batch
		b.Pump, b.Boot, b.Number = "ottawa", NewBoot(), 1
		b.First, b.Events, b.Lost, more = j.oldest()
		check(t, &b)
		told += len(b.Events)
		j.ack(b.First + int64(len(b.Events)) - 1)
	}
	if told != 3*MaxViewers/2 {
		t.Errorf("%d events were told", told)
	}
	listed := 0
	parts := j.snapshot(nil)
	for i := range parts {
		check(t, &Batch{Pump: "ottawa", Boot: NewBoot(), Number: 1, First: parts[i].After + 1, Snapshot: &parts[i]})
		listed += len(parts[i].Viewers)
	}
	if listed != 3*MaxViewers/2 || len(parts) < 2 {
		t.Errorf("%d viewers are listed in %d parts", listed, len(parts))
	}
}

func check(t *testing.T, b *Batch) {
	t.Helper()
	body, encoding, err := Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	var got Batch
	if err := Decode(strings.NewReader(string(body)), encoding, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.Check("ottawa"); err != nil {
		t.Fatal(err)
	}
}

func TestWhoIsMeantByACommand(t *testing.T) {
	j := NewJournal()
	for _, id := range []string{"1", "2", "3"} {
		v := watcherNamed(id)
		if id != "1" {
			v.Client = "twice"
		}
		j.Joined(v)
	}
	for name, tt := range map[string]struct {
		command Command
		want    int
	}{
		"an id of the pump":               {Command{Viewers: []string{"1"}}, 1},
		"an outside id of several":        {Command{Clients: []string{"twice"}}, 2},
		"the same one both ways":          {Command{Viewers: []string{"2"}, Clients: []string{"twice"}}, 2},
		"nobody who is here":              {Command{Viewers: []string{"9"}, Clients: []string{"nobody"}}, 0},
		"an outside id is not the pump's": {Command{Clients: []string{"1"}}, 0},
	} {
		if got := j.Find(&tt.command); len(got) != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func BenchmarkJournalJoinAndLeave(b *testing.B) {
	j := NewJournal()
	v := watcherNamed("1")
	b.ReportAllocs()
	for b.Loop() {
		j.Joined(v)
		j.Left(v, "left")
		j.ack(1 << 50)
	}
}
