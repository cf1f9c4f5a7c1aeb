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
			o, err := ParseScenario(strings.NewReader(tc.yaml), "s.yaml", base)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%v %v %d %d %v %d", o.Phases, o.URLs, o.Rate, o.Packet, o.Slow, o.SlowBPS); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// Everything that is wrong is told at once, a line each, with its place and what would be right.
func TestWrongScenarios(t *testing.T) {
	for _, tc := range []struct {
		name, yaml string
		want       []string
	}{
		{"nothing", "", []string{"s.yaml:1:1: the scenario has no phases (phases: [{clients: 100, duration: 20s}])"}},
		{"no phases", "rate: 5000\n", []string{"s.yaml:1:1: the scenario has no phases ("}},
		{"no mapping", "[1, 2]\n", []string{"s.yaml:1:1: this is no mapping (keys: packet, phases, "}},
		{"unknown keys", "colour: red\nphases:\n  - {clients: 3, size: 3}\n", []string{
			`s.yaml:1:1: unknown key "colour" (packet, phases, rate, slow, slow_bps, urls)`,
			`s.yaml:3:18: unknown key "size" (churn, clients, duration, name, ramp)`}},
		{"wrong values, several", "rate: 5\nslow: 2\nurls: [ftp://h/x]\nphases:\n  - {clients: many, duration: soon}\n  - {clients: -3, ramp: fast, churn: -1, duration: -1s}\n",
			[]string{`s.yaml:1:7: "5" cannot be (1000 to 1000000000 bit/s)`, `s.yaml:2:7: "2" cannot be (a number, 0 to 1)`,
				`s.yaml:3:8: address "ftp://h/x": neither mmsh:// nor http:// nor https:// (a list of`,
				`s.yaml:5:15: "many" cannot be (0 to 1000000 viewers)`, `s.yaml:5:31: "soon" cannot be (a time span`,
				`s.yaml:6:15: "-3" cannot be`, `s.yaml:6:25: "fast" cannot be (a number, -1 to 1e+06)`, `s.yaml:6:38: "-1" cannot be`,
				`s.yaml:6:52: "-1s" cannot be`}},
		{"values of another kind", "phases: {clients: 3}\nurls: mmsh://h/x\nrate: [3000]\n", []string{
			"s.yaml:1:", "s.yaml:2:7: this is no list", "s.yaml:3:7: this is no plain value (1000 to"}},
		{"no YAML", "phases: [", []string{"s.yaml:1:9: this is no YAML: "}},
		{"too many phases", "phases: [" + strings.Repeat("{},", 200) + "]", []string{"s.yaml:1:9: 200 entries are too many (at most 100)"}},
		{"too deep", "phases: " + strings.Repeat("[", 5000), []string{"s.yaml:1:25: values are nested too deeply ("}},
		{"too long", strings.Repeat("#", maxScenario+5), []string{"s.yaml:1:1: the file is too long (at most 1048576 bytes)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseScenario(strings.NewReader(tc.yaml), "s.yaml", Options{Clients: 1})
			if err == nil {
				t.Fatal("taken")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(lines), len(tc.want), err)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("problem %d: %s\nwant       %s", i+1, lines[i], want)
				}
			}
		})
	}
}

func FuzzScenario(f *testing.F) {
	f.Add("phases:\n  - {name: warm, clients: 10, ramp: 2, duration: 3s, churn: 1}\n")
	f.Add("rate: 3\nurls: [a, b]\nphases: [{}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseScenario(strings.NewReader(text), "s.yaml", Options{Clients: 1, Duration: time.Second})
		if err == nil && (len(o.Phases) == 0 || len(o.Phases) > maxPhases) {
			t.Errorf("%d phases", len(o.Phases))
		}
	})
}
