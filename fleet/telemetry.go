package fleet

import "fmt"

// Batch is what a pump tells at [PathTelemetry], at least every [TelemetryEvery], and at
// once when an event is urgent. Batches of one pump are sent one after the other.
//
// Events are numbered without a gap: Events[i] has the number First+i. The pump sends the
// oldest that are not acknowledged. The house takes events whose number is the next one
// it waits for, ignores those it has, and answers with the last number it has in
// [Receipt.Acked]. If First is beyond what it waits for, or it does not know the boot and
// First is not 1, it takes none and sets [Receipt.Snapshot].
type Batch struct {
	Pump     string    `json:"pump"`
	Boot     string    `json:"boot"`
	Number   int64     `json:"number"` // of the batch since the boot, from 1: an older State never replaces a newer one
	State    *State    `json:"state,omitempty"`
	First    int64     `json:"first"`            // number of Events[0], or of the next event to come
	Events   []Event   `json:"events,omitempty"` // at most MaxEvents
	Lost     int64     `json:"lost,omitempty"`   // events that were dropped because the journal was full, since the boot
	Snapshot *Snapshot `json:"snapshot,omitempty"`
}

// Receipt is the answer to a [Batch].
type Receipt struct {
	Boot     string `json:"boot"`
	Acked    int64  `json:"acked"`    // events up to this number need not be kept
	Snapshot bool   `json:"snapshot"` // send all viewers, in parts, from the first
}

// Snapshot is a part of the list of all viewers as it was right after event number
// After. The parts follow each other, one in every batch until the last, in batches whose
// First is After+1 or more; a part whose batch got no receipt is sent again. With the last
// one the list replaces what the house had, and After is acknowledged. A house that misses
// a part asks for a new list.
type Snapshot struct {
	After   int64    `json:"after"`
	Part    int      `json:"part"` // from 0
	Parts   int      `json:"parts"`
	Viewers []Viewer `json:"viewers"`
}

// State is what a pump does now.
type State struct {
	UptimeS     int64         `json:"uptime_s"`
	CPU         float64       `json:"cpu"`             // processors busy with it, as in 0.35
	Processors  int           `json:"processors"`      // it may use
	Memory      int64         `json:"memory"`          // bytes resident
	Viewers     int64         `json:"viewers"`         // of all streams, downstream pumps included
	Pumps       int64         `json:"pumps,omitempty"` // of these, downstream pumps, of which ViewersMax says nothing
	ViewersMax  int64         `json:"viewers_max"`
	Joined      int64         `json:"joined"`  // viewers ever since the boot
	Refused     int64         `json:"refused"` // for its limits, ever since the boot
	InBPS       int64         `json:"in_bps"`
	OutBPS      int64         `json:"out_bps"`
	OutMaxBPS   int64         `json:"out_max_bps"`
	BytesIn     int64         `json:"bytes_in"`
	BytesOut    int64         `json:"bytes_out"`
	Skipped     int64         `json:"skipped"` // packets viewers jumped over, ever
	Draining    bool          `json:"draining"`
	Config      string        `json:"config"`            // digest of the configuration in force; empty: none
	ConfigFault string        `json:"config_fault"`      // why the last one sent is not in force; empty: it is
	Faults      []string      `json:"faults,omitempty"`  // what else a person should know, at most 20
	Streams     []StreamState `json:"streams,omitempty"` // at most MaxStreams
}

// Counted returns how many count against the limit of viewers: all but downstream pumps.
func (s *State) Counted() int64 { return s.Viewers - s.Pumps }

// States of a stream, as on the pump's own pages.
const (
	StreamOffline    = "offline"
	StreamConnecting = "connecting"
	StreamLive       = "live"
	StreamFallback   = "fallback"
)

// StreamState is one stream of a pump.
type StreamState struct {
	Path    string `json:"path"`
	State   string `json:"state"`
	Viewers int64  `json:"viewers"`
	BPS     int64  `json:"bps"`     // of the stream; announced until it is measured
	InBPS   int64  `json:"in_bps"`  // from the source
	OutBPS  int64  `json:"out_bps"` // to all viewers
	Bytes   int64  `json:"bytes"`   // to viewers, ever
	Skipped int64  `json:"skipped"` // packets viewers jumped over, ever
	Source  string `json:"source"`  // who delivers now, without secrets; empty: nobody
	Parent  string `json:"parent"`  // id of the pump that delivers now; empty: none does
	UpS     int64  `json:"up_s"`    // delivering since
}

// Delivering tells whether viewers get something.
func (s *StreamState) Delivering() bool { return s.State == StreamLive || s.State == StreamFallback }

