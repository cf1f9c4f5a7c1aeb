package snmp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/pump/agentx"
)

var base = func() agentx.OID {
	oid, err := agentx.ParseOID(BaseOID)
	if err != nil {
		panic(err)
	}
	return oid
}()

// clock is a time that only the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// world is a MIB over figures that the test changes.
type world struct {
	*MIB
	time    clock
	figures Figures
	looks   int
}

func newWorld(streams ...Stream) *world {
	w := &world{time: clock{time.Unix(1e9, 0)}, figures: Figures{Version: "1.2.3", Streams: streams, Loops: make([]Loop, 2)}}
	w.MIB = New(base, func() Figures {
		w.looks++
		f := w.figures
		f.Streams = append([]Stream(nil), w.figures.Streams...)
		return f
	}, w.time.now)
	return w
}

// value returns the value at an identifier below the base, "" when there is none.
func (w *world) value(at ...uint32) string {
	for _, v := range w.Tree() {
		if v.OID.Compare(base.With(at...)) == 0 {
			if v.Kind == agentx.OctetString {
				return v.Text
			}
			return strconv.FormatUint(v.Number, 10)
		}
	}
	return ""
}

func TestValues(t *testing.T) {
	w := newWorld(
		Stream{Path: "b", Name: "Bé", State: "fallback", Source: "file x", Delivering: true, Uptime: 2 * time.Second, Viewers: 3, ViewersTotal: 5,
			RateIn: 1_234_567, BytesIn: 1 << 40, BytesOut: 1 << 41, PacketsIn: 9, Skipped: 8, Reconnects: 7,
			PacketDrops: map[string]uint64{"malformed": 4}, ViewersEnded: map[string]uint64{"stalled": 6}},
		Stream{Path: "a", State: "offline", Viewers: 1},
	)
	w.figures.Uptime, w.figures.Draining, w.figures.Panics = time.Hour, true, 1
	w.figures.Loops[1].Busy = 1500 * time.Microsecond
	for at, want := range map[[5]uint32]string{
		{1, 1, 1, 0}:     "1.2.3",
		{1, 1, 2, 0}:     "360000", // hundredths of a second
		{1, 1, 3, 0}:     "1",
		{1, 1, 4, 0}:     "2", // streams
		{1, 1, 5, 0}:     "1", // on the air
		{1, 1, 6, 0}:     "4", // viewers
		{1, 1, 9, 0}:     "1235",
		{1, 1, 15, 0}:    "1",
		{1, 2, 1, 2, 1}:  "a", // rows by path
		{1, 2, 1, 2, 2}:  "b",
		{1, 2, 1, 3, 2}:  "Bé",
		{1, 2, 1, 4, 1}:  "1",
		{1, 2, 1, 4, 2}:  "4",
		{1, 2, 1, 5, 1}:  "2",
		{1, 2, 1, 5, 2}:  "1",
		{1, 2, 1, 7, 2}:  "200",
		{1, 2, 1, 10, 2}: "1235", // kbit/s
		{1, 2, 1, 12, 2}: "1099511627776",
		{1, 2, 1, 13, 2}: "2199023255552",
		{1, 2, 1, 16, 2}: "7",
		{1, 5, 1, 2, 2}:  "1500",
	} {
		short := at[:]
		for len(short) > 4 && short[len(short)-1] == 0 {
			short = short[:len(short)-1]
		}
		if got := w.value(short...); got != want {
			t.Errorf("%v is %q, want %q", short, got, want)
		}
	}
	if got := w.value(1, 3, 1, 2, 2, 1); got != "4" {
		t.Errorf("malformed packets: %q", got)
	}
	if got := w.value(1, 4, 1, 2, 2, 4); got != "6" {
		t.Errorf("stalled viewers: %q", got)
	}
	tree := w.Tree()
	for i := range tree[1:] {
		if tree[i].OID.Compare(tree[i+1].OID) >= 0 {
			t.Errorf("%v is in front of %v", tree[i].OID, tree[i+1].OID)
		}
	}
}

// A walk sees one moment; later the figures are taken anew, and the rate is what went out
// meanwhile.
func TestOneMomentAndItsRate(t *testing.T) {
	w := newWorld(Stream{Path: "a"})
	w.Tree()
	w.time.at = w.time.at.Add(fresh - 1)
	w.Tree()
	if w.looks != 1 {
		t.Errorf("%d looks within a second", w.looks)
	}
	if got := w.value(1, 2, 1, 11, 1); got != "0" {
		t.Errorf("the rate at the first look is %s", got)
	}
	w.time.at = w.time.at.Add(4*time.Second + 1)
	w.figures.Streams[0].BytesOut = 500_000
	if got := w.value(1, 2, 1, 11, 1); got != "800" { // 5 s
		t.Errorf("the rate is %s kbit/s", got)
	}
	w.time.at = w.time.at.Add(time.Minute)
	w.figures.Streams[0].BytesOut = 100 // the stream was taken away and is back
	if got := w.value(1, 2, 1, 11, 1); got != "0" {
		t.Errorf("the rate of a counter that went back is %s", got)
	}
}

