package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// testCase is one workload.
type testCase struct {
	viewers int
	rate    int // bit/s of each stream
	pulse   time.Duration
	streams int
	servers []server
	label   string  // behind the name
	stalled float64 // share of the viewers that do not read
}

func (c testCase) String() string {
	s := fmt.Sprintf("%d viewers %dk %s", c.viewers, c.rate/1000, c.pulse)
	if c.streams > 1 {
		s += fmt.Sprintf(" %d streams", c.streams)
	}
	if c.label != "" {
		s += " " + c.label
	}
	return s
}

// paths names the streams.
func (c testCase) paths() []string {
	if c.streams == 1 {
		return []string{"bench"}
	}
	var list []string
	for i := range c.streams {
		list = append(list, fmt.Sprintf("bench%d", i))
	}
	return list
}

const ms = time.Millisecond

// growth is how many watch the same stream at the same pulse, one number behind the other:
// with ten the cost is that of a stream, whoever watches; from there on each viewer should
// add the same.
var growth = []int{10, 500, 1000, 5000, 10_000}

// cases lists the workloads: viewers, rates and pulses in all combinations; then the same
// stream for few and for very many viewers, behind TLS, and the same viewers spread over
// many streams, which should cost what one stream does. With only, those whose name contains
// one of its parts.
func cases(short bool, only string) []testCase {
	if short {
		return []testCase{{viewers: 300, rate: 300_000, pulse: 100 * ms, streams: 1, servers: servers[1:]}}
	}
	var all []testCase
	for _, viewers := range []int{1000, 5000} {
		for _, rate := range []int{300_000, 1_000_000} {
			for _, pulse := range []time.Duration{20 * ms, 100 * ms, 200 * ms} {
				all = append(all, testCase{viewers: viewers, rate: rate, pulse: pulse, streams: 1, servers: servers})
			}
		}
	}
	for _, viewers := range growth {
		all = append(all, testCase{viewers: viewers, rate: 300_000, pulse: 100 * ms, streams: 1, servers: servers[1:], label: "growth"})
	}
	for _, rate := range []int{300_000, 1_000_000} {
		all = append(all, testCase{viewers: 2000, rate: rate, pulse: 200 * ms, streams: 1, servers: withTLS})
	}
	all = append(all, testCase{viewers: 5000, rate: 300_000, pulse: 200 * ms, streams: 100, servers: servers})
	parts := strings.Split(only, ",")
	return slices.DeleteFunc(all, func(c testCase) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(c.String(), part) })
	})
}

// server is something to measure. A floor with an egress writes as the pump's does.
type server struct {
	name   string
	binary string
	pump   bool
	egress string
	tls    bool
}

var servers = []server{
	{name: "floor, io_uring", binary: "floor", egress: "auto"},
	{name: "floor", binary: "floor"},
	{name: "pump, writev", binary: "stream-pump", pump: true, egress: "writev"},
	{name: "pump, io_uring", binary: "stream-pump", pump: true, egress: "auto"},
}

// withTLS sets the price of TLS beside that of plain connections.
var withTLS = append(slices.Clip(servers),
	server{name: "pump, TLS, writev", binary: "stream-pump", pump: true, egress: "writev", tls: true},
	server{name: "pump, TLS, io_uring", binary: "stream-pump", pump: true, egress: "auto", tls: true},
)
