package main

import (
	"fmt"
	"strings"
	"time"
)

// testCase is one workload.
type testCase struct {
	viewers int
	rate    int // bit/s
	pulse   time.Duration
}

func (c testCase) String() string {
	return fmt.Sprintf("%d viewers %dk %s", c.viewers, c.rate/1000, c.pulse)
}

func cases(short bool, only string) []testCase {
	if short {
		return []testCase{{300, 300_000, 100 * time.Millisecond}}
	}
	var list []testCase
	for _, viewers := range []int{1000, 5000} {
		for _, rate := range []int{300_000, 1_000_000} {
			for _, pulse := range []time.Duration{20, 100, 200} {
				c := testCase{viewers, rate, pulse * time.Millisecond}
				if strings.Contains(c.String(), only) {
					list = append(list, c)
				}
			}
		}
	}
	return list
}

// server is something to measure.
type server struct {
	name   string
	binary string
	pump   bool
	egress string
}

var servers = []server{
	{name: "floor", binary: "floor"},
	{name: "pump, writev", binary: "stream-pump", pump: true, egress: "writev"},
	{name: "pump, io_uring", binary: "stream-pump", pump: true, egress: "auto"},
}
