package config

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestRosterProblems(t *testing.T) {
	specify(t, "testdata/roster_problems.txtar", 10, func(name string, data []byte, _ []string) error {
		_, err := ParseRoster(name, data, nil)
		return err
	})
}

func TestHouseProblems(t *testing.T) {
	specify(t, "testdata/house_problems.txtar", 13, func(name string, data []byte, env []string) error {
		_, err := ParseHouse(name, data, env)
		return err
	})
}

// A roster as the 2011 program had it, comments and all.
const roster2011 = `// The pumps of this fleet.

[
{
    "id": 0,
    "title":"Ottawa",
    "key":"first",
    "networks": ["10.1.3.0/24","10.1.4.7/24"]
},
{
    "id": "1",
    "title": "Gatineau",
    "key":"second",
    "parent_id": 0,
    "networks": [{"cidr": "10.18.32.0/24", "priority": 5}, {"cidr": "::ffff:10.19.0.0/112"}]
}
]
`

func TestRosterOf2011(t *testing.T) {
	for _, name := range []string{"pumps-roster.json", "pumps-roster.json.example", "roster"} {
		f, err := ParseRoster(name, []byte(roster2011), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []RosterPump{
			{ID: "0", Title: "Ottawa", Key: "first", Enabled: true, Networks: []RosterNetwork{
				{CIDR: netip.MustParsePrefix("10.1.3.0/24")}, {CIDR: netip.MustParsePrefix("10.1.4.0/24")}}},
			{ID: "1", Title: "Gatineau", Key: "second", Enabled: true, ParentID: "0", Parents: Names{"0"}, Networks: []RosterNetwork{
				{CIDR: netip.MustParsePrefix("10.18.32.0/24"), Priority: 5}, {CIDR: netip.MustParsePrefix("10.19.0.0/16")}}},
		}
		if !reflect.DeepEqual(f.Pumps, want) {
			t.Errorf("%s: %+v\nwant %+v", name, f.Pumps, want)
		}
	}
}

// Files that programs wrote say of a pump at the top that its parent is nothing, or an empty text.
func TestAParentThatIsNone(t *testing.T) {
	f, err := ParseRoster("roster", []byte(`[{"id": "0", "parent_id": ""}, {"id": 1, "parent_id": null}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Pumps[0].Parents)+len(f.Pumps[1].Parents) != 0 {
		t.Errorf("%+v", f.Pumps)
	}
}

func TestRosterWithEverything(t *testing.T) {
	text := `
pumps:
  - id: ottawa
    key: $argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    url: http://192.0.2.1:8086/
    max_viewers: 300
    max_bandwidth: 200 Mbit/s
    networks: [10.0.0.0/8, {cidr: "2001:db8::/32", priority: -1}]
  - id: calgary
    enabled: false
    draining: true
    parents: [ottawa, 7]
expect:
  - 10.1.3.7 → ottawa
  - 2001:db8::1 -> ottawa
  - {address: 192.0.2.1, pump: none}
`
	f, err := ParseRoster("r.yaml", []byte(text), func(f *RosterFile) []Fault { return nil })
	if err != nil {
		t.Fatal(err)
	}
	o, c := f.Pumps[0], f.Pumps[1]
	if o.URL != "http://192.0.2.1:8086" || o.MaxViewers != 300 || o.MaxBandwidth != 200e6 || o.Networks[1].Priority != -1 || o.Title != "ottawa" || !o.Enabled {
		t.Errorf("%+v", o)
	}
	if c.Enabled || !c.Draining || !reflect.DeepEqual(c.Parents, Names{"ottawa", "7"}) {
		t.Errorf("%+v", c)
	}
	want := []RosterExpect{
		{netip.MustParseAddr("10.1.3.7"), "ottawa"}, {netip.MustParseAddr("2001:db8::1"), "ottawa"}, {netip.MustParseAddr("192.0.2.1"), "none"},
	}
	if !reflect.DeepEqual(f.Expect, want) {
		t.Errorf("%+v", f.Expect)
	}
}

// What is found between entries is told with its place, together with everything else.
func TestRosterFaultsHavePlaces(t *testing.T) {
	text := "[{\"id\": 1},\n {\"id\": 1, \"max_viewers\": -1}]"
	_, err := ParseRoster("r.json", []byte(text), func(*RosterFile) []Fault {
		return []Fault{{"pumps[1].id", "the id 1 is taken", "another one"}, {"pumps[1].parents", "x", ""}}
	})
	want := "r.json:2:2: x\nr.json:2:9: the id 1 is taken (another one)\nr.json:2:27: max_viewers -1 is out of range (0 to 10000000)"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
