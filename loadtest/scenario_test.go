package loadtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestScenarios(t *testing.T) {
	base := Options{Clients: 100, Duration: 20 * time.Second, Ramp: -1}
	for _, tc := range []struct {
		name, yaml, want string
	}{
		{"all of it", `
rate: 1000000
packet: 1200
slow: 0.1
slow_bps: 5000
urls: [mmsh://h/x]
phases:
  - {name: warm, clients: 1000, ramp: 200, duration: 10s}
  - {name: herd, clients: 6000, ramp: 0, duration: 1m30s, churn: 50}
`, "[{warm 1000 200 10s 0} {herd 6000 0 1m30s 50}] [mmsh://h/x] 1000000 1200 0.1 5000"},
		{"what is left open is as before", `
phases:
  - {}
  - {clients: 7, duration: 2.5}
  - {ramp: 3}
`, "[{phase 1 100 -1 20s 0} {phase 2 7 -1 2.5s 0} {phase 3 7 3 20s 0}] [] 0 0 0 0"},
		{"JSON", `{"phases":[{"clients":3,"duration":"1s"}]}`, "[{phase 1 3 -1 1s 0}] [] 0 0 0 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := ParseScenario(strings.NewReader(tc.yaml), base)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%v %v %d %d %v %d", o.Phases, o.URLs, o.Rate, o.Packet, o.Slow, o.SlowBPS); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWrongScenarios(t *testing.T) {
	for _, tc := range []struct{ name, yaml, want string }{
		{"nothing", "", "at least one phase"},
		{"no phases", "rate: 5\n", "at least one phase"},
		{"unknown name", "phases:\n  - {clients: 3, colour: red}\n", "[2:"},
		{"no number", "phases:\n  - {clients: many}\n", "[2:"},
		{"no time span", "phases:\n  - {clients: 3, duration: soon}\n", "time span"},
		{"no YAML", "phases: [", ""},
		{"too many phases", "phases: [" + strings.Repeat("{},", 200) + "]", "more than"},
		{"too long", strings.Repeat("#", maxScenario+5), "at most"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseScenario(strings.NewReader(tc.yaml), Options{Clients: 1})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func FuzzScenario(f *testing.F) {
	f.Add("phases:\n  - {name: warm, clients: 10, ramp: 2, duration: 3s, churn: 1}\n")
	f.Add("rate: 3\nurls: [a, b]\nphases: [{}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseScenario(strings.NewReader(text), Options{Clients: 1, Duration: time.Second})
		if err == nil && (len(o.Phases) == 0 || len(o.Phases) > maxPhases) {
			t.Errorf("%d phases", len(o.Phases))
		}
	})
}
