// Command fanout measures what a viewer costs: a bare writev loop (the floor) and the
// pump with either way out, in turn, with the same source, the same viewers and the
// same cadence, and prints one table. Every figure of a table comes from one run.
//
//	go run ./bench/fanout                       the whole matrix, about twenty minutes
//	go run ./bench/fanout -short                one row of each kind, about a minute
//	go run ./bench/fanout -awake -only growth   one stream for 10 to 10,000 viewers, no processor asleep
//	go run ./bench/fanout -stalled              what viewers who do not read do to the others, about four minutes
//
// It exits 1 when something that is exact is wrong: a packet lost, a copy in user
// space, more than one write a viewer and flush, an allocation a viewer. It never fails
// on a time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == source {
		if err := pushAll(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "fanout:", err)
			os.Exit(1)
		}
		return
	}
	short := flag.Bool("short", false, "one small case instead of the matrix")
	only := flag.String("only", "", "only the cases whose name contains one of these, such as '1000 viewers 300k 100ms,5000 viewers'")
	stayAwake := flag.Bool("awake", false, "keep the processors from sleeping meanwhile (root)")
	stalled := flag.Bool("stalled", false, "2,000 viewers of whom a fifth never reads, beside the same audience without those")
	duration := flag.Duration("duration", 10*time.Second, "steady state of each run")
	out := flag.String("out", "bench/out", "folder for fanout.md and fanout.json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	list := cases(*short, *only)
	if *stalled {
		list, *duration = stalledCases(), stallTime
	}
	if err := runAwake(ctx, *stayAwake, list, *duration, *out); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func runAwake(ctx context.Context, stay bool, list []testCase, duration time.Duration, out string) error {
	if !stay {
		return run(ctx, list, duration, out)
	}
	sleep, err := awake()
	if err != nil {
		return err
	}
	defer sleep()
	return run(ctx, list, duration, out)
}

func run(ctx context.Context, list []testCase, duration time.Duration, out string) error {
	dir, err := os.MkdirTemp("", "fanout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir); err != nil {
		return err
	}
	var rows []row
	for _, c := range list {
		for _, s := range c.servers {
			fmt.Fprintf(os.Stderr, "%s, %s …\n", c, s.name)
			r, err := measure(ctx, dir, c, s, duration)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", c, s.name, err)
			}
			rows = append(rows, r)
		}
	}
	if err := save(out, rows); err != nil {
		return err
	}
	fmt.Print(table(rows))
	if slices.ContainsFunc(list, func(c testCase) bool { return c.stalled > 0 }) {
		fmt.Print("\n", stalledTable(rows))
		return errors.Join(inexact(rows), unstalled(rows))
	}
	return inexact(rows)
}

func save(out string, rows []row) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "fanout.md"), []byte(table(rows)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "fanout.json"), asJSON(rows), 0o644)
}
