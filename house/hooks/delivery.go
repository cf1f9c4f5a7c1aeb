package hooks

import (
	"time"

	"github.com/stream-pump/stream-pump/house/live"
)

// Delivery is the body of a POST.
type Delivery struct {
	ID     string  `json:"id"`
	House  string  `json:"house"`
	Lost   int64   `json:"lost,omitempty"` // events that were given up since the last delivery
	Events []Event `json:"events"`         // in order
}

// Event is one thing that happened.
type Event struct {
	Event  live.Kind `json:"event"`  // one of [Kinds]
	Number uint64    `json:"number"` // grows, as long as the house runs
	Time   time.Time `json:"time"`
	Pump   string    `json:"pump,omitempty"`
	Stream string    `json:"stream,omitempty"`
	Viewer *Viewer   `json:"viewer,omitempty"` // of the viewer kinds
}

// Viewer is whom an event is about.
type Viewer struct {
	ID      string    `json:"id"`                  // the pump's
	Client  string    `json:"client_id,omitempty"` // given from outside
	Address string    `json:"address"`
	Agent   string    `json:"user_agent"`
	Kind    string    `json:"kind"` // mmsh, asf, or pump for a pump downstream
	Since   time.Time `json:"since"`
	Bytes   int64     `json:"bytes_out"`
	LagMS   int64     `json:"lag_ms"`
	Skipped int64     `json:"skipped_packets"`
	Health  string    `json:"health"`           // good, poor or gone
	Reason  string    `json:"reason,omitempty"` // why it left
}

func delivery(id, house string, lost int64, list []live.Happening) Delivery {
	d := Delivery{ID: id, House: house, Lost: lost, Events: make([]Event, 0, len(list))}
	for i := range list {
		h := &list[i]
		e := Event{Event: h.Kind, Number: h.Number, Time: h.Time.UTC(), Pump: h.Pump, Stream: h.Stream}
		if w := h.Watcher; w != nil {
			e.Viewer = &Viewer{
				ID: w.ID, Client: w.Client, Address: w.Address.String(), Agent: w.Agent, Kind: w.Kind, Since: w.Since.UTC(),
				Bytes: w.Bytes, LagMS: w.LagMS, Skipped: w.Skipped, Health: w.Health, Reason: w.Reason,
			}
		}
		d.Events = append(d.Events, e)
	}
	return d
}
