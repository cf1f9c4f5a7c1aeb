package web

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// States of a pump.
const (
	StateUp    = "up"
	StateDown  = "down"
	StateNever = "never" // not heard since this house was started
)

// Overview is the whole fleet at a glance.
type Overview struct {
	House    string       `json:"house" doc:"name of the house that answers"`
	Version  string       `json:"version"`
	Time     time.Time    `json:"time" doc:"by the house's clock"`
	Revision uint64       `json:"revision" doc:"grows with every change of roster or streams, at this house"`
	Totals   Totals       `json:"totals"`
	Pumps    []PumpInfo   `json:"pumps" nullable:"false" doc:"in the order of the roster"`
	Relays   []PumpInfo   `json:"relays" nullable:"false" doc:"the pumps within houses, which serve players that follow no redirect; they are not on the roster"`
	Streams  []StreamInfo `json:"streams" nullable:"false"`
	History  []Sample     `json:"history,omitempty" doc:"of the whole fleet: sums over the last two minutes, oldest first"`
}

// Totals are sums over the pumps that are up, and those within houses.
type Totals struct {
	Pumps      int   `json:"pumps" doc:"on the roster"`
	Up         int   `json:"up"`
	Viewers    int64 `json:"viewers" doc:"of all streams, without pumps downstream; relayed ones included"`
	Relayed    int64 `json:"relayed" doc:"of these, those that houses serve themselves"`
	Links      int64 `json:"links" doc:"streams that pumps, and houses for those whom they serve themselves, get from pumps"`
	InBPS      int64 `json:"in_bps" doc:"bit/s"`
	OutBPS     int64 `json:"out_bps" doc:"bit/s"`
	Streams    int   `json:"streams" doc:"that are configured"`
	StreamsOn  int   `json:"streams_on" doc:"that some pump delivers"`
	KnownByID  int   `json:"known_by_id" doc:"viewers and downstream pumps of whom the house has the address and all else"`
	MaxViewers int64 `json:"max_viewers" doc:"sum of the limits of pumps that are up, and of what houses serve themselves; 0: one of the pumps has none"`
}

// PumpInfo is a pump as it is now. Figures are 0 while it is not up.
type PumpInfo struct {
	ID          string       `json:"id"`
	Title       string       `json:"title"`
	URL         string       `json:"url" doc:"where viewers reach it; empty: not known"`
	State       string       `json:"state" enum:"up,down,never"`
	Since       *time.Time   `json:"since,omitempty" doc:"since when it is up, or down"`
	Heard       *time.Time   `json:"heard,omitempty" doc:"when it last said something"`
	Enabled     bool         `json:"enabled"`
	Draining    bool         `json:"draining"`
	Full        bool         `json:"full" doc:"at one of its limits"`
	Parents     []string     `json:"parents" nullable:"false" doc:"ids, in order of preference"`
	Viewers     int64        `json:"viewers" doc:"without pumps downstream"`
	Downstream  int64        `json:"downstream" doc:"streams that other pumps get here"`
	MaxViewers  int64        `json:"max_viewers" doc:"0: no limit"`
	InBPS       int64        `json:"in_bps"`
	OutBPS      int64        `json:"out_bps"`
	MaxOutBPS   int64        `json:"max_out_bps" doc:"0: no limit"`
	CPU         float64      `json:"cpu" doc:"processors busy with it"`
	Processors  int          `json:"processors"`
	Memory      int64        `json:"memory" doc:"bytes"`
	UptimeS     int64        `json:"uptime_s"`
	Joined      int64        `json:"joined" doc:"viewers since its start"`
	Refused     int64        `json:"refused" doc:"viewers refused for its limits, since its start"`
	Skipped     int64        `json:"skipped" doc:"packets that viewers jumped over, since its start"`
	ConfigFault string       `json:"config_fault" doc:"why it does not use the last configuration it got; empty: it does"`
	Faults      []string     `json:"faults" nullable:"false" doc:"what else a person should know"`
	Streams     []PumpStream `json:"streams" nullable:"false"`
	History     []Sample     `json:"history,omitempty" doc:"the last two minutes, oldest first, one a second at most. In a large fleet with GET /pumps/{id} alone"`
}

