package pump

import (
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/pump/track"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
)

// StreamInfo is a stream in the API.
type StreamInfo struct {
	Path           string            `json:"path"`
	Name           string            `json:"name"`
	Type           string            `json:"type"`  // as configured: mmsh_push, mmsh_pull, file_loop or test_card
	State          string            `json:"state"` // offline, connecting, live or fallback
	Viewers        int               `json:"viewers"`
	ViewersTotal   uint64            `json:"viewers_total"`
	BitrateBPS     int64             `json:"bitrate_bps"`   // measured, from the source
	AnnouncedBPS   int64             `json:"announced_bps"` // by the header; 0 unknown
	UptimeS        float64           `json:"uptime_s"`      // delivering since
	PacketsIn      uint64            `json:"packets_in"`
	BytesIn        uint64            `json:"bytes_in"`
	BytesOut       uint64            `json:"bytes_out"`
	SkippedPackets uint64            `json:"skipped_packets"` // jumped over, summed over viewers
	DroppedPackets map[string]uint64 `json:"dropped_packets"` // from the source, refused, by reason
	Reconnects     uint64            `json:"reconnects"`      // times a lost source was asked again
	Source         string            `json:"source"`          // who delivers now, empty: nobody
	Sources        []string          `json:"sources"`         // as configured, in order of preference
	Epoch          uint32            `json:"epoch"`           // header in force, counted from 1; 0 none
	PacketSize     int               `json:"packet_size"`     // bytes; 0 without a header
	PrerollMS      int64             `json:"preroll_ms"`
	Title          string            `json:"title"`
	Tracks         []track.Info      `json:"tracks"`
}

// ViewerInfo is a viewer in the API.
type ViewerInfo struct {
	ID             string  `json:"id"`
	ClientID       string  `json:"client_id"`  // of the viewer in another system, as it was given in the address
	User           string  `json:"user"`       // who logged in; empty: nobody has to
	SessionID      uint32  `json:"session_id"` // of the MMSH session; 0 for plain ASF
	Stream         string  `json:"stream"`
	Address        string  `json:"address"`
	UserAgent      string  `json:"user_agent"` // as sent: not to be trusted
	Kind           string  `json:"kind"`       // mmsh or asf
	TLS            bool    `json:"tls"`
	ConnectedS     float64 `json:"connected_s"`
	BytesOut       uint64  `json:"bytes_out"`
	LagMS          int64   `json:"lag_ms"` // behind the source
	SkippedPackets uint64  `json:"skipped_packets"`
	Reason         string  `json:"reason,omitempty"` // why it left
	LeftAt         string  `json:"left_at,omitempty"`
}

func (p *Pump) describeStream(s *stream.Stream) StreamInfo {
	m, bill := s.Metrics(), p.billed(s.Path())
	info := StreamInfo{
		Path: s.Path(), Name: s.Name(), Type: bill.kind, State: s.State().String(),
		Viewers: s.Viewers(), ViewersTotal: m.ViewersTotal.Load(),
		UptimeS:   seconds(s.Uptime()),
		PacketsIn: m.PacketsIn.Load(), BytesIn: m.BytesIn.Load(), BytesOut: m.BytesOut.Load(),
		SkippedPackets: m.SkippedPackets.Load(), DroppedPackets: map[string]uint64{},
		Reconnects: m.SourceReconnects.Load(), Source: s.Source(), Sources: append([]string{}, bill.sources...), Tracks: []track.Info{},
	}
	if s.State().Delivering() {
		info.BitrateBPS = int64(s.Bitrate())
	}
	for _, reason := range ingest.DropReasons() {
		if n := m.PacketsDroppedSoFar(reason); n > 0 {
			info.DroppedPackets[reason] = n
		}
	}
	if h := s.Header(); h != nil {
		info.Epoch, info.PacketSize, info.AnnouncedBPS = h.Epoch, h.PacketSize, h.Bitrate
		if a, ok := h.Info.(*asf.Header); ok {
			info.PrerollMS, info.Title = a.PrerollDuration().Milliseconds(), a.Title
			info.Tracks = track.Describe(a)
		}
	}
	return info
}

func describeViewer(v server.Viewer) ViewerInfo {
	info := ViewerInfo{
		ID: v.ID, ClientID: v.ClientID, User: v.User, SessionID: v.SessionID, Stream: v.Stream, Address: v.Address, UserAgent: v.UserAgent,
		Kind: v.Kind, TLS: v.TLS, ConnectedS: seconds(time.Since(v.Connected)), BytesOut: v.BytesOut,
		LagMS: v.Lag.Milliseconds(), SkippedPackets: v.Skipped, Reason: string(v.Reason),
	}
	if !v.Left.IsZero() {
		info.ConnectedS = seconds(v.Left.Sub(v.Connected))
		info.LeftAt = v.Left.UTC().Format(time.RFC3339)
	}
	return info
}

