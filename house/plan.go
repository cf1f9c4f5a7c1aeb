package house

import (
	"math"
	"strings"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// Plan tells what putting a roster in force would do to the viewers of now. Pumps that get
// their streams from others are no viewers: nobody sends them anywhere. Those whom houses serve
// themselves stay there whatever the roster says.
func (h *House) Plan(next *roster.Roster) *roster.Plan {
	v := h.fleet.View()
	watchers, _ := h.fleet.Watchers(func(w *live.Watcher) bool { return w.Kind != fleet.KindPump && !fleet.ValidHouseID(w.Pump) }, math.MaxInt)
	seats := make([]roster.Seat, len(watchers))
	for i, w := range watchers {
		key := strings.ToLower(w.Stream)
		seats[i] = roster.Seat{Pump: w.Pump, Stream: key, Address: w.Address}
		if p := v.Pump(w.Pump); p != nil {
			if s := p.Report().Stream(key); s != nil {
				seats[i].BPS = s.BPS
			}
		}
	}
	return roster.PlanFor(v.Roster, next, seats, func(pump, stream string) bool {
		p := v.Pump(pump)
		return p != nil && p.Delivers(stream)
	})
}
