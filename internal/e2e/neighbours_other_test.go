//go:build !linux

package e2e

import "time"

// threadTime is the processor time of this thread, 0 where that is not told.
func threadTime() time.Duration { return 0 }
