package simulate

import (
	"context"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"
)

// Report is what came out.
type Report struct {
	Pumps, HTTPPumps, Networks, Viewers, Capacity int
	HTTPViewers                                   int64 // asked over HTTP

	Start   time.Duration // of the house with that roster
	Connect time.Duration // until all pumps were up and configured

	Telemetry  float64 // processors busy, both ends, nobody watching
	IdleMemory int64   // bytes of heap, both ends
	Memory     int64   // with all viewers

	Rate                   float64 // viewers a second
	CPU                    float64 // processors busy meanwhile, both ends
	Redirect50, Redirect99 time.Duration
	Handler50, Handler99   time.Duration

	Watching int64
	Known    int64   // of those, the house knows
	Refused  int64   // no pump had room
	Over     int64   // came to a pump that had no room
	WorstID  string  // the pump with most of these
	Worst    float64 // of its limit
	Spread   float64 // how far pumps of one region are filled differently: standard deviation of viewers ÷ limit
	SpreadAt float64 // the mean

	Burst                int
	BurstCame, BurstOver int64

	Orphans int
	Repair  time.Duration
}

// OverMost is the share of a pump's limit by which it may be over-assigned.
const OverMost = 0.02

// RepairMost is how long a parent's death may be felt.
const RepairMost = 5 * time.Second

// Failures tells what fell short.
func (r *Report) Failures() []string {
	var list []string
	fail := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	fail(r.Worst > OverMost, "pump %s was over-assigned by %.1f %% (at most %.0f %%)", r.WorstID, r.Worst*100, OverMost*100)
	fail(float64(r.BurstOver) > OverMost*burstLimit, "the burst overran a pump of %d by %d", burstLimit, r.BurstOver)
	fail(r.Known != r.Watching, "%d watch, but the house knows %d", r.Watching, r.Known)
	fail(r.Repair > RepairMost, "a parent's death took %v to be repaired (at most %v)", r.Repair, RepairMost)
	return list
}

// spread looks at where everybody is, once all have been told of.
func (s *simulation) spread(ctx context.Context, r *Report) error {
	var sum, squares float64
	n := 0
	for i, p := range s.pumps {
		p.mu.Lock()
		viewers, refused := p.viewers, p.refused
		p.mu.Unlock()
		r.Watching += viewers
		r.Over += refused
		if w := float64(refused) / float64(p.limit); w > r.Worst {
			r.Worst, r.WorstID = w, p.id
		}
		if i < s.opts.Pumps/regionSize*regionSize {
			x := float64(viewers) / float64(p.limit)
			sum += x
			n++
			squares += s.within(i, x)
		}
	}
	r.SpreadAt, r.Spread = sum/float64(n), math.Sqrt(squares/float64(n))
	err := s.until(ctx, time.Minute, "the house to know all viewers", func() bool { return int64(s.house.Fleet().Watching()) == r.Watching })
	r.Known = int64(s.house.Fleet().Watching())
	r.Memory = memory()
	return err
}

// within is the square of how far a pump is from the mean of its region.
func (s *simulation) within(i int, x float64) float64 {
	first := i / regionSize * regionSize
	var sum float64
	for _, p := range s.pumps[first : first+regionSize] {
		p.mu.Lock()
		sum += float64(p.viewers) / float64(p.limit)
		p.mu.Unlock()
	}
	d := x - sum/regionSize
	return d * d
}

// Write prints the report as a table.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, format string, args ...any) { _, _ = fmt.Fprintf(t, what+"\t"+format+"\n", args...) } // Flush tells
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
	mb := func(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
	row("pumps", "%d, of these %d over HTTP; %d networks; room for %d viewers", r.Pumps, r.HTTPPumps, r.Networks, r.Capacity)
	row("start of the house", "%v; all pumps up and configured %v later", r.Start.Round(time.Millisecond), r.Connect.Round(time.Millisecond))
	row("telemetry, nobody watching", "%.2f processors (house and simulated pumps together)", r.Telemetry)
	row("viewers", "%d asked, %d of them over HTTP", r.Viewers, r.HTTPViewers)
	row("delegation", "%.0f viewers a second, %.2f processors (all of it together)", r.Rate, r.CPU)
	row("redirect over HTTP", "p50 %s, p99 %s (seen by the viewer)", ms(r.Redirect50), ms(r.Redirect99))
	row("redirect in process", "p50 %.1f µs, p99 %.1f µs", float64(r.Handler50)/1e3, float64(r.Handler99)/1e3)
	row("watching", "%d; the house knows %d", r.Watching, r.Known)
	row("no room anywhere near", "%d", r.Refused)
	row("over-assigned", "%d viewers (%.3f %%); worst pump %.2f %% of its limit", r.Over, 100*float64(r.Over)/float64(max(r.Viewers, 1)), 100*r.Worst)
	row("fairness", "pumps are %.1f %% full; equals differ by %.2f %% (standard deviation)", 100*r.SpreadAt, 100*r.Spread)
	if r.Burst > 0 {
		row("burst", "%d viewers in a second to a pump of %d: %d watch, %d too many", r.Burst, burstLimit, r.BurstCame, r.BurstOver)
	}
	row("memory", "%s of heap before, %s with all viewers: %.0f bytes a viewer (both ends)", mb(r.IdleMemory), mb(r.Memory), float64(r.Memory-r.IdleMemory)/float64(max(r.Watching, 1)))
	if r.Orphans > 0 {
		row("a parent's death", "%d children had another parent after %v", r.Orphans, r.Repair.Round(time.Millisecond))
	}
	return t.Flush()
}
