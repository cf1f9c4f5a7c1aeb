package pump

import (
	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/telemetry"
)

// exportMetrics adds what belongs to no stream to the metrics page.
func (p *Pump) exportMetrics() {
	m := p.metrics
	m.GaugeFunc("stream_pump_info", "1, labelled with the program's version.",
		func() float64 { return 1 }, telemetry.L("version", p.opts.Version))
	m.GaugeFunc("stream_pump_draining", "1 while no new viewers are taken.", func() float64 { return asNumber(p.draining.Load()) })
	m.GaugeFunc("stream_pump_connections", "Open connections on the public ports.",
		func() float64 { return float64(p.limits.Usage().Connections) })
	m.GaugeFunc("stream_pump_admitted_bandwidth_bps", "Sum of the rates of the admitted viewers, in bit/s.",
		func() float64 { return float64(p.limits.Usage().Bandwidth) })
	p.exportLimits()
	m.GaugeFunc("stream_pump_slab_bytes", "Memory of the packet pool, in use or free.",
		func() float64 { return float64(p.pool.Bytes()) })
	m.GaugeFunc("stream_pump_slabs_live", "Packets that somebody holds.", func() float64 { return float64(p.pool.Live()) })
	m.GaugeFunc("stream_pump_push_sessions", "Sessions of encoders that are kept.", func() float64 { return float64(p.push.Sessions()) })
	m.CounterFunc("stream_pump_panics_total", "Panics that ended one connection, source or request instead of the program: mistakes in the program.", telemetry.Panics)
	m.CounterFunc("stream_pump_egress_calls_total", "System calls that event loops wrote to viewers with: a batch of io_uring is one.", p.server.EgressCalls)
	m.CounterFunc("stream_pump_copied_bytes_total", "Bytes copied in user space on their way to viewers: those behind TLS, and of plain ASF.", p.server.Copied)
	p.exportCertificate()
	p.exportLoops()
}

// exportLimits adds what is used of the limits of the whole pump, and whom every limit
// has kept out.
func (p *Pump) exportLimits() {
	for i, info := range p.limitsOfAll() {
		label := telemetry.L("limit", info.Limit)
		p.metrics.GaugeFunc("stream_pump_limit_used", "What is used of a limit of the whole pump: viewers, pumps, connections, or bit/s.",
			func() float64 { return float64(p.limitsOfAll()[i].Used) }, label)
		p.metrics.GaugeFunc("stream_pump_limit_max", "The limit itself; 0 is none.",
			func() float64 { return float64(p.limitsOfAll()[i].Max) }, label)
	}
	for _, limit := range access.EveryLimit() {
		p.metrics.CounterFunc("stream_pump_limit_refusals_total", "Viewers, pumps and connections that a limit has kept out.",
			func() uint64 { return p.limits.Refused(limit) }, telemetry.L("limit", string(limit)))
	}
}

func asNumber(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
