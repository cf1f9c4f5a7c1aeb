package gate

import (
	"log/slog"
	"net/http"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// telemetry takes in a batch.
func (g *Gate) telemetry(w http.ResponseWriter, r *http.Request) {
	c, fault := g.sender(r)
	if fault != nil {
		refuse(w, fault)
		return
	}
	var b fleet.Batch
	if fault = receive(w, r, &b); fault == nil {
		if err := b.Check(c.Pump); err != nil {
			fault = fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "telemetry: %v", err)
		} else if b.Boot != c.Boot {
			fault = fleet.Errorf(http.StatusBadRequest, fleet.CodeBadMessage, "telemetry: boot is not that of the session")
		}
	}
	if fault != nil {
		g.repeats.Log(slog.LevelWarn, "telemetry "+c.Pump, "telemetry of a pump was refused", slog.String("pump", c.Pump), slog.String("reason", fault.Text))
		refuse(w, fault)
		return
	}
	receipt, ok := g.opts.Fleet.Apply(&b, live.Direct)
	if !ok {
		refuse(w, fleet.Errorf(http.StatusForbidden, fleet.CodeDisabled, "the roster has no pump %s", c.Pump))
		return
	}
	g.relay(&b)
	reply(w, receipt)
}
