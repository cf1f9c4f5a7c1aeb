//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is what to measure.
type plan struct {
	viewers  []int
	rates    []int // bit/s
	peers    []*peer
	duration time.Duration
	settle   time.Duration
	poll     time.Duration
	rounds   int
	ramp     int // viewers a second
	out      string
}

const (
	mostViewers  = 100_000
	mostRounds   = 100
	longestRun   = 10 * time.Minute
	joinTimeout  = 10 * time.Second // after the last connection was begun
	startTimeout = 30 * time.Second // of a server and its source
	idleWindow   = 2 * time.Second
)

func (p plan) check() error {
	var errs []error
	within := func(name string, ok bool, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("-%s: want %s", name, want))
		}
	}
	for _, n := range p.viewers {
		within("viewers", n >= 2 && n <= mostViewers, "2 to 100000")
	}
	for _, n := range p.rates {
		within("rates", n >= 100_000 && n <= 20_000_000, "100k to 20M")
	}
	within("duration", p.duration >= time.Second && p.duration <= longestRun, "1s to 10m")
	within("settle", p.settle >= 0 && p.settle <= time.Minute, "0 to 1m")
	within("poll", p.poll >= time.Millisecond && p.poll <= 100*time.Millisecond, "1ms to 100ms")
	within("rounds", p.rounds >= 1 && p.rounds <= mostRounds, "1 to 100")
	within("ramp", p.ramp >= 10, "10 or more")
	return errors.Join(errs...)
}

func (p plan) mostViewers() int { return slices.Max(p.viewers) }

// mediaLength is how long a stream must last so that it does not end within a run.
func (p plan) mediaLength() time.Duration {
	ramp := time.Duration(p.mostViewers()/p.ramp+1) * time.Second
	return max(3*time.Minute, startTimeout+idleWindow+ramp+joinTimeout+p.settle+p.duration+30*time.Second)
}

// command is how to run this plan again.
func (p plan) command() string {
	format := func(list []int) string {
		var words []string
		for _, n := range list {
			words = append(words, number(n))
		}
		return strings.Join(words, ",")
	}
	return fmt.Sprintf("go run ./bench/peers -viewers %s -rates %s -only %s -duration %v -settle %v -ramp %d -poll %v -rounds %d",
		format(p.viewers), format(p.rates), strings.Join(peerNames(p.peers), ","), p.duration, p.settle, p.ramp, p.poll, p.rounds)
}

// job is one run: one server, one workload.
type job struct {
	round, viewers, rate int
	peer                 *peer
}

func (j job) String() string {
	return fmt.Sprintf("round %d, %d viewers × %s, %s", j.round+1, j.viewers, number(j.rate), j.peer.name)
}

// jobs lists all runs. The servers of a workload follow each other, so that what is
// compared was measured under the same conditions; each round begins with another one.
func (p plan) jobs() []job {
	var list []job
	for round := range p.rounds {
		for _, rate := range p.rates {
			for _, viewers := range p.viewers {
				for i := range p.peers {
					list = append(list, job{round, viewers, rate, p.peers[(i+round)%len(p.peers)]})
				}
			}
		}
	}
	return list
}

// parseNumbers reads numbers with commas between them and k or M behind.
func parseNumbers(s string) ([]int, error) {
	var list []int
	for _, word := range strings.Split(s, ",") {
		digits, factor := word, 1
		switch {
		case strings.HasSuffix(word, "k"):
			digits, factor = word[:len(word)-1], 1000
		case strings.HasSuffix(word, "M"):
			digits, factor = word[:len(word)-1], 1_000_000
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || n == 0 || n > 1<<31/uint64(factor) {
			return nil, fmt.Errorf("%q is no number such as 5000, 300k or 1M", word)
		}
		list = append(list, int(n)*factor)
	}
	return list, nil
}

// number is the shortest form that parseNumbers reads.
func number(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 10_000 && n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n)
}