// Check tells everything that is wrong with b as a batch of the pump with this id, and
// cleans what is only shown.
func (b *Batch) Check(pump string) error {
	var c checker
	if b.Pump != pump {
		c.fault("pump", "is %q, but %q is who sends", Shorten(b.Pump), pump)
	}
	c.boot("boot", b.Boot)
	if b.Number < 1 {
		c.fault("number", "is %d (from 1)", b.Number)
	}
	if b.First < 1 {
		c.fault("first", "is %d (from 1)", b.First)
	}
	c.number("first", b.First, 1<<52)
	c.number("number", b.Number, 1<<52)
	c.number("lost", b.Lost, 1<<52)
	if b.State != nil {
		b.State.check(&c)
	}
	if len(b.Events) > MaxEvents {
		c.fault("events", "are %d (at most %d)", len(b.Events), MaxEvents)
		return c.err()
	}
	for i := range b.Events {
		b.Events[i].check(&c, fmt.Sprintf("events[%d].", i))
	}
	if s := b.Snapshot; s != nil {
		s.check(&c, b.First)
	}
	return c.err()
}

func (s *Snapshot) check(c *checker, first int64) {
	c.number("snapshot.after", s.After, 1<<52)
	if s.After >= first {
		c.fault("snapshot.after", "is %d, with first %d (less than first)", s.After, first)
	}
	if s.Parts < 1 || s.Parts > MaxParts || s.Part < 0 || s.Part >= s.Parts {
		c.fault("snapshot.part", "is %d of %d (0 to %d)", s.Part, s.Parts, MaxParts-1)
	}
	checkViewers(c, "snapshot.viewers", s.Viewers)
}

func checkViewers(c *checker, field string, list []Viewer) {
	if len(list) > MaxViewers {
		c.fault(field, "are %d (at most %d)", len(list), MaxViewers)
		return
	}
	for i := range list {
		list[i].check(c, fmt.Sprintf("%s[%d].", field, i))
	}
}

func (s *State) check(c *checker) {
	c.number("state.uptime_s", s.UptimeS, maxAge)
	c.ratio("state.cpu", s.CPU, maxProcessors)
	c.number("state.processors", int64(s.Processors), maxProcessors)
	c.number("state.memory", s.Memory, maxMemory)
	c.number("state.viewers", s.Viewers, maxCount)
	c.number("state.pumps", s.Pumps, float64(max(s.Viewers, 0)))
	c.number("state.viewers_max", s.ViewersMax, maxCount)
	c.number("state.joined", s.Joined, maxTotal)
	c.number("state.refused", s.Refused, maxTotal)
	c.number("state.in_bps", s.InBPS, maxBits)
	c.number("state.out_bps", s.OutBPS, maxBits)
	c.number("state.out_max_bps", s.OutMaxBPS, maxBits)
	c.number("state.bytes_in", s.BytesIn, maxTotal)
	c.number("state.bytes_out", s.BytesOut, maxTotal)
	c.number("state.skipped", s.Skipped, maxTotal)
	if len(s.Config) > 64 {
		c.fault("state.config", "is no digest")
	}
	s.ConfigFault = Shorten(s.ConfigFault)
	s.Faults = s.Faults[:min(len(s.Faults), maxFaults)]
	for i := range s.Faults {
		s.Faults[i] = Shorten(s.Faults[i])
	}
	if len(s.Streams) > MaxStreams {
		c.fault("state.streams", "are %d (at most %d)", len(s.Streams), MaxStreams)
		return
	}
	seen := make(map[string]bool, len(s.Streams))
	for i := range s.Streams {
		s.Streams[i].check(c, fmt.Sprintf("state.streams[%d].", i), seen)
	}
}

func (s *StreamState) check(c *checker, at string, seen map[string]bool) {
	c.stream(at+"path", s.Path)
	if seen[s.Path] {
		c.fault(at+"path", "%q is there twice", Shorten(s.Path))
	}
	seen[s.Path] = true
	c.oneOf(at+"state", s.State, StreamOffline, StreamConnecting, StreamLive, StreamFallback)
	c.number(at+"viewers", s.Viewers, maxCount)
	c.number(at+"bps", s.BPS, maxBits)
	c.number(at+"in_bps", s.InBPS, maxBits)
	c.number(at+"out_bps", s.OutBPS, maxBits)
	c.number(at+"bytes", s.Bytes, maxTotal)
	c.number(at+"skipped", s.Skipped, maxTotal)
	c.number(at+"up_s", s.UpS, maxAge)
	if s.Parent != "" {
		c.pump(at+"parent", s.Parent)
	}
	s.Source = Shorten(s.Source)
}
