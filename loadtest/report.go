package loadtest

// Verdicts of a run.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive" // the load tester or its source was the bottleneck
)

// Report is what a run found. Its JSON names are fixed; times are in milliseconds unless the name says otherwise.
type Report struct {
	Verdict     string   `json:"verdict"`
	Reasons     []string `json:"reasons,omitempty"` // why it is no pass
	Notes       []string `json:"notes,omitempty"`   // worth knowing, without bearing on the verdict
	Interrupted bool     `json:"interrupted,omitempty"`

	Clients   ClientCounts `json:"clients"`
	DurationS float64      `json:"duration_s"` // steady state, all phases
	Bytes     uint64       `json:"bytes_total"`
	Mbit      float64      `json:"mbit_per_s"`

	Delivery Delivery  `json:"delivery"`
	Join     Quantiles `json:"join_ms"`
	Latency  Quantiles `json:"latency_ms"`
	Gaps     Gaps      `json:"gaps"`
	Protocol uint64    `json:"protocol_errors"`
	Server   Server    `json:"server"`

	Stalls   Stalls         `json:"stalls"`
	Slow     SlowViewers    `json:"slow"`
	Churned  uint64         `json:"churned"`    // times a viewer left on purpose and came back
	Rejoined uint64         `json:"reconnects"` // times a viewer came back after the stream had ended
	Ended    uint64         `json:"ended"`      // connections that the server ended
	Failures map[string]int `json:"failures,omitempty"`
	Faults   []Fault        `json:"errors,omitempty"` // the first ones
	Tester   Tester         `json:"load_tester"`
	Machine  Machine        `json:"machine"`
	Source   *Source        `json:"source,omitempty"` // synthetic source, when it was ours
	Phases   []PhaseReport  `json:"phases,omitempty"`
	Setup    Setup          `json:"setup"`
	Series   []Sample       `json:"series,omitempty"` // twice a second, thinned out in long runs
	Shape    Shapes         `json:"distributions"`
}

// ClientCounts counts viewers.
type ClientCounts struct {
	Requested  int `json:"requested"`
	Connected  int `json:"connected"` // got a whole key-frame packet, once at least
	Failed     int `json:"failed"`    // never did
	AliveAtEnd int `json:"alive_at_end"`
}

// Delivery is received ÷ published while connected, over the steady viewers.
type Delivery struct {
	Min float64 `json:"min"`
	P01 float64 `json:"p01"`
	P50 float64 `json:"p50"`
}

// Quantiles of times in ms.
type Quantiles struct {
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Count int64   `json:"count"`
}

// Gaps are packets that viewers did not get although later ones came.
type Gaps struct {
	Clients int    `json:"clients"`
	Packets uint64 `json:"packets"`
}

// Stalls are times without data longer than the threshold.
type Stalls struct {
	Threshold float64 `json:"threshold_ms"`
	Clients   int     `json:"clients"`
	Count     uint64  `json:"count"`
	Longest   float64 `json:"longest_ms"`
}

// SlowViewers are those that stop reading or read slowly; they are in no other figure but clients.
type SlowViewers struct {
	Clients int    `json:"clients"`
	Dropped int    `json:"dropped"` // let go by the server
	Gaps    uint64 `json:"gap_packets"`
}

// Server is the measured process over the steady state.
type Server struct {
	PID       int     `json:"pid,omitempty"`
	CPU       float64 `json:"cpu_s"`
	PerViewer float64 `json:"cpu_us_per_viewer_s"`
	RSS       uint64  `json:"rss_bytes"`
	Peak      uint64  `json:"rss_peak_bytes"`
	BaseRSS   uint64  `json:"rss_before_bytes"` // before the first viewer
}

