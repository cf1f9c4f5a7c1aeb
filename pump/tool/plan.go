package tool

import (
	"fmt"
	"strings"

	"github.com/stream-pump/stream-pump/server"
)

// Load is an audience to plan for.
type Load struct {
	Viewers int   `json:"viewers"`
	Bitrate int64 `json:"bitrate_bps"` // bit/s of each stream
	Streams int   `json:"streams"`
}

// Plan is what a machine needs for a load.
type Plan struct {
	Load
	BandwidthOut int64     `json:"bandwidth_out_bps"`   // towards viewers, with framing and TCP/IP
	BandwidthIn  int64     `json:"bandwidth_in_bps"`    // from the sources
	Memory       int64     `json:"memory_bytes"`        // of the process
	KernelMemory int64     `json:"kernel_memory_bytes"` // of sockets when all viewers keep up
	KernelWorst  int64     `json:"kernel_worst_bytes"`  // of sockets when all viewers stall at once
	OpenFiles    int64     `json:"open_files"`
	Settings     []Setting `json:"settings"`
}

// Setting is one setting of the Linux kernel that the load depends on.
type Setting struct {
	Name string `json:"name"` // as sysctl spells it
	Want int64  `json:"want"` // at least; exactly when Exact
	Why  string `json:"why"`

	Exact    bool `json:"exact,omitempty"`
	Field    int  `json:"field,omitempty"`    // which number of the setting, from 0
	Optional bool `json:"optional,omitempty"` // the kernel may not have it, and all is well
	Nice     bool `json:"nice,omitempty"`     // it works without, at a higher cost
}

// What the figures of a plan are made of.
const (
	overheadPercent = 4         // framing, TCP/IP and Ethernet headers on full packets
	processBase     = 24 << 20  // bytes: the program, its heap at rest, one ring's index
	perViewer       = 4 << 10   // bytes of the process, as docs/performance.md measures
	ringSeconds     = 20        // of each stream, as configured by default
	ringMost        = 32 << 20  // bytes of each stream, as configured by default
	socketRest      = 6 << 10   // bytes of the kernel for a connection that keeps up
	filesBeside     = 64        // descriptors that are no viewer
	backlogMost     = 4096      // viewers that connect before one is accepted
	pageSize        = 4 << 10   // bytes, as tcp_mem counts
	defaultBitrate  = 1_000_000 // bit/s
	queueDefault    = 1000      // packets from program to program on a processor, as Linux has it
	queueEnoughFor  = 10_000    // viewers
)

// MakePlan computes what a load needs. A zero Streams is one stream.
func MakePlan(l Load) Plan {
	if l.Streams <= 0 {
		l.Streams = 1
	}
	if l.Bitrate <= 0 {
		l.Bitrate = defaultBitrate
	}
	viewers := int64(l.Viewers)
	ring := min(l.Bitrate/8*ringSeconds*3/2, ringMost)
	p := Plan{
		Load:         l,
		BandwidthOut: viewers * l.Bitrate * (100 + overheadPercent) / 100,
		BandwidthIn:  int64(l.Streams) * l.Bitrate * (100 + overheadPercent) / 100,
		Memory:       processBase + viewers*perViewer + int64(l.Streams)*ring,
		KernelMemory: viewers * socketRest,
		KernelWorst:  viewers * (socketRest + 2*int64(server.SendBuffer(l.Bitrate))),
		OpenFiles:    viewers + filesBeside,
	}
	p.Settings = p.settings()
	return p
}

func (p Plan) settings() []Setting {
	backlog := min(int64(max(p.Viewers, 128)), backlogMost)
	return []Setting{
		{Name: "fs.nr_open", Want: p.OpenFiles, Why: "a descriptor for each viewer"},
		{Name: "fs.file-max", Want: p.OpenFiles, Why: "a descriptor for each viewer"},
		{Name: "net.core.somaxconn", Want: backlog, Why: "viewers who come all at once wait here to be accepted"},
		{Name: "net.ipv4.tcp_max_syn_backlog", Want: min(backlog, 1024), Why: "viewers who come all at once"},
		{Name: "net.core.wmem_max", Want: int64(server.SendBuffer(p.Bitrate)), Why: "what is on its way to one viewer"},
		{Name: "net.ipv4.tcp_mem", Field: 2, Want: p.KernelWorst / pageSize, Why: "pages, if all viewers stall at once"},
		{Name: "net.netfilter.nf_conntrack_max", Want: p.OpenFiles * 5 / 4, Why: "a firewall that tracks connections", Optional: true},
		{Name: "net.core.netdev_max_backlog", Want: p.queue(), Why: "acknowledgements of viewers on this machine, or in its containers, come many at once", Nice: true},
		{Name: "kernel.io_uring_disabled", Exact: true, Why: "io_uring halves the cost of a viewer", Optional: true, Nice: true},
	}
}

// queue is how many packets have to fit where those wait that go from one program of the machine to another. Viewers
// behind a network card are not in it.
func (p Plan) queue() int64 {
	if p.Viewers <= queueEnoughFor {
		return queueDefault
	}
	return int64(p.Viewers)
}

// String is the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-22s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%d viewers of %d stream(s) of %s need:\n\n", p.Viewers, p.Streams, bits(p.Bitrate))
	line("bandwidth", "%s out, %s in", bits(p.BandwidthOut), bits(p.BandwidthIn))
	line("memory, process", "%s", bytesText(p.Memory))
	line("memory, kernel", "%s; %s if all viewers stall at once", bytesText(p.KernelMemory), bytesText(p.KernelWorst))
	line("open files", "%d (LimitNOFILE= in a systemd unit, ulimit -n in a shell)", p.OpenFiles)
	b.WriteString("\nKernel settings, at least:\n\n")
	for _, s := range p.Settings {
		if s.Exact || s.Optional {
			continue
		}
		line(s.Name, "%s%d (%s)", strings.Repeat("… ", s.Field), s.Want, s.Why)
	}
	b.WriteString("\nThe processor depends on the machine: measure it with loadtest.\n" +
		"stream-pump doctor compares this machine with the plan.\n")
	return b.String()
}

// bits is a rate for people.
func bits(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f Mbit/s", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", float64(n)/1e3)
}

// bytesText is an amount of memory for people.
func bytesText(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
