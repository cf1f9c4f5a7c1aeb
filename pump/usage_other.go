//go:build !unix

package pump

import "time"

// usedByProcess is not told by this system.
func usedByProcess() (processors time.Duration, memory int64) { return 0, 0 }