// Tester is this process over the steady state.
type Tester struct {
	CPU       float64 `json:"cpu_s"`
	PerViewer float64 `json:"cpu_us_per_viewer_s"`
	OfServer  float64 `json:"cpu_of_server"` // its processor time ÷ the server's, 0 when that is not known
	RSS       uint64  `json:"rss_bytes"`
	Loops     int     `json:"loops"`
	Reader    string  `json:"reader"`       // io_uring or epoll, "" where all viewers are over TLS
	Busy      float64 `json:"busiest_loop"` // share of the time it was not asleep
	LagP99    float64 `json:"loop_lag_p99_ms"`
	LagMax    float64 `json:"loop_lag_max_ms"`
	JoinToil  float64 `json:"join_busy_max_ms,omitempty"` // the longest a loop worked without a rest while viewers joined

	Bottleneck bool `json:"bottleneck"` // it, or its source, had no time left: the figures are not the server's
}

// Machine is the machine that the load tester ran on, over the steady state.
type Machine struct {
	Processors int     `json:"processors"`
	Busy       float64 `json:"busy"` // share of all their time, 0 when that is not known

	// Dropped counts packets that were lost on the way between two programs of the machine because a queue was full, from
	// the first join on.
	Dropped uint64 `json:"dropped_packets,omitempty"`
}

// Source is the synthetic source's own account.
type Source struct {
	Published uint64  `json:"packets"`
	Bytes     uint64  `json:"bytes"`
	LateP99   float64 `json:"late_p99_ms"` // handed to the kernel after it was due
	LateMax   float64 `json:"late_max_ms"`
	Connects  uint64  `json:"connects"`
}

// PhaseReport is one phase.
type PhaseReport struct {
	Name      string    `json:"name"`
	Clients   int       `json:"clients"`
	Alive     int       `json:"alive"` // at its end
	DurationS float64   `json:"duration_s"`
	Mbit      float64   `json:"mbit_per_s"`
	Join      Quantiles `json:"join_ms"`
	Latency   Quantiles `json:"latency_ms"`
	CPU       float64   `json:"server_cpu_s"`
	PerViewer float64   `json:"server_cpu_us_per_viewer_s"`
	RSS       uint64    `json:"server_rss_bytes"`
}

// Setup is what was asked for.
type Setup struct {
	URLs        []string `json:"urls"` // without secrets
	OwnPump     bool     `json:"own_pump"`
	Stamped     bool     `json:"stamped"` // packets carried stamps, so there are latencies
	Rate        int      `json:"rate_bps,omitempty"`
	Packet      int      `json:"packet_bytes,omitempty"`
	Ramp        float64  `json:"ramp_per_s"`
	Slow        float64  `json:"slow"`
	SlowBPS     int      `json:"slow_bps,omitempty"`
	Churn       float64  `json:"churn_per_s"`
	MinDelivery float64  `json:"min_delivery"`
	MaxJoin     float64  `json:"max_join_ms"`
}

// Sample is one moment of the run.
type Sample struct {
	At      float64 `json:"t"` // s since the first viewer
	Phase   int     `json:"phase"`
	Steady  bool    `json:"steady,omitempty"`
	Viewers int     `json:"viewers"`
	Joins   float64 `json:"joins_per_s"`
	Mbit    float64 `json:"mbit_per_s"`
	Cores   float64 `json:"server_cores"`
	RSS     uint64  `json:"server_rss_bytes"`
	Own     float64 `json:"tester_cores"`
}

// Shapes are distributions for charts.
type Shapes struct {
	Delivery []Bar `json:"delivery,omitempty"` // by share, ascending
	Latency  []Bar `json:"latency,omitempty"`  // by ms
	Join     []Bar `json:"join,omitempty"`     // by ms
}

// Bar is one bucket: everything above the bar before it and up to UpTo.
type Bar struct {
	UpTo  float64 `json:"up_to"`
	Count int64   `json:"count"`
}

// Fault is one thing a viewer received that it must not.
type Fault struct {
	Client int    `json:"client"` // from 1
	Packet uint64 `json:"packet"` // the source's number, or LocationId where there are no stamps
	Place  int64  `json:"place"`  // bytes into the body of its connection
	Kind   string `json:"kind"`
	Text   string `json:"text"`
}
