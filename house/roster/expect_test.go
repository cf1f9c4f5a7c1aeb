package roster

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const expecting = `pumps:
  - {id: ottawa, networks: [{cidr: 10.1.3.0/24, priority: 5}, 10.0.0.0/8]}
  - {id: gatineau, networks: [10.0.0.0/8, "2001:db8::/32"]}
  - {id: everywhere, networks: [{cidr: 10.1.3.7/32, priority: 1}, {cidr: 0.0.0.0/0, priority: -1}, {cidr: "::/0", priority: -1}]}
  - {id: off, enabled: false, networks: [{cidr: 10.0.0.0/8, priority: 9}]}
  - {id: drained, draining: true, networks: [{cidr: 10.0.0.0/8, priority: 9}]}
`

// The higher priority wins, whatever the length of the prefix; of equals all.
func TestCandidates(t *testing.T) {
	f, err := Parse("r.yaml", []byte(expecting))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string][]string{
		"10.1.3.7":        {"ottawa"},
		"::ffff:10.1.3.7": {"ottawa"},
		"10.2.0.1":        {"ottawa", "gatineau"},
		"192.0.2.1":       {"everywhere"},
		"2001:db8::1":     {"gatineau"},
		"2001:db9::1":     {"everywhere"},
	} {
		if got := f.Roster.Candidates(netip.MustParseAddr(address)); !slices.Equal(got, want) {
			t.Errorf("%s goes to %v, want %v", address, got, want)
		}
	}
	if got := (&Roster{}).Candidates(netip.MustParseAddr("10.0.0.1")); got != nil {
		t.Errorf("%v of no pumps", got)
	}
}

func TestExpectationsAreRunByCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.yaml")
	text := expecting + `expect:
  - 10.1.3.7 → ottawa
  - 10.2.0.1 → gatineau
  - 10.2.0.1 → off
  - 192.0.2.1 → none
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := file + ":10:5: 10.2.0.1 goes to ottawa or gatineau, not to off (networks and priorities that send it there, or another expectation)\n" +
		file + ":11:5: 192.0.2.1 goes to everywhere, not to none (networks and priorities that send it there, or another expectation)"
	if _, err := Check(file); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := Load(file); err != nil {
		t.Errorf("only check runs them: %v", err)
	}
}

// Two changes that are each right can make a circle together; it is cut at the same place
// everywhere.
func TestACircleIsCut(t *testing.T) {
	r := &Roster{Pumps: []Pump{
		{ID: "a", Parents: []string{"c", "b", "a", "nobody"}}, {ID: "b", Parents: []string{"a", "c"}}, {ID: "c", Parents: []string{"b"}},
	}}
	up := r.Acyclic()
	if !slices.Equal(up["a"], []string{"c", "b"}) || !slices.Equal(up["b"], []string{"c"}) || len(up["c"]) != 0 {
		t.Errorf("%v", up)
	}
	for i := range r.Pumps {
		r.Pumps[i].Parents = up[r.Pumps[i].ID]
	}
	if c := r.Cycles(); c != nil {
		t.Errorf("%v", c)
	}
}
