package house

import (
	"github.com/stream-pump/stream-pump/house/delegate"
	"github.com/stream-pump/stream-pump/house/hooks"
	"github.com/stream-pump/stream-pump/telemetry"
)

// figures are what the house itself does, for the metrics page.
func (h *House) figures() *telemetry.Metrics {
	m := telemetry.NewMetrics()
	answers := func(what string, of func(delegate.Figures) int64) {
		m.CounterFunc("pump_house_answers_total", "Answers to viewers who asked the house for a stream, by what they were told.",
			func() uint64 { return uint64(of(h.delegator.Figures())) }, telemetry.L("answer", what))
	}
	answers("redirect_http", func(f delegate.Figures) int64 { return f.ToHTTP })
	answers("redirect_mmsh", func(f delegate.Figures) int64 { return f.ToMMSH })
	answers("list", func(f delegate.Figures) int64 { return f.Lists })
	answers("relayed", func(f delegate.Figures) int64 { return f.Relayed })
	answers("relay_full", func(f delegate.Figures) int64 { return f.RelayFull })
	answers("pumps_full", func(f delegate.Figures) int64 { return f.Full })
	answers("not_live", func(f delegate.Figures) int64 { return f.NotLive })
	answers("no_network", func(f delegate.Figures) int64 { return f.NoNetwork })
	answers("unknown_stream", func(f delegate.Figures) int64 { return f.Unknown })
	m.CounterFunc("pump_house_fallback_total", "Viewers sent to fallback_url, of those for whom there was no pump.",
		func() uint64 { return uint64(h.delegator.Figures().Fallback) })
	m.GaugeFunc("pump_house_relayed_viewers", "Viewers that the house serves itself.", func() float64 { return float64(h.delegator.Figures().Relaying) })
	m.GaugeFunc("pump_house_relayed_bps", "Their streams' rates, in bit/s.", func() float64 { return float64(h.delegator.Figures().RelayBPS) })
	m.GaugeFunc("pump_house_relayed_packets", "Packets in memory of the streams that the house serves itself.", func() float64 { return float64(h.relay.Held()) })
	m.GaugeFunc("pump_house_places_awaited", "Places kept for viewers who were sent to pumps that have not told of them yet.",
		func() float64 { return float64(h.delegator.Awaited()) })
	m.GaugeFunc("pump_house_listeners", "Who hears what happens: pages, webhooks and the house itself.", func() float64 { return float64(h.fleet.Listeners()) })
	told := func(what string, of func(hooks.Figures) int64) {
		m.CounterFunc("pump_house_webhook_events_total", "Events for webhooks, by what became of them; failed counts attempts.",
			func() uint64 { return uint64(of(h.hooks.Figures())) }, telemetry.L("result", what))
	}
	told("sent", func(f hooks.Figures) int64 { return f.Sent })
	told("lost", func(f hooks.Figures) int64 { return f.Lost })
	told("failed", func(f hooks.Figures) int64 { return f.Failed })
	m.GaugeFunc("pump_house_webhook_waiting", "Events that webhooks are still to be told.", func() float64 { return float64(h.hooks.Figures().Waiting) })
	m.GaugeFunc("pump_house_store_ready", "1 while changes are taken.", func() float64 {
		if h.store.Health() != nil {
			return 0
		}
		return 1
	})
	return m
}
