//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == guardVerb {
		guard(os.Stdin)
		return
	}
	plan, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, plan); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1)
	}
}

func parseFlags(args []string) (plan, error) {
	flags := flag.NewFlagSet("peers", flag.ExitOnError)
	viewers := flags.String("viewers", "1000,5000", "numbers of viewers")
	rates := flags.String("rates", "300k,1M", "bit rates of the stream, with its container")
	only := flags.String("only", "", "only these servers, of "+strings.Join(peerNames(peers), ",")+"; the pump is what the others are compared with")
	p := plan{}
	flags.DurationVar(&p.duration, "duration", 15*time.Second, "the measured part of each run")
	flags.DurationVar(&p.settle, "settle", 3*time.Second, "wait between the last join and the measured part")
	flags.IntVar(&p.rounds, "rounds", 1, "repeat everything, the servers in turn, and print medians")
	flags.IntVar(&p.ramp, "ramp", 1000, "new viewers a second")
	flags.DurationVar(&p.poll, "poll", 5*time.Millisecond, "how often the viewers look for data")
	flags.StringVar(&p.out, "out", "bench/out", "folder for peers.md and peers.json")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	var err error
	if p.viewers, err = parseNumbers(*viewers); err != nil {
		return p, fmt.Errorf("-viewers: %w", err)
	}
	if p.rates, err = parseNumbers(*rates); err != nil {
		return p, fmt.Errorf("-rates: %w", err)
	}
	if p.peers, err = choosePeers(*only); err != nil {
		return p, fmt.Errorf("-only: %w", err)
	}
	return p, p.check()
}

// run measures everything, saves after each run what there is, and prints the table.
func run(ctx context.Context, p plan) error {
	if err := raiseFileLimit(p.mostViewers()); err != nil {
		return err
	}
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.prepare(ctx, p); err != nil {
		return err
	}
	res := results{Machine: describeMachine(), Began: time.Now().UTC().Format(time.RFC3339), How: p.command(), Versions: versions(ctx, s, p.peers)}
	for _, job := range p.jobs() {
		fmt.Fprintf(os.Stderr, "%s …\n", job)
		r, err := measure(ctx, s, p, job)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", job, err)
			r.Trouble = err.Error()
		}
		res.Runs = append(res.Runs, r)
		if err := res.save(p.out); err != nil {
			return err
		}
	}
	fmt.Print(res.markdown())
	return nil
}

func (r *results) save(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "peers.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "peers.json"), r.json(), 0o644)
}