// seconds rounds to ms: more would be noise.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// routes are the addresses of the API.
func (a *admin) routes() map[string]methods {
	notFound := map[int]string{http.StatusNotFound: "there is none"}
	return map[string]methods{
		"/api/v1/streams": {http.MethodGet: {
			handle: a.listStreams, summary: "All streams, in order of their paths.", answer: []StreamInfo{},
		}},
		"/api/v1/streams/{path}": {http.MethodGet: {
			handle: a.oneStream, summary: "One stream; case does not count.", answer: StreamInfo{}, errors: notFound,
		}},
		"/api/v1/viewers": {http.MethodGet: {
			handle: a.listViewers, summary: "Who is watching, or with state=closed the last who have left, with their reasons.",
			answer: []ViewerInfo{},
			query: []parameter{
				{"state", "open (default) or closed"},
				{"stream", "only viewers of the stream with this path"},
			},
			errors: map[int]string{http.StatusBadRequest: "an unknown state"},
		}},
		"/api/v1/viewers/{id}": {http.MethodDelete: {
			handle: a.kick, summary: "Cut one viewer off.", status: http.StatusNoContent, errors: notFound,
		}},
		"/api/v1/certificates": {http.MethodGet: {
			handle: a.listCertificates, summary: "The certificates of the TLS ports; none without TLS.", answer: []CertificateInfo{},
		}},
		"/api/v1/limits": {http.MethodGet: {
			handle: a.listLimits, summary: "What is used of the limits, and how often each kept somebody out.", answer: LimitsInfo{},
		}},
		"/api/v1/reload": {http.MethodPost: {
			handle: a.reload, summary: "Read the configuration again and apply what changed, as SIGHUP does.",
			answer: ReloadInfo{},
			query:  []parameter{{"partial", "1: apply what can be applied, even if other changes need a restart"}},
			errors: map[int]string{
				http.StatusUnprocessableEntity: "the new configuration is wrong; nothing was changed",
				http.StatusConflict:            "it changes what needs a restart, this pump has no configuration file, or it is stopping; nothing was changed",
			},
		}},
		"/api/v1/diff": {http.MethodPost: {
			handle: a.diff, summary: "What a reload would change now, and whom it would disturb. Changes nothing.",
			answer: ReloadInfo{},
			query:  []parameter{{"name", "name of the file in the body; .js tells the form of the 2011 program"}},
			body:   "a configuration; empty: the pump's own file as it is now",
			errors: map[int]string{
				http.StatusRequestEntityTooLarge: "more than a configuration may be long",
				http.StatusUnprocessableEntity:   "the configuration is wrong",
				http.StatusConflict:              "this pump has no configuration file, or it is stopping",
			},
		}},
		"/api/v1/openapi.json": {http.MethodGet: {
			handle: a.openAPI, summary: "This description.", answer: map[string]any{},
		}},
	}
}

func (a *admin) listStreams(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.pump.Streams())
}

func (a *admin) oneStream(w http.ResponseWriter, r *http.Request) {
	st := a.pump.registry.Lookup(r.PathValue("path"))
	if st == nil {
		writeError(w, http.StatusNotFound, "no_such_stream", "no stream has this path")
		return
	}
	writeJSON(w, http.StatusOK, a.pump.describeStream(st))
}

func (a *admin) listViewers(w http.ResponseWriter, r *http.Request) {
	var all []server.Viewer
	switch r.FormValue("state") {
	case "", "open":
		all = a.pump.server.Viewers(r.Context())
	case "closed":
		all = a.pump.server.Closed()
	default:
		writeError(w, http.StatusBadRequest, "unknown_state", "state is open or closed")
		return
	}
	only, list := r.FormValue("stream"), []ViewerInfo{}
	for _, v := range all {
		if only == "" || strings.EqualFold(only, v.Stream) {
			list = append(list, describeViewer(v))
		}
	}
	writeJSON(w, http.StatusOK, list)
}

func (a *admin) kick(w http.ResponseWriter, r *http.Request) {
	if !a.pump.server.Kick(r.Context(), r.PathValue("id")) {
		writeError(w, http.StatusNotFound, "no_such_viewer", "no viewer has this id")
		return
	}
	a.pump.log.Info("viewer cut off by an operator", "viewer", r.PathValue("id"), "operator", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

// Streams describes all streams, in order of their paths.
func (p *Pump) Streams() []StreamInfo {
	list := []StreamInfo{}
	for _, s := range p.registry.All() {
		list = append(list, p.describeStream(s))
	}
	return list
}