// A stream keeps its row while others come and go, and a row is never given again.
func TestRowsStay(t *testing.T) {
	w := newWorld(Stream{Path: "b"}, Stream{Path: "c"})
	next := func(paths ...string) {
		w.figures.Streams = nil
		for _, p := range paths {
			w.figures.Streams = append(w.figures.Streams, Stream{Path: p})
		}
		w.time.at = w.time.at.Add(time.Minute)
	}
	check := func(want ...string) {
		t.Helper()
		for i, path := range want {
			if got := w.value(1, 2, 1, 2, uint32(i+1)); got != path {
				t.Errorf("row %d is %q, want %q", i+1, got, path)
			}
		}
	}
	check("b", "c")
	next("a", "c")
	check("", "c", "a")
	next("a", "b", "c")
	check("", "c", "a", "b")
	if len(w.rows) != 3 || len(w.sent) != 3 {
		t.Errorf("%d rows and %d rates are kept of 3 streams", len(w.rows), len(w.sent))
	}
}

// Texts are bounded and stay text; what does not fit a gauge is its maximum.
func TestBounds(t *testing.T) {
	w := newWorld(Stream{Path: "a", Name: strings.Repeat("é", 200), Source: "\xff", Viewers: 1 << 40})
	if got := w.value(1, 2, 1, 3, 1); len(got) != 254 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("a name of %d bytes: %q", len(got), got)
	}
	if got := w.value(1, 2, 1, 8, 1); got != "4294967295" {
		t.Errorf("%s viewers", got)
	}
	if got := w.value(1, 2, 1, 6, 1); got != "" {
		t.Errorf("a source of %q", got)
	}
}

func mibFile(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs("../../share/mibs/STREAM-PUMP-MIB.txt")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed; run scripts/install-test-deps", program)
	}
	t.Skipf("%s is not installed; scripts/install-test-deps installs it", program)
}

// The MIB file is without fault.
func TestMIBFile(t *testing.T) {
	need(t, "smilint")
	cmd := exec.Command("smilint", "-l", "6", "-s", mibFile(t))
	cmd.Env = append(os.Environ(), "SMIPATH=testdata/mibs")
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The MIB file has every value, of its type, and no other.
func TestMIBFileFitsTheValues(t *testing.T) {
	text, err := os.ReadFile(mibFile(t))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]agentx.Kind{
		"SnmpAdminString": agentx.OctetString, "TimeTicks": agentx.TimeTicks, "TruthValue": agentx.Integer, "StreamPumpState": agentx.Integer,
		"Gauge32": agentx.Gauge32, "Counter64": agentx.Counter64,
	}
	parents := map[string]string{
		"spSystem": "1.1", "spStreamEntry": "1.2.1", "spPacketDropEntry": "1.3.1", "spViewerEndEntry": "1.4.1", "spLoopEntry": "1.5.1",
	}
	want := map[string]agentx.Kind{}
	form := regexp.MustCompile(`(?s)\n(\w+) OBJECT-TYPE\s+SYNTAX\s+(\w+).*?MAX-ACCESS\s+(\S+).*?::= \{ (\w+) (\d+) \}`)
	for _, m := range form.FindAllStringSubmatch(string(text), -1) {
		if m[3] != "read-only" {
			continue
		}
		kind, known := kinds[m[2]]
		if !known || parents[m[4]] == "" {
			t.Fatalf("%s is of type %s below %s", m[1], m[2], m[4])
		}
		want[parents[m[4]]+"."+m[5]] = kind
	}
	got := map[string]agentx.Kind{}
	for _, v := range newWorld(Stream{Path: "a"}).Tree() {
		below := v.OID[len(base):]
		depth := 3 // of a scalar
		if below[1] > 1 {
			depth = 4 // table, entry and column
		}
		got[agentx.OID(below[:depth]).String()] = v.Kind
	}
	for at, kind := range want {
		if got[at] != kind {
			t.Errorf("%s is of kind %d, and the MIB has %d", at, got[at], kind)
		}
	}
	for at := range got {
		if _, there := want[at]; !there {
			t.Errorf("%s is not in the MIB", at)
		}
	}
}

// The reasons and states of the MIB file are those of the program, with their numbers.
func TestMIBFileHasTheReasons(t *testing.T) {
	text, err := os.ReadFile(mibFile(t))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]uint32{}
	for name, n := range streamStates {
		states[name] = uint32(n)
	}
	for convention, want := range map[string]map[string]uint32{
		"StreamPumpState": states, "StreamPumpDropReason": packetDropReasons, "StreamPumpEndReason": viewerEndReasons,
	} {
		m := regexp.MustCompile(`(?s)` + convention + ` ::= TEXTUAL-CONVENTION.*?SYNTAX INTEGER \{(.*?)\}`).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("no %s", convention)
		}
		got := map[string]uint32{}
		for _, e := range regexp.MustCompile(`(\w+)\((\d+)\)`).FindAllStringSubmatch(m[1], -1) {
			n, _ := strconv.Atoi(e[2])
			name := regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc(e[1], func(s string) string { return "_" + strings.ToLower(s) })
			got[name] = uint32(n)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n the MIB has %v\n the program %v", convention, got, want)
		}
	}
}
