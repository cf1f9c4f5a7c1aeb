package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// MaxRosterBytes is how long a roster file may be.
const MaxRosterBytes = 16 << 20

// RosterFile is a fleet's list of pumps as it is written: the list alone, as in 2011, or a
// mapping of pumps and expect.
type RosterFile struct {
	Pumps  []RosterPump   `yaml:"pumps"`
	Expect []RosterExpect `yaml:"expect"`
}

// RosterPump is one pump of a [RosterFile].
type RosterPump struct {
	ID           string          `yaml:"id"` // a number or text
	Title        string          `yaml:"title"`
	Key          string          `yaml:"key"`       // as the pump has it, or its hash
	ParentID     string          `yaml:"parent_id"` // the 2011 spelling of parents: [ID]
	Parents      Names           `yaml:"parents"`   // in order of preference
	Networks     []RosterNetwork `yaml:"networks"`  // each a mapping, or the CIDR alone
	URL          string          `yaml:"url"`
	MaxViewers   int             `yaml:"max_viewers"`   // 0: no limit
	MaxBandwidth Bandwidth       `yaml:"max_bandwidth"` // 0: no limit
	Enabled      bool            `yaml:"enabled"`
	Draining     bool            `yaml:"draining"`
}

// RosterNetwork is a network that a pump serves.
type RosterNetwork struct {
	CIDR     netip.Prefix `yaml:"cidr"`
	Priority int          `yaml:"priority"` // the higher one wins
}

// RosterExpect is what is expected of the whole roster: "10.1.3.7 → ottawa", or
// {address: 10.1.3.7, pump: ottawa}.
type RosterExpect struct {
	Address netip.Addr `yaml:"address"`
	Pump    string     `yaml:"pump"` // id, or "none"
}

// Fault is something wrong at a place of a file that is told by its path, as in
// pumps[3].parents.
type Fault struct {
	Path, What, Right string
}

var rosterForm = form{
	root: reflect.TypeFor[RosterFile](), literal: true, least: "[] for no pumps",
	maxBytes: MaxRosterBytes, maxNodes: 2_000_000,
	rules: map[string]rule{
		"pumps[].id":                  {check: checkPumpID},
		"pumps[].title":               {check: checkTitle},
		"pumps[].key":                 {check: checkKey},
		"pumps[].parent_id":           {check: checkParentID},
		"pumps[].parents":             {check: checkPumpID},
		"pumps[].url":                 {check: checkPumpURL},
		"pumps[].max_viewers":         number(0, maxCount),
		"pumps[].max_bandwidth":       {bounded: true, max: 1e15, limits: "0 to 1000T, in bit/s"},
		"pumps[].networks[].priority": number(-1_000_000, 1_000_000),
		"expect[].pump":               {check: checkPumpID},
	},
	entries: map[reflect.Type]func() reflect.Value{
		reflect.TypeFor[[]RosterPump]():    func() reflect.Value { return reflect.ValueOf(RosterPump{Enabled: true}) },
		reflect.TypeFor[[]RosterNetwork](): func() reflect.Value { return reflect.ValueOf(RosterNetwork{}) },
		reflect.TypeFor[[]RosterExpect]():  func() reflect.Value { return reflect.ValueOf(RosterExpect{}) },
	},
}

// LoadRoster reads a roster file: JSON as in 2011, also with comments, or YAML. check, if
// not nil, finds what is wrong between entries that are each right; all problems come
// at once, as [Problems].
func LoadRoster(file string, check func(*RosterFile) []Fault) (*RosterFile, error) {
	data, err := disk.Read(file, MaxRosterBytes)
	if err != nil {
		return nil, fmt.Errorf("reading roster: %w", err)
	}
	return ParseRoster(file, data, check)
}

// ParseRoster is [LoadRoster] for data already read.
func ParseRoster(name string, data []byte, check func(*RosterFile) []Fault) (*RosterFile, error) {
	d := newDecoderOf(name, &rosterForm)
	f := &RosterFile{}
	if root := d.tree(name, data); root != nil {
		d.roster(root, f)
		if check != nil {
			for _, x := range check(f) {
				d.problem(d.at(x.Path), x.What, x.Right)
			}
		}
	}
	if len(d.problems) > 0 {
		return nil, d.problems.finish(name)
	}
	return f, nil
}

