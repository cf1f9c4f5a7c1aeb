package fleet

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const boot = "0123456789abcdef"

func goodViewer() Viewer {
	return Viewer{ID: "7", Client: "anna", Stream: "studio", Address: "192.0.2.1", Agent: "NSPlayer/4.1", Kind: "mmsh", ForMS: 10, Bytes: 1000, Health: HealthGood}
}

func goodBatch() Batch {
	v := goodViewer()
	return Batch{
		Pump: "ottawa", Boot: boot, Number: 3, First: 5,
		State: &State{
			UptimeS: 9, CPU: 0.35, Processors: 2, Memory: 1 << 20, Viewers: 1, Joined: 4, InBPS: 300_000, OutBPS: 300_000,
			Streams: []StreamState{{Path: "studio", State: StreamLive, Viewers: 1, BPS: 300_000, Source: "mmsh://192.0.2.7/x", Parent: "gatineau"}},
		},
		Events: []Event{
			{Kind: KindJoin, AgoMS: 20, Viewer: &v},
			{Kind: KindLeave, AgoMS: 1, Viewer: &v, Reason: "left"},
			{Kind: KindAnswer, Answer: &Answer{Command: boot, Viewers: []Viewer{v}}},
		},
		Snapshot: &Snapshot{After: 4, Part: 0, Parts: 1, Viewers: []Viewer{v}},
	}
}

func TestAGoodBatchPasses(t *testing.T) {
	b := goodBatch()
	if err := b.Check("ottawa"); err != nil {
		t.Fatal(err)
	}
}

// Every number a pump could lie about has a bound, and the refusal names the field.
func TestABatchThatLiesIsRefusedByName(t *testing.T) {
	tests := map[string]struct {
		spoil func(*Batch)
		names string
	}{
		"another pump's id":            {func(b *Batch) { b.Pump = "calgary" }, "pump is"},
		"no boot":                      {func(b *Batch) { b.Boot = "" }, "boot"},
		"a boot that is a path":        {func(b *Batch) { b.Boot = "../../../../etc/passwd" }, "boot"},
		"batch number 0":               {func(b *Batch) { b.Number = 0 }, "number"},
		"event number 0":               {func(b *Batch) { b.First = 0 }, "first"},
		"event number beyond 2^52":     {func(b *Batch) { b.First = 1 << 60 }, "first"},
		"negative lost":                {func(b *Batch) { b.Lost = -1 }, "lost"},
		"negative viewers":             {func(b *Batch) { b.State.Viewers = -5 }, "state.viewers"},
		"a billion viewers":            {func(b *Batch) { b.State.Viewers = 1e9 }, "state.viewers"},
		"more pumps than viewers":      {func(b *Batch) { b.State.Pumps = b.State.Viewers + 1 }, "state.pumps"},
		"fewer pumps than none":        {func(b *Batch) { b.State.Pumps = -1 }, "state.pumps"},
		"negative bandwidth":           {func(b *Batch) { b.State.OutBPS = -1 }, "state.out_bps"},
		"huge bandwidth":               {func(b *Batch) { b.State.OutBPS = 1 << 62 }, "state.out_bps"},
		"negative processor time":      {func(b *Batch) { b.State.CPU = -0.1 }, "state.cpu"},
		"too many processors":          {func(b *Batch) { b.State.CPU = 1e300 }, "state.cpu"},
		"huge memory":                  {func(b *Batch) { b.State.Memory = 1 << 60 }, "state.memory"},
		"a stream twice":               {func(b *Batch) { b.State.Streams = append(b.State.Streams, b.State.Streams[0]) }, "state.streams[1].path"},
		"a stream without a path":      {func(b *Batch) { b.State.Streams[0].Path = "" }, "state.streams[0].path"},
		"a stream's path with markup":  {func(b *Batch) { b.State.Streams[0].Path = "<b>" }, "state.streams[0].path"},
		"an unknown state":             {func(b *Batch) { b.State.Streams[0].State = "great" }, "state.streams[0].state"},
		"negative viewers of a stream": {func(b *Batch) { b.State.Streams[0].Viewers = -1 }, "state.streams[0].viewers"},
		"a parent that is no id":       {func(b *Batch) { b.State.Streams[0].Parent = "a b" }, "state.streams[0].parent"},
		"too many streams":             {func(b *Batch) { b.State.Streams = make([]StreamState, MaxStreams+1) }, "state.streams"},
		"too many events":              {func(b *Batch) { b.Events = make([]Event, MaxEvents+1) }, "events"},
		"an unknown event":             {func(b *Batch) { b.Events[0].Kind = "explode" }, "events[0].kind"},
		"a join of nobody":             {func(b *Batch) { b.Events[0].Viewer = nil }, "events[0].viewer"},
		"an answer without answer":     {func(b *Batch) { b.Events[2].Answer = nil }, "events[2].answer"},
		"an event of the future":       {func(b *Batch) { b.Events[1].AgoMS = -3_600_000 }, "events[1].ago_ms"},
		"a viewer without id":          {func(b *Batch) { b.Events[0].Viewer.ID = "" }, "events[0].viewer.id"},
		"a viewer's address is a name": {func(b *Batch) { b.Events[0].Viewer.Address = "example.org" }, "events[0].viewer.address"},
		"negative bytes":               {func(b *Batch) { b.Events[0].Viewer.Bytes = -1 }, "events[0].viewer.bytes"},
		"negative lag":                 {func(b *Batch) { b.Events[0].Viewer.LagMS = -1 }, "events[0].viewer.lag_ms"},
		"unknown health":               {func(b *Batch) { b.Events[0].Viewer.Health = "ill" }, "events[0].viewer.health"},
		"an outside id with a newline": {func(b *Batch) { b.Events[0].Viewer.Client = "a\nb" }, "events[0].viewer.client"},
		"a snapshot of the future":     {func(b *Batch) { b.Snapshot.After = 5 }, "snapshot.after"},
		"part 1 of 1":                  {func(b *Batch) { b.Snapshot.Part = 1 }, "snapshot.part"},
		"a million parts":              {func(b *Batch) { b.Snapshot.Parts = 1_000_000 }, "snapshot.part"},
		"too many viewers in a part":   {func(b *Batch) { b.Snapshot.Viewers = make([]Viewer, MaxViewers+1) }, "snapshot.viewers"},
		"an answer to no command":      {func(b *Batch) { b.Events[2].Answer.Command = "x" }, "events[2].answer.command"},
		"an answer about nobody real":  {func(b *Batch) { b.Events[2].Answer.Viewers[0].Stream = "" }, "events[2].answer.viewers[0].stream"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := goodBatch()
			tt.spoil(&b)
			err := b.Check("ottawa")
			if err == nil {
				t.Fatal("passed")
			}
			if !strings.Contains(err.Error(), tt.names) {
				t.Errorf("%q does not name %q", err, tt.names)
			}
		})
	}
}

