package stream

import (
	"testing"
	"time"
)

// A viewer costs what the header announces until the source has been measured, and from
// then on what is measured: more at once, less in time.
func TestCost(t *testing.T) {
	type step struct {
		after     time.Duration
		epoch     uint32
		announced int64
		uptime    time.Duration
		rate      float64
		want      int64
	}
	const s = time.Second
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"nothing is known without a header", []step{{0, 0, 0, 0, 0, 0}}},
		{"the header counts, not a source's burst", []step{{0, 1, 300, 0, 9000, 300}, {s, 1, 300, s, 4000, 300}, {8 * s, 1, 300, 9 * s, 350, 300}}},
		{"without an announcement what comes counts, after a guess", []step{
			{0, 1, 0, s / 2, 250, 1e6}, {s, 1, 0, s / 2, 2e6, 2e6}, {s, 1, 0, s, 250, 250}, {s, 1, 0, 2 * s, 260, 260}}},
		{"measured is less than announced", []step{{0, 1, 300, s, 0, 300}, {9 * s, 1, 300, 10 * s, 200, 200}}},
		{"measured is more than announced", []step{{0, 1, 300, s, 0, 300}, {9 * s, 1, 300, 10 * s, 900, 900}}},
		{"a rise counts at once", []step{{0, 1, 300, 10 * s, 200, 200}, {s, 1, 300, 11 * s, 400, 400}}},
		{"a fall counts by one per cent a second", []step{{0, 1, 300, 10 * s, 1000, 1000}, {s, 1, 300, 11 * s, 100, 990}, {10 * s, 1, 300, 21 * s, 100, 891}}},
		{"a fall ends at what is measured", []step{{0, 1, 300, 10 * s, 1000, 1000}, {time.Hour, 1, 300, time.Hour, 100, 100}}},
		{"a lost source keeps its cost", []step{{0, 1, 300, 10 * s, 1000, 1000}, {30 * s, 1, 300, 0, 0, 1000}, {s, 0, 0, 0, 0, 1000}}},
		{"one that comes back goes on with it", []step{{0, 1, 300, 10 * s, 1000, 1000}, {30 * s, 1, 300, s, 9000, 1000}, {9 * s, 1, 300, 10 * s, 980, 980}}},
		{"another header begins anew", []step{{0, 1, 300, 10 * s, 1000, 1000}, {s, 2, 500, 11 * s, 700, 700}, {s, 3, 600, s, 0, 600}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c cost
			now := int64(0)
			for i, x := range tc.steps {
				now += int64(x.after)
				if got := c.update(now, x.epoch, x.announced, x.uptime, x.rate); got != x.want {
					t.Fatalf("step %d: %d, want %d", i, got, x.want)
				}
			}
		})
	}
}
