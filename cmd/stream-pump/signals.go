package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// notifyAll yields the signals that a running pump obeys. Two that come together are
// both kept. Whoever reads the log may go away: the pump does not end with it.
func notifyAll() (<-chan os.Signal, func()) {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// notifyEnd returns a context that ends with a signal to end; a second one kills.
func notifyEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
