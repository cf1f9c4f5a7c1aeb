package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/stream-pump/stream-pump/loadtest"
)

// source is the verb with which the program starts itself as the encoders of a workload:
// a process of its own, so that their time is nobody's that is measured.
const source = "source"

// pushAll is an encoder for each address until it is asked to end.
func pushAll(rate string, urls []string) error {
	bps, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	errs := make(chan error, len(urls))
	var pushing sync.WaitGroup
	for _, url := range urls {
		pushing.Go(func() { errs <- loadtest.Push(ctx, loadtest.PushOptions{URL: url, Rate: bps}) })
	}
	pushing.Wait()
	for range urls {
		if err := <-errs; err != nil {
			return fmt.Errorf("being an encoder: %w", err)
		}
	}
	return nil
}
