package hook

import "github.com/stream-pump/stream-pump/telemetry"

// results are what becomes of a question, and of an event that is told.
var results = map[string][]string{
	OnPublish:   {"allowed", "refused", "failed"},
	OnPlay:      {"allowed", "refused", "failed"},
	OnUnpublish: {"told", "failed", "dropped"},
	OnStop:      {"told", "failed", "dropped"},
}

// counters are by action and result.
type counters map[[2]string]*telemetry.Counter

func newCounters(m *telemetry.Metrics) counters {
	all := counters{}
	for action, list := range results {
		for _, r := range list {
			if m == nil {
				all[[2]string{action, r}] = new(telemetry.Counter)
				continue
			}
			all[[2]string{action, r}] = m.Counter("stream_pump_hook_requests_total",
				"Questions and events for the access hook, by what became of them; answers that were kept are not counted.",
				telemetry.L("action", action), telemetry.L("result", r))
		}
	}
	return all
}

func (c counters) count(action, result string) { c[[2]string{action, result}].Inc() }
