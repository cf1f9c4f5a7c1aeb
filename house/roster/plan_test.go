package roster

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) *Roster {
	t.Helper()
	f, err := Parse("pumps.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Roster
}

// seats makes viewers of a stream from "pump address count", …
func seats(t *testing.T, list ...string) (all []Seat) {
	t.Helper()
	for _, s := range list {
		var pump, address string
		n := 0
		if _, err := fmt.Sscan(s, &pump, &address, &n); err != nil {
			t.Fatal(err)
		}
		for range n {
			all = append(all, Seat{Pump: pump, Stream: "studio", Address: netip.MustParseAddr(address), BPS: 1_000_000})
		}
	}
	return all
}

const planRoster = `[
	{"id": "ottawa", "max_viewers": 10, "networks": [{"cidr": "10.1.0.0/16", "priority": 2}, {"cidr": "0.0.0.0/0", "priority": 1}]},
	{"id": "calgary", "max_viewers": 10, "networks": [{"cidr": "10.2.0.0/16", "priority": 2}, {"cidr": "0.0.0.0/0", "priority": 1}]}]`

func TestPlan(t *testing.T) {
	always := func(string, string) bool { return true }
	tests := map[string]struct {
		next   string
		now    []string
		usable Usable
		want   []string
	}{
		"the same roster moves nobody": {planRoster, []string{"ottawa 10.1.0.1 5", "calgary 10.2.0.1 5"}, always, []string{"10 stay"}},
		"a pump that is taken off loses its viewers at once": {
			`[{"id": "calgary", "networks": ["0.0.0.0/0"]}]`, []string{"ottawa 10.1.0.1 5", "calgary 10.2.0.1 5"}, always,
			[]string{"5 stay", "ottawa → calgary 5 at once", "ottawa removed"},
		},
		"one that is switched off too": {
			strings.Replace(planRoster, `"id": "ottawa"`, `"id": "ottawa", "enabled": false`, 1), []string{"ottawa 192.0.2.1 5"}, always,
			[]string{"0 stay", "ottawa → calgary 5 at once", "ottawa enabled: true → false"},
		},
		"viewers of one that is drained go when they come again": {
			strings.Replace(planRoster, `"id": "ottawa"`, `"id": "ottawa", "draining": true`, 1), []string{"ottawa 192.0.2.1 5"}, always,
			[]string{"0 stay", "ottawa → calgary 5", "ottawa draining: false → true"},
		},
		"a network of a higher priority draws viewers": {
			strings.Replace(planRoster, `"10.2.0.0/16", "priority": 2`, `"10.1.0.0/16", "priority": 3`, 1), []string{"ottawa 10.1.9.9 4", "ottawa 10.3.0.1 1"}, always,
			[]string{"1 stay", "ottawa → calgary 4"},
		},
		"who does not fit goes one priority down, and then nowhere": {
			strings.ReplaceAll(planRoster, `"max_viewers": 10`, `"max_viewers": 3`), []string{"ottawa 10.1.0.1 8"}, always,
			[]string{"3 stay", "ottawa → calgary 3", "ottawa refused 2: all pumps for them are full"},
		},
		"bandwidth is a limit too": {
			strings.ReplaceAll(planRoster, `"max_viewers": 10`, `"max_bandwidth": "3 Mbit/s"`), []string{"ottawa 10.1.0.1 8"}, always,
			[]string{"3 stay", "ottawa → calgary 3", "ottawa refused 2: all pumps for them are full"},
		},
		"a pump that is down or has not the stream takes nobody": {
			strings.Replace(planRoster, `"id": "ottawa"`, `"id": "ottawa", "draining": true`, 1), []string{"ottawa 192.0.2.1 5"},
			func(pump, _ string) bool { return pump != "calgary" },
			[]string{"0 stay", "ottawa refused 5: no pump with their address is there and has the stream"},
		},
		"a new pump counts as if it did what it is for": {
			`[{"id": "halifax", "networks": ["0.0.0.0/0"]}]`, []string{"ottawa 192.0.2.1 5"}, func(string, string) bool { return false },
			[]string{"0 stay", "ottawa → halifax 5 at once", "halifax added", "ottawa removed", "calgary removed"},
		},
		"an address that no network contains is refused": {
			`[{"id": "ottawa", "networks": ["10.0.0.0/8"]}]`, []string{"ottawa 2001:db8::1 1"}, always,
			[]string{"0 stay", "ottawa refused 1: no pump has a network with their address"},
		},
		"of equals the emptier one gets more": {
			`[{"id": "a", "max_viewers": 30, "networks": ["0.0.0.0/0"]}, {"id": "b", "max_viewers": 10, "networks": ["0.0.0.0/0"]}]`, []string{"gone 192.0.2.1 20"}, always,
			[]string{"0 stay", "gone → a 15 at once", "gone → b 5 at once"},
		},
		"of many networks it is told how many are others, though their number is the same": {
			`[{"id": "ottawa", "networks": ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16"]}]`, nil, always,
			[]string{"ottawa max_viewers: 10 → 0; networks: 2 → 5, of these 5 new, 2 gone"},
		},
		"expectations that are not met are told": {
			`{"pumps": [{"id": "a", "networks": ["10.0.0.0/8"]}], "expect": ["10.0.0.1 → none"]}`, nil, always,
			[]string{"0 stay", "unmet 10.0.0.1 goes to a, not to none"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := PlanFor(parsed(t, planRoster), parsed(t, test.next), seats(t, test.now...), test.usable)
			got := told(p)
			for _, want := range test.want {
				if !slices.Contains(got, want) {
					t.Errorf("%q is not told; it tells:\n%s", want, strings.Join(got, "\n"))
				}
			}
			moved := p.Stay
			for _, m := range p.Moves {
				moved += m.Viewers
			}
			for _, r := range p.Refused {
				moved += r.Viewers
			}
			if moved != p.Viewers {
				t.Errorf("%d of %d viewers are accounted for: %v", moved, p.Viewers, got)
			}
		})
	}
}

func told(p *Plan) []string {
	list := []string{fmt.Sprintf("%d stay", p.Stay)}
	at := map[bool]string{true: " at once"}
	for _, m := range p.Moves {
		list = append(list, fmt.Sprintf("%s → %s %d%s", m.From, m.To, m.Viewers, at[m.AtOnce]))
	}
	for _, r := range p.Refused {
		list = append(list, fmt.Sprintf("%s refused %d: %s", r.From, r.Viewers, r.Why))
	}
	for _, c := range p.Pumps {
		list = append(list, c.ID+" "+c.What)
	}
	for _, u := range p.Unmet {
		list = append(list, "unmet "+u)
	}
	return list
}

// The index finds what looking at every network finds.
func TestLevelsAreWhatLookingAtEveryNetworkFinds(t *testing.T) {
	r := parsed(t, `[
		{"id": "a", "networks": [{"cidr": "10.0.0.0/8", "priority": 5}, {"cidr": "10.1.0.0/16", "priority": 1}]},
		{"id": "b", "networks": [{"cidr": "10.1.0.0/16", "priority": 5}, {"cidr": "::/0", "priority": 2}]},
		{"id": "c", "networks": [{"cidr": "0.0.0.0/0", "priority": -1}, {"cidr": "2001:db8::/32", "priority": 2}]}]`)
	x := indexOf(r)
	for _, s := range []string{"10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1", "2001:db9::1", "::ffff:10.1.2.3"} {
		a := netip.MustParseAddr(s)
		var got []string
		if levels := x.levels(a); len(levels) > 0 {
			for _, i := range levels[0].pumps {
				got = append(got, r.Pumps[i].ID)
			}
		}
		if want := r.Candidates(a); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}