// PumpStream is a stream at one pump.
type PumpStream struct {
	Path    string `json:"path"`
	State   string `json:"state" enum:"offline,connecting,live,fallback"`
	Viewers int64  `json:"viewers" doc:"without pumps downstream"`
	BPS     int64  `json:"bps" doc:"of the stream"`
	InBPS   int64  `json:"in_bps"`
	OutBPS  int64  `json:"out_bps"`
	Skipped int64  `json:"skipped"`
	Source  string `json:"source" doc:"who delivers, without secrets"`
	Parent  string `json:"parent" doc:"id of the pump that delivers; empty: none does"`
	UpS     int64  `json:"up_s"`
}

// Sample is a pump at one moment.
type Sample struct {
	At      time.Time `json:"at"`
	Up      bool      `json:"up"`
	Viewers int64     `json:"viewers" doc:"pumps downstream included"`
	InBPS   int64     `json:"in_bps"`
	OutBPS  int64     `json:"out_bps"`
	CPU     float64   `json:"cpu"`
}

// StreamInfo is a stream over the whole fleet.
type StreamInfo struct {
	Path    string `json:"path"`
	Name    string `json:"name"`
	Type    string `json:"type" doc:"of the original source; empty: only pumps' own files name the stream"`
	Enabled bool   `json:"enabled"`
	Pumps   int    `json:"pumps" doc:"that deliver it"`
	Viewers int64  `json:"viewers" doc:"without pumps downstream; relayed ones included"`
	Relayed int64  `json:"relayed" doc:"of these, those that houses serve themselves"`
	BPS     int64  `json:"bps" doc:"of the stream, as the first pump that delivers it says"`
	OutBPS  int64  `json:"out_bps"`
}

// ViewerInfo is somebody who watches, or did.
type ViewerInfo struct {
	Pump    string     `json:"pump" doc:"id; @ and the house's name where a house serves him itself"`
	Relayed bool       `json:"relayed" doc:"a house serves him itself"`
	ID      string     `json:"id" doc:"the pump's; together with pump it is unique"`
	Client  string     `json:"client" doc:"id given from outside; empty: none"`
	Stream  string     `json:"stream"`
	Address string     `json:"address"`
	Agent   string     `json:"agent" doc:"as sent: not to be trusted"`
	Kind    string     `json:"kind" doc:"mmsh or asf; pump for a pump downstream"`
	TLS     bool       `json:"tls"`
	Since   time.Time  `json:"since"`
	Seen    time.Time  `json:"seen" doc:"when the figures that follow were taken"`
	Bytes   int64      `json:"bytes"`
	LagMS   int64      `json:"lag_ms" doc:"behind the source"`
	Skipped int64      `json:"skipped" doc:"packets jumped over"`
	Health  string     `json:"health" enum:"good,poor,gone,unknown" doc:"unknown: the pump is not heard now; if it stays away, everybody there has left after half a minute"`
	Left    *time.Time `json:"left,omitempty"`
	Reason  string     `json:"reason,omitempty" doc:"why it left"`
}

// EventInfo is something that happened.
type EventInfo struct {
	Number uint64      `json:"number" doc:"of this house, since its start"`
	Time   time.Time   `json:"time"`
	Kind   string      `json:"kind" enum:"viewer_joined,viewer_left,viewer_poor,viewer_good,pump_up,pump_down,pump_full,pump_free,stream_live,stream_lost,roster_changed,noted"`
	Pump   string      `json:"pump,omitempty"`
	Stream string      `json:"stream,omitempty"`
	Text   string      `json:"text,omitempty"`
	Viewer *ViewerInfo `json:"viewer,omitempty"`
}

// NetworkInfo is a network with the pump that serves it.
type NetworkInfo struct {
	CIDR     string `json:"cidr"`
	Priority int    `json:"priority" doc:"the higher one wins, whatever the length of the prefix"`
	Pump     string `json:"pump"`
}

