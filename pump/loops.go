package pump

import (
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/telemetry"
)

// exportLoops adds how full each event loop is.
func (p *Pump) exportLoops() {
	m, loops := p.metrics, p.server.Loops()
	p.worst = make([]atomic.Int64, len(loops))
	m.SecondsFunc("stream_pump_loops_busy_seconds_total", "Time all event loops spent working: writing to viewers and reading requests.", func() time.Duration {
		var sum int64
		for _, l := range p.readLoops() {
			sum += l.Busy
		}
		return time.Duration(sum)
	})
	m.GaugeFunc("stream_pump_loops_worst_pass_seconds", "Longest pass of any event loop over its viewers since the page before.", func() float64 {
		p.readLoops()
		worst := int64(0)
		for i := range p.worst {
			worst = max(worst, p.worst[i].Load())
		}
		return time.Duration(worst).Seconds()
	})
	for i := range loops {
		name := telemetry.L("loop", strconv.Itoa(i))
		m.SecondsFunc("stream_pump_loop_busy_seconds_total", "Time one event loop spent working; its growth against the clock is how full the loop is.",
			func() time.Duration { return time.Duration(p.readLoops()[i].Busy) }, name)
		m.GaugeFunc("stream_pump_loop_worst_pass_seconds", "Longest pass of one event loop over its viewers since the page before.", func() float64 {
			p.readLoops()
			return time.Duration(p.worst[i].Load()).Seconds()
		}, name)
	}
}

// readLoops returns the figures of the event loops. Asking the server starts the search for
// the longest pass anew, so that it is kept here until the metrics page is written.
func (p *Pump) readLoops() []server.LoopStats {
	all := p.server.Loops()
	for i, l := range all {
		for was := p.worst[i].Load(); l.Worst > was && !p.worst[i].CompareAndSwap(was, l.Worst); was = p.worst[i].Load() {
		}
	}
	return all
}

// writeMetrics writes the metrics page, with which the search for longest passes starts anew.
func (p *Pump) writeMetrics(w io.Writer) error {
	err := p.metrics.WritePrometheus(w)
	for i := range p.worst {
		p.worst[i].Store(0)
	}
	return err
}
