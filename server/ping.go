package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Ping asks every event loop for a sign of life, which it gives between two passes, and
// waits until all have answered or ctx is done. The error names the loops that have not.
// It must not be called once Shutdown is.
func (s *Server) Ping(ctx context.Context) error {
	errs := make([]error, len(s.loops))
	var wg sync.WaitGroup
	for i, l := range s.loops {
		wg.Go(func() {
			if !l.call(ctx, func() {}) {
				errs[i] = fmt.Errorf("event loop %d does not turn", i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
