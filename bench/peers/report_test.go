//go:build linux

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func twoRounds() *results {
	return &results{Machine: "2 × test", How: "peers", Versions: map[string]string{"pump": "v1", "vlc": "vlc-bin 3"}, Runs: []row{
		{Round: 1, Server: "pump", Viewers: 1000, RateBPS: 300_000, Joined: 1000, Served: 1000, SourceBPS: 3e5, BPS: 3e5, WorstBPS: 3e5, CPU: 40},
		{Round: 1, Server: "vlc", Viewers: 1000, RateBPS: 300_000, Joined: 1000, Served: 1000, SourceBPS: 3e5, BPS: 3e5, WorstBPS: 3e5, CPU: 80, Hottest: 0.97},
		{Round: 1, Server: "nginx", Viewers: 1000, RateBPS: 300_000, Trouble: "it | broke\ntwice"},
		{Round: 2, Server: "vlc", Viewers: 1000, RateBPS: 300_000, Joined: 990, Served: 980, SourceBPS: 3e5, BPS: 2.7e5, WorstBPS: 0, CPU: 120, Hottest: 0.97, FirstError: "connecting: reset"},
		{Round: 2, Server: "pump", Viewers: 1000, RateBPS: 300_000, Joined: 1000, Served: 1000, SourceBPS: 3e5, BPS: 3e5, WorstBPS: 3e5, CPU: 30},
	}}
}

// A ratio is taken within a round; of served viewers the worst round counts.
func TestMedians(t *testing.T) {
	list := twoRounds().medians()
	if len(list) != 3 || list[0].Server != "pump" || list[1].Server != "vlc" || list[2].Trouble == "" {
		t.Fatalf("got %+v", list)
	}
	if v := list[1]; v.Ratio != 3 || v.Served != 980 || v.Joined != 990 || v.CPULeast != 80 || v.CPUMost != 120 {
		t.Errorf("got %+v", v)
	}
}

func TestTableSaysWhatAPeerCannotDo(t *testing.T) {
	table := twoRounds().markdown()
	for _, want := range []string{
		"| 1000 × 300k | stream-pump | MMSH | 1000 / 1000 | 0.300 | 35.0 [30.0–40.0] | 1.00 |",
		"980 / 1000", "10 never got in", "10 of those who joined fell behind or were cut off, the worst at 0 %",
		"core full: a thread of the server ran 97 %", "first error: connecting: reset", "it / broke; twice", "vlc-bin 3", "Notes:",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	var back struct {
		Runs, Medians []row
	}
	if err := json.Unmarshal(twoRounds().json(), &back); err != nil || len(back.Runs) != 5 || len(back.Medians) != 3 {
		t.Errorf("the JSON has %d runs and %d medians, %v", len(back.Runs), len(back.Medians), err)
	}
}

// A viewer's rate leaves out the first piece, so that it does not depend on the phase
// of the server's writes; who got nothing at the end has none.
func TestRate(t *testing.T) {
	second := int64(time.Second)
	steady := viewer{first: second / 5, last: 49 * second / 5, bytes: 48 * 7500}
	if got := steady.rate(10 * second); got < 299_999 || got > 300_001 {
		t.Errorf("steady: %.0f bit/s", got)
	}
	if got := steady.rate(13 * second); got != 0 {
		t.Errorf("cut off: %.0f bit/s", got)
	}
	if got := (&viewer{}).rate(10 * second); got != 0 {
		t.Errorf("never served: %.0f bit/s", got)
	}
}

func TestPlan(t *testing.T) {
	p, err := parseFlags([]string{"-viewers", "50,1000", "-rates", "300k,1M", "-only", "vlc,pump", "-rounds", "2"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range p.jobs() {
		names = append(names, j.String())
	}
	if len(names) != 16 || names[0] != "round 1, 50 viewers × 300k, vlc" || names[8] != "round 2, 50 viewers × 300k, pump" {
		t.Errorf("jobs: %q", names)
	}
	if again := p.command(); !strings.Contains(again, "-viewers 50,1000 -rates 300k,1M -only vlc,pump") {
		t.Errorf("to repeat: %s", again)
	}
	for _, wrong := range [][]string{{"-viewers", "1"}, {"-viewers", "x"}, {"-rates", "5k"}, {"-only", "apache"}, {"-rounds", "0"}, {"-duration", "1h"}} {
		if _, err := parseFlags(wrong); err == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
}