// Network is a network that a pump serves.
type Network struct {
	CIDR     string `json:"cidr" doc:"as in 10.1.0.0/16 or 2001:db8::/32; or one address" example:"10.1.0.0/16" maxLength:"64"`
	Priority int    `json:"priority" required:"false" doc:"the higher one wins, whatever the length of the prefix"`
}

// PumpSettings are what the roster says of a pump.
type PumpSettings struct {
	Title        string    `json:"title,omitempty" maxLength:"256"`
	URL          string    `json:"url,omitempty" maxLength:"512" doc:"where viewers and other pumps reach it; empty: as it says itself" example:"http://192.0.2.1:8086"`
	Parents      []string  `json:"parents,omitempty" maxItems:"64" doc:"ids, in order of preference; empty: it gets the original sources"`
	Networks     []Network `json:"networks,omitempty" maxItems:"20000" doc:"whom it serves"`
	MaxViewers   int       `json:"max_viewers,omitempty" minimum:"0" doc:"0: no limit"`
	MaxBandwidth int64     `json:"max_bandwidth,omitempty" minimum:"0" doc:"bit/s to viewers; 0: no limit"`
	Enabled      *bool     `json:"enabled,omitempty" doc:"default true"`
	Draining     bool      `json:"draining,omitempty" doc:"no new viewers"`
}

// StreamDetail is a stream with its settings.
type StreamDetail struct {
	StreamInfo
	Revision uint64          `json:"revision" doc:"of its settings; 0: pumps' own files name it"`
	Settings json.RawMessage `json:"settings,omitempty" doc:"as an entry of streams in a configuration; secrets are ***"`
}

func settingsOf(p *roster.Pump) PumpSettings {
	enabled := p.Enabled
	s := PumpSettings{
		Title: p.Title, URL: p.URL, Parents: p.Parents, MaxViewers: p.MaxViewers, MaxBandwidth: p.MaxBandwidth,
		Enabled: &enabled, Draining: p.Draining,
	}
	for _, n := range p.Networks {
		s.Networks = append(s.Networks, Network{n.Prefix.String(), n.Priority})
	}
	return s
}

func viewerInfo(w *live.Watcher) ViewerInfo {
	v := ViewerInfo{
		Pump: w.Pump, Relayed: fleet.ValidHouseID(w.Pump), ID: w.ID, Client: w.Client, Stream: w.Stream, Address: w.Address.String(), Agent: w.Agent, Kind: w.Kind, TLS: w.TLS,
		Since: w.Since.UTC(), Seen: w.Seen.UTC(), Bytes: w.Bytes, LagMS: w.LagMS, Skipped: w.Skipped, Health: w.Health, Reason: w.Reason,
	}
	if w.Address == (netip.Addr{}) {
		v.Address = ""
	}
	v.Left = moment(w.Left)
	return v
}

// healthUnknown is said of viewers whose pump is not heard.
const healthUnknown = "unknown"

// health is how a viewer fares, as far as is known.
func (s *site) health(w *live.Watcher) string {
	if !w.Left.IsZero() {
		return w.Health
	}
	if p := s.opts.Fleet.View().Pump(w.Pump); p == nil || !p.Up() {
		return healthUnknown
	}
	return w.Health
}

func (s *site) viewerInfos(list []*live.Watcher) []ViewerInfo {
	infos := make([]ViewerInfo, len(list))
	for i, w := range list {
		infos[i] = viewerInfo(w)
		infos[i].Health = s.health(w)
	}
	return infos
}

func eventInfo(h *live.Happening) EventInfo {
	e := EventInfo{Number: h.Number, Time: h.Time.UTC(), Kind: string(h.Kind), Pump: h.Pump, Stream: h.Stream, Text: h.Text}
	if h.Watcher != nil {
		v := viewerInfo(h.Watcher)
		e.Viewer = &v
	}
	return e
}

// moment is nil for no time at all.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