func (d *decoder) roster(root *node, f *RosterFile) {
	switch root.kind {
	case kindList:
		d.value(root, reflect.ValueOf(&f.Pumps).Elem(), "pumps")
	case kindMap:
		d.mapping(root, reflect.ValueOf(f).Elem(), "")
		if !d.given("pumps") {
			d.problem(root.at, "pumps is missing", "a list of pumps; [] for none")
		}
	default:
		d.problem(root.at, "a roster is a list of pumps, not "+root.kind.String(), `[{"id": "ottawa", …}, …]`)
	}
	for i := range f.Pumps {
		d.rosterPump(&f.Pumps[i], fmt.Sprintf("pumps[%d]", i))
	}
	for i := range f.Expect {
		at := fmt.Sprintf("expect[%d]", i)
		if e := &f.Expect[i]; !d.broken[at] && (!e.Address.IsValid() && !d.given(at+".address") || e.Pump == "" && !d.given(at+".pump")) {
			d.problem(d.at(at), "an expectation wants address and pump", `"10.1.3.7 → ottawa"`)
		}
	}
}

func (d *decoder) rosterPump(p *RosterPump, at string) {
	if d.broken[at] {
		return
	}
	if p.ID == "" && !d.given(at+".id") {
		d.problem(d.at(at), "the pump has no id", "id: a number or a name, in the file once")
	}
	if d.given(at+".parent_id") && d.given(at+".parents") {
		d.problem(d.at(at+".parent_id"), "the pump has both parent_id and parents", "parents alone, the first is preferred")
	}
	if p.ParentID != "" {
		p.Parents = Names{p.ParentID}
		d.where[at+".parents"] = d.at(at + ".parent_id")
	}
	if p.Title == "" {
		p.Title = p.ID
	}
	for i, n := range p.Networks {
		if path := fmt.Sprintf("%s.networks[%d]", at, i); !n.CIDR.IsValid() && !d.given(path+".cidr") && !d.broken[path] {
			d.problem(d.at(path), "the network has no cidr", "as in {cidr: 10.1.3.0/24, priority: 0}")
		}
	}
}

// network takes the CIDR alone besides a mapping.
func (d *decoder) network(n *node, v reflect.Value, path string) {
	if n.kind == kindText {
		d.present[path+".cidr"] = true
		d.prefix(n, &v.Addr().Interface().(*RosterNetwork).CIDR, path)
		return
	}
	d.mapping(n, v, path)
}

func (d *decoder) prefix(n *node, to *netip.Prefix, path string) {
	p, err := parseNetwork(n.text)
	if n.kind != kindText || err != nil {
		d.problem(n.at, fmt.Sprintf("%s is no network", shown(n, path)), "as in 10.1.3.0/24 or 2001:db8::/32")
		return
	}
	*to = unmapped(p)
}

// unmapped returns an IPv4 network that is written as an IPv6 one as IPv4.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p
}

// arrow divides an expectation written as one text.
var arrow = regexp.MustCompile(`\s*(?:→|->|=>)\s*`)

// expectation takes "ADDRESS → PUMP" besides a mapping.
func (d *decoder) expectation(n *node, v reflect.Value, path string) {
	if n.kind != kindText {
		d.mapping(n, v, path)
		return
	}
	e := v.Addr().Interface().(*RosterExpect)
	d.present[path+".address"], d.present[path+".pump"] = true, true
	parts := arrow.Split(strings.TrimSpace(n.text), -1)
	if len(parts) != 2 {
		d.problem(n.at, fmt.Sprintf("%s is no expectation", shown(n, path)), `"10.1.3.7 → ottawa"`)
		return
	}
	d.address(&node{kind: kindText, at: n.at, text: parts[0]}, &e.Address, path)
	d.text(&node{kind: kindText, at: n.at, text: parts[1]}, &e.Pump, path+".pump")
}

func (d *decoder) address(n *node, to *netip.Addr, path string) {
	a, err := netip.ParseAddr(n.text)
	if err != nil || a.Zone() != "" {
		d.problem(n.at, fmt.Sprintf("%s is no IP address", shown(n, path)), "as in 10.1.3.7 or 2001:db8::7")
		return
	}
	*to = a.Unmap()
}
