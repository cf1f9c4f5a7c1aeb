package web

import (
	"net/http"

	"github.com/stream-pump/stream-pump/telemetry"
)

// countDoor adds what happens at the log-in.
func (o *Options) countDoor(d *door) {
	m := o.Metrics
	const attempts = "pump_house_logins_total"
	const help = "Log-ins of page and API by name and password, or token, by what became of them."
	m.CounterFunc(attempts, help, d.right.Load, telemetry.L("result", "right"))
	m.CounterFunc(attempts, help, d.wrong.Load, telemetry.L("result", "wrong"))
	m.CounterFunc(attempts, help, d.slowed.Load, telemetry.L("result", "slowed"))
	m.GaugeFunc("pump_house_info", "1, labelled with the program's version.", func() float64 { return 1 },
		telemetry.L("version", o.Version), telemetry.L("house", o.House))
	m.CounterFunc("pump_house_panics_total", "Panics that ended one request instead of the program: mistakes in the program.", telemetry.Panics)
}

// metrics is the page for Prometheus: what the house does, and the fleet as it sees it.
func (s *site) metrics(w http.ResponseWriter, r *http.Request) {
	if allowed := s.opts.Scrapers(); !allowed.Contains(s.opts.Remote(r)) {
		if _, fault := s.door.identify(r); fault != nil {
			tell(w.Header(), fault)
			problem(w, fault.status, fault.text)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if s.fleetMetrics().WriteFamilies(w) == nil {
		_ = s.opts.Metrics.WritePrometheus(w)
	}
}

// fleetMetrics are figures of now, made anew for each page: pumps come and go. Viewers have
// no label: there may be a million.
func (s *site) fleetMetrics() *telemetry.Metrics {
	m, l := telemetry.NewMetrics(), see(s.opts.Fleet)
	t := l.totals(s.opts.Fleet)
	g := gauges{m}
	g.is("pump_house_fleet_pumps", "Pumps on the roster.", int64(t.Pumps))
	g.is("pump_house_fleet_pumps_up", "Pumps that were heard of lately.", int64(t.Up))
	g.is("pump_house_fleet_viewers", "Viewers of the fleet, without pumps downstream; those that houses serve themselves included.", t.Viewers)
	g.is("pump_house_fleet_max_viewers", "Limits of the pumps that are up and of what houses serve themselves, together; 0: one of the pumps has none.", t.MaxViewers)
	g.is("pump_house_fleet_relayed_viewers", "Viewers that houses serve themselves, of all houses of the fleet.", t.Relayed)
	g.is("pump_house_fleet_links", "Streams that pumps and houses get from pumps.", t.Links)
	g.is("pump_house_fleet_in_bps", "What pumps receive, in bit/s.", t.InBPS)
	g.is("pump_house_fleet_out_bps", "What pumps send, in bit/s.", t.OutBPS)
	g.is("pump_house_fleet_known_viewers", "Viewers and downstream pumps of whom the house knows address and all else.", int64(t.KnownByID))
	for i := range l.pumps {
		g.pump(&l.pumps[i])
	}
	for _, x := range l.streams() {
		label := telemetry.L("stream", x.Path)
		g.is("pump_house_stream_pumps", "Pumps that deliver a stream.", int64(x.Pumps), label)
		g.is("pump_house_stream_viewers", "Viewers of a stream in the whole fleet, without pumps downstream.", x.Viewers, label)
		g.is("pump_house_stream_bps", "Rate of a stream, in bit/s.", x.BPS, label)
		g.is("pump_house_stream_out_bps", "What all pumps send of a stream, in bit/s.", x.OutBPS, label)
	}
	return m
}

type gauges struct{ m *telemetry.Metrics }

func (g gauges) is(name, help string, v int64, labels ...telemetry.Label) {
	g.m.GaugeFunc(name, help, func() float64 { return float64(v) }, labels...)
}

func (g gauges) pump(p *PumpInfo) {
	label := telemetry.L("pump", p.ID)
	g.is("pump_house_pump_up", "1 if a pump was heard of lately.", asNumber(p.State == StateUp), label)
	g.is("pump_house_pump_enabled", "1 if the roster says that a pump is to have its streams.", asNumber(p.Enabled), label)
	g.is("pump_house_pump_draining", "1 while no new viewers are sent to a pump.", asNumber(p.Draining), label)
	g.is("pump_house_pump_full", "1 while a pump is at one of its limits.", asNumber(p.Full), label)
	g.is("pump_house_pump_faults", "What is wrong with a pump, by its own account.", int64(len(p.Faults))+asNumber(p.ConfigFault != ""), label)
	g.is("pump_house_pump_viewers", "Viewers of a pump, without pumps downstream.", p.Viewers, label)
	g.is("pump_house_pump_downstream", "Streams that other pumps get from a pump.", p.Downstream, label)
	g.is("pump_house_pump_max_viewers", "Limit of a pump's viewers; 0 is none.", p.MaxViewers, label)
	g.is("pump_house_pump_in_bps", "What a pump receives, in bit/s.", p.InBPS, label)
	g.is("pump_house_pump_out_bps", "What a pump sends, in bit/s.", p.OutBPS, label)
	g.is("pump_house_pump_max_out_bps", "Limit of what a pump sends, in bit/s; 0 is none.", p.MaxOutBPS, label)
	g.is("pump_house_pump_memory_bytes", "Memory of a pump's program.", p.Memory, label)
	g.m.GaugeFunc("pump_house_pump_cpu", "Processors that are busy with a pump's program.", func() float64 { return p.CPU }, label)
	const help = "As the pump counts since its start: "
	g.m.CounterFunc("pump_house_pump_joined_total", help+"viewers that came.", func() uint64 { return uint64(p.Joined) }, label)
	g.m.CounterFunc("pump_house_pump_refused_total", help+"viewers refused for its limits.", func() uint64 { return uint64(p.Refused) }, label)
	g.m.CounterFunc("pump_house_pump_skipped_packets_total", help+"packets that viewers jumped over.", func() uint64 { return uint64(p.Skipped) }, label)
}

func asNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