func TestAllFaultsAreToldButNotWithoutEnd(t *testing.T) {
	b := goodBatch()
	b.Events = make([]Event, MaxEvents)
	err := b.Check("ottawa")
	if err == nil {
		t.Fatal("passed")
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != maxFaults+1 {
		t.Errorf("%d lines, want %d and one that counts the rest", n, maxFaults)
	}
}

func TestWhatIsOnlyShownIsCleanedNotRefused(t *testing.T) {
	b := goodBatch()
	b.Events[0].Viewer.Agent = "evil\x1b[2J" + strings.Repeat("ä", MaxText)
	b.State.ConfigFault = "a\xffb"
	b.State.Faults = make([]string, 1000)
	if err := b.Check("ottawa"); err != nil {
		t.Fatal(err)
	}
	if a := b.Events[0].Viewer.Agent; strings.ContainsRune(a, 0x1b) || len(a) > MaxText+10 {
		t.Errorf("agent is %q", a)
	}
	if b.State.ConfigFault != "a\uFFFDb" {
		t.Errorf("fault is %q", b.State.ConfigFault)
	}
	if len(b.State.Faults) > maxFaults {
		t.Errorf("%d faults are kept", len(b.State.Faults))
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"0": true, "ottawa": true, "a.b-c_d": true, strings.Repeat("a", 64): true,
		"": false, ".": false, ".a": false, "a.": false, "a..b": false, "a b": false, "a/b": false, "é": false, "a*": false, "a>": false,
		strings.Repeat("a", 65): false, "a\n": false,
	} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

func TestHello(t *testing.T) {
	good := Hello{Pump: "ottawa", Boot: NewBoot(), URL: "http://192.0.2.1:8086", Port: 8086}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Hello){
		"no id":                      func(h *Hello) { h.Pump = "" },
		"a port out of range":        func(h *Hello) { h.Port = 65536 },
		"an address with a path":     func(h *Hello) { h.URL = "http://a/b" },
		"an address with a password": func(h *Hello) { h.URL = "http://u:p@a" },
		"an mmsh address":            func(h *Hello) { h.URL = "mmsh://a" },
		"a script":                   func(h *Hello) { h.URL = "javascript:alert(1)" },
		"a long digest":              func(h *Hello) { h.Config = strings.Repeat("0", 65) },
	} {
		h := good
		spoil(&h)
		if h.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestAWelcomeCannotMakeAPumpBusy(t *testing.T) {
	good := Welcome{House: "a", Session: "x", ExpiresS: 3600, TelemetryMS: 1000, SilenceMS: 5000, Clock: time.Now()}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Welcome){
		"telemetry without a pause": func(w *Welcome) { w.TelemetryMS = 0 },
		"telemetry once a day":      func(w *Welcome) { w.TelemetryMS = 86_400_000 },
		"a session of no time":      func(w *Welcome) { w.ExpiresS = 0 },
		"no session":                func(w *Welcome) { w.Session = "" },
		"negative renewal":          func(w *Welcome) { w.RenewS = -1 },
	} {
		w := good
		spoil(&w)
		if w.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestACommandNamesSomebody(t *testing.T) {
	good := Command{ID: boot, Kind: CommandKick, Clients: []string{"anna"}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Command){
		"nobody":              func(c *Command) { c.Clients = nil },
		"no id":               func(c *Command) { c.ID = "" },
		"unknown kind":        func(c *Command) { c.Kind = "reboot" },
		"too many":            func(c *Command) { c.Viewers = make([]string, MaxViewers+1) },
		"empty viewer":        func(c *Command) { c.Viewers = []string{""} },
		"empty client":        func(c *Command) { c.Clients = []string{""} },
		"a stream":            func(c *Command) { c.Streams = []string{"studio"} },
		"retry, and somebody": func(c *Command) { c.Kind, c.Streams = CommandRetry, []string{"studio"} },
		"retry of nothing":    func(c *Command) { c.Kind, c.Clients = CommandRetry, nil },
		"retry of no path":    func(c *Command) { c.Kind, c.Clients, c.Streams = CommandRetry, nil, []string{"a b"} },
	} {
		c := good
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestARetryNamesStreams(t *testing.T) {
	c := Command{ID: boot, Kind: CommandRetry, Streams: []string{"studio", "Hall_2"}}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestAConfigIsWholeAndForThisPump(t *testing.T) {
	good := func() Config {
		c := Config{Pump: "ottawa", Title: "Ottawa <1>", Settings: json.RawMessage(`{"streams": [], "x": "<&>"}`), Parents: map[string]string{"mmsh://a/streams/x": "gatineau"}}
		c.Seal()
		return c
	}
	c := good()
	if err := c.Check("ottawa"); err != nil {
		t.Fatal(err)
	}
	// The digest survives the way over the wire, whatever JSON does to blanks and markup.
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var there Config
	if err := json.Unmarshal(b, &there); err != nil {
		t.Fatal(err)
	}
	if err := there.Check("ottawa"); err != nil {
		t.Errorf("over the wire: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"another pump's":         func(c *Config) { c.Pump = "calgary" },
		"changed on the way":     func(c *Config) { c.Draining = true },
		"no settings":            func(c *Config) { c.Settings = nil },
		"settings are a list":    func(c *Config) { c.Settings = json.RawMessage(`[]`); c.Seal() },
		"settings cut off":       func(c *Config) { c.Settings = json.RawMessage(`{"streams": [`); c.Seal() },
		"a parent that is no id": func(c *Config) { c.Parents = map[string]string{"a": "b c"}; c.Seal() },
	} {
		c := good()
		spoil(&c)
		if c.Check("ottawa") == nil {
			t.Errorf("%s passes", name)
		}
	}
	other := good()
	other.Settings = json.RawMessage(`{"streams":[],"x":"<&>"}`)
	other.Seal()
	if other.Digest != good().Digest {
		t.Error("blanks change the digest")
	}
}
