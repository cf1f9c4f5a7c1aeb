package tool

import (
	"fmt"
	"time"
)

// String tells how far a push has come, in one line.
func (r PushReport) String() string {
	s := fmt.Sprintf("%v  %d packets  %.1f MB  %s", time.Duration(r.DurationS*float64(time.Second)).Round(time.Second),
		r.Packets, float64(r.Bytes)/1e6, kbit(r.BitrateBPS))
	if r.Rounds > 1 {
		s += fmt.Sprintf("  round %d", r.Rounds)
	}
	if r.Reconnects > 0 {
		s += fmt.Sprintf("  %d reconnects", r.Reconnects)
	}
	return s
}
