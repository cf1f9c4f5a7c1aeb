package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// A ping is answered by every event loop; the error names the one that hangs.
func TestPing(t *testing.T) {
	s, err := New(Options{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Ping(ctx); err != nil {
		t.Fatal(err)
	}

	hung, free := make(chan struct{}), make(chan struct{})
	if err := s.loops[1].el.Execute(ctx, task(func() { close(hung); <-free })); err != nil {
		t.Fatal(err)
	}
	<-hung
	worldtest.Eventually(t, "the one that hangs is named, and it alone", func() bool { // the others may take longer than that, for once
		short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		err := s.Ping(short)
		if err == nil || !strings.Contains(err.Error(), "event loop 1 does not turn") {
			t.Errorf("while loop 1 hangs: %v", err)
		}
		return err != nil && err.Error() == "event loop 1 does not turn"
	})
	close(free)
	if err := s.Ping(ctx); err != nil {
		t.Errorf("once it turns again: %v", err)
	}
}
