package roster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/config"
)

// Everything that is wrong between pumps is told at once, each with its place.
func TestFaultsBetweenPumps(t *testing.T) {
	text := `[
{"id": 0, "title": "Ottawa", "parents": ["calgary", "calgary"]},
{"id": "0", "networks": ["10.0.0.0/8", "10.1.2.3/8", {"cidr": "::ffff:10.0.0.0/104", "priority": 3}]},
{"id": "calgary", "parent_id": "regina"},
{"id": "regina", "parents": ["moon", 0]},
{"id": "none"},
{"id": "self", "parent_id": "self"},
{"id": "worse", "max_viewers": -1}
]`
	_, err := Parse("r.json", []byte(text))
	want := strings.TrimSpace(`
r.json:2:41: 0 has the parent calgary twice (each parent once, the preferred one first)
r.json:2:41: pumps get their streams from each other: 0 ← calgary ← regina ← 0 (parents without a circle)
r.json:3:8: a second pump has the id 0 (an id of its own: the other is "Ottawa")
r.json:3:40: 0 has the network 10.0.0.0/8 twice (each network once)
r.json:3:54: 0 has the network 10.0.0.0/8 twice (each network once)
r.json:5:29: regina has the parent moon, which is no pump (an id of this roster)
r.json:6:8: no pump can be called "none" (another id)
r.json:7:29: pumps get their streams from each other: self ← self (parents without a circle)
r.json:8:32: max_viewers -1 is out of range (0 to 10000000)`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAPumpThatIsItsOwnParentIsACircle(t *testing.T) {
	r := &Roster{Pumps: []Pump{{ID: "a"}, {ID: "b", Parents: []string{"b"}}}}
	if c := r.Cycles(); !reflect.DeepEqual(c, [][]string{{"b", "b"}}) {
		t.Errorf("%v", c)
	}
}

func TestATreeHasNoCircle(t *testing.T) {
	r := &Roster{Pumps: []Pump{
		{ID: "d", Parents: []string{"b", "c", "a"}}, {ID: "b", Parents: []string{"a"}}, {ID: "c", Parents: []string{"a", "b"}}, {ID: "a"},
	}}
	if c := r.Cycles(); c != nil {
		t.Errorf("%v", c)
	}
	if err := r.Problems(); err != nil {
		t.Error(err)
	}
}

func TestExpectationsOfUnknownPumps(t *testing.T) {
	_, err := Parse("r.yaml", []byte("pumps: [{id: a}]\nexpect: [10.0.0.1 → a, 10.0.0.1 → b, 10.0.0.1 → none]\n"))
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != 2 || problems[0].Column != 24 {
		t.Errorf("%v", err)
	}
}

// What is exported is read again as the same, keys as hashes.
func TestExportIsImport(t *testing.T) {
	text := `pumps:
  - {id: 0, title: Ottawa, key: hush, networks: [{cidr: 10.1.3.0/24, priority: 2}], url: "http://a:8086", max_viewers: 300, max_bandwidth: 200M}
  - {id: "007", enabled: false, parents: [0]}
  - {id: calgary, draining: true, parents: ["007", 0], networks: ["2001:db8::/32"]}
expect: [10.1.3.7 → 0]
`
	f, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if f.Keys["0"] != "hush" || len(f.Keys) != 1 {
		t.Errorf("%v", f.Keys)
	}
	hash := "$2b$10$" + strings.Repeat("a", 53)
	out := f.Roster.JSON(map[string]string{"0": hash})
	again, err := Parse("r.json", out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !reflect.DeepEqual(again.Roster, f.Roster) || again.Keys["0"] != hash {
		t.Errorf("%+v\nbecame\n%+v", f.Roster, again.Roster)
	}
	if strings.Contains(string(out), "hush") {
		t.Error("the key is exported")
	}
	for _, p := range f.Roster.Pumps {
		one, key, err := UnmarshalPump(MarshalPump(p))
		if err != nil || key != "" || !reflect.DeepEqual(one, p) {
			t.Errorf("%+v became %+v, %v", p, one, err)
		}
	}
}

func TestOnePumpIsOne(t *testing.T) {
	for _, text := range []string{"", `{"id":1},{"id":2}`, "7", `{"id":1}]`, `{"id": "a b"}`} {
		if p, _, err := UnmarshalPump([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

func TestAFileCutInHalfIsRefusedWithItsPlace(t *testing.T) {
	var pumps []string
	for i := range 50 {
		pumps = append(pumps, fmt.Sprintf(`{"id": %d, "networks": ["10.%d.0.0/16"]}`, i, i))
	}
	whole := "[\n" + strings.Join(pumps, ",\n") + "\n]\n"
	file := filepath.Join(t.TempDir(), "roster.json")
	for n := 1; n < len(whole)-3; n += 7 {
		if err := os.WriteFile(file, []byte(whole[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		var problems config.Problems
		if _, err := Load(file); !errors.As(err, &problems) || problems[0].Line == 0 {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}
